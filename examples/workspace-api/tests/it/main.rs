//! Runs the built service and tests it over TCP. `tests/contract` tests how it starts and stops, and its README.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

const BINARY: &str = env!("CARGO_BIN_EXE_workspace-api");
const README: &str = include_str!("../../README.md");
const MAIN: &str = include_str!("../../src/main.rs");
const DATABASE: &str = "api-keys.db";
const API: contract::Api = contract::Api {
    prefix: "ws_production_",
    list: ("/v1/records", ""),
    empty: r#"{"items":[],"next":null}"#,
    whoami: "/keys/v1/whoami",
    add: ("PUT", "/v1/records/late", r#"{"title":"late","content":"better than never"}"#, ""),
    has_console: true,
    has_page: true,
};
const BOUNDS: contract::patience::Bounds = contract::patience::Bounds { http1: false, http2: false };

#[path = "../../../../tests/contract/chromium.rs"]
mod chromium;
#[path = "../../../../tests/contract/mod.rs"]
mod contract;
#[path = "../../../../tests/contract/database.rs"]
#[expect(dead_code, reason = "the quickstarts use the rest")]
mod keys;

mod at_once;
mod codes;
mod only_key;
mod page;
mod people;
mod records;
mod stand;
