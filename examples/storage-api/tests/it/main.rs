//! Runs the built service and tests it over TCP. `tests/contract` tests how it starts and stops, and its README.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

const BINARY: &str = env!("CARGO_BIN_EXE_storage-api");
const README: &str = include_str!("../../README.md");
const MAIN: &str = include_str!("../../src/main.rs");
const DATABASE: &str = "api-keys-live.db";
const API: contract::Api = contract::Api {
    prefix: "tsk_live_",
    list: ("/v1/environments", "environments:read"),
    empty: "[]",
    whoami: "/keys/v1/whoami",
    add: ("PUT", "/v1/environments/late", r#"{"description":"better than never"}"#, "environments:write"),
    has_console: true,
    has_page: true,
};
const BOUNDS: contract::patience::Bounds = contract::patience::Bounds { http1: true, http2: true };

#[path = "../../../../tests/contract/chromium.rs"]
mod chromium;
#[path = "../../../../tests/contract/mod.rs"]
mod contract;
#[path = "../../../../tests/contract/eventually.rs"]
mod eventually;
#[path = "../../../../tests/contract/database.rs"]
#[expect(dead_code, reason = "the quickstarts use the rest")]
mod keys;

mod coverage;
mod environment;
mod in_flight;
mod life;
mod page;
mod resources;
mod scopes;
mod stand;
