//! Runs the built service, and talks to it over TCP. What is expected stands in `tests/contract/socket.rs`.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

const BINARY: &str = env!("CARGO_BIN_EXE_websocket-axum");
const README: &str = include_str!("../README.md");
const BOUNDS: contract::patience::Bounds = contract::patience::Bounds { http1: true, http2: false };

#[path = "../../../tests/contract"]
mod contract {
    #[expect(dead_code, reason = "the other templates use the rest")]
    pub(crate) mod http;
    #[expect(dead_code, reason = "the other templates use the rest")]
    pub(crate) mod patience;
    #[expect(dead_code, reason = "the other templates use the rest")]
    pub(crate) mod service;
    mod socket;
}
#[path = "../../../tests/contract/key_file.rs"]
#[expect(dead_code, reason = "the other templates use the rest")]
mod keys;
