//! Runs the built service and tests it over TCP. `tests/contract` has the expectations.

const BINARY: &str = env!("CARGO_BIN_EXE_static-keys");
const README: &str = include_str!("../README.md");
const MAIN: &str = include_str!("../src/main.rs");
const API: contract::Api = contract::Api { has_console: false, ..answers::API };
const BOUNDS: contract::patience::Bounds = contract::patience::Bounds { http1: true, http2: false };
const HAS_ADMIN: bool = true;

#[path = "../../../tests/contract/answers.rs"]
mod answers;
#[path = "../../../tests/contract/mod.rs"]
mod contract;
#[path = "../../../tests/contract/key_file.rs"]
mod keys;
