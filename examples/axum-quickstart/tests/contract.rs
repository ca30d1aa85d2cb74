//! Runs the built service and tests it over TCP. `tests/contract` has the expectations.

const BINARY: &str = env!("CARGO_BIN_EXE_axum-quickstart");
const README: &str = include_str!("../README.md");
const MAIN: &str = include_str!("../src/main.rs");
const DATABASE: &str = "api-keys.db";
const API: contract::Api = contract::Api { has_console: true, has_page: true, ..answers::API };
const BOUNDS: contract::patience::Bounds = contract::patience::Bounds { http1: true, http2: false };
const HAS_ADMIN: bool = true;
const PAGE_TESTS: &str = "all";

#[path = "../../../tests/contract/answers.rs"]
mod answers;
#[path = "../../../tests/contract/browser.rs"]
mod browser;
#[path = "../../../tests/contract/mod.rs"]
mod contract;
#[path = "../../../tests/contract/database.rs"]
mod keys;
#[path = "../../../tests/contract/page.rs"]
mod page;
#[cfg(unix)]
#[path = "../../../tests/contract/together.rs"]
mod together;
#[path = "../../../tests/contract/usage.rs"]
mod usage;
