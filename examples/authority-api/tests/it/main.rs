//! Runs the built service and tests it over TCP. `tests/contract` tests how it starts and stops.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

const BINARY: &str = env!("CARGO_BIN_EXE_authority-api");
const README: &str = include_str!("../../README.md");
const MAIN: &str = include_str!("../../src/main.rs");
const DATABASE: &str = "api-keys.db";
const API: contract::Api = contract::Api {
    prefix: "tc_",
    list: ("/revocations", "read-only"),
    empty: r#"{"items":[],"next":null}"#,
    whoami: "/keys/v1/whoami",
    add: ("POST", "/revocations", r#"{"id":"late","reason":"better than never"}"#, "revocations:write"),
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

mod accounts;
mod format;
mod life;
mod lists;
mod page;
mod revocations;
mod roles;
mod settings;
mod stand;
