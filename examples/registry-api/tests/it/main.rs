//! Runs the built service, and the command line against it. `tests/contract` tests how the service starts and stops.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

const BINARY: &str = env!("CARGO_BIN_EXE_registry-api");
const README: &str = include_str!("../../README.md");
const MAIN: &str = include_str!("../../src/main.rs");
const DATABASE: &str = "api-keys.db";
const API: contract::Api = contract::Api {
    prefix: "reg_live_",
    list: ("/v1/bundles", ""),
    empty: "[]",
    whoami: "/v1/me",
    add: ("PUT", "/v1/bundles/late/versions/1.0.0", r#"{"description":"better than never"}"#, ""),
    has_console: true,
    has_page: true,
};
const BOUNDS: contract::patience::Bounds = contract::patience::Bounds { http1: true, http2: true };

#[path = "../../../../tests/contract/mod.rs"]
mod contract;
#[path = "../../../../tests/contract/eventually.rs"]
mod eventually;
#[path = "../../../../tests/contract/database.rs"]
#[expect(dead_code, reason = "the quickstarts use the rest")]
mod keys;

mod leak;
mod organizations;
mod program;
mod stand;
