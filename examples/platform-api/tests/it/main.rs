//! Runs the built service and tests it over TCP. `tests/contract` tests how it starts and stops, and its README.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

const BINARY: &str = env!("CARGO_BIN_EXE_platform-api");
const README: &str = include_str!("../../README.md");
const MAIN: &str = include_str!("../../src/main.rs");
const DATABASE: &str = "platform.db";
const API: contract::Api = contract::Api {
    prefix: "plt_live_",
    list: ("/v1/projects", ""),
    empty: "[]",
    whoami: "/v1/account",
    add: ("POST", "/v1/projects", r#"{"name":"better late than never"}"#, ""),
    has_console: true,
    has_page: true,
};
const BOUNDS: contract::patience::Bounds = contract::patience::Bounds { http1: true, http2: false };

#[path = "../../../../tests/contract/mod.rs"]
mod contract;
#[path = "../../../../tests/contract/eventually.rs"]
mod eventually;
#[path = "../../../../tests/contract/database.rs"]
#[expect(dead_code, reason = "the quickstarts use the rest")]
mod keys;

mod browser;
mod customers;
mod format;
mod leaks;
mod leaving;
mod members;
mod plans;
mod rotation;
mod stand;
mod usage;
