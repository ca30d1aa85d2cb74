//! Runs the built service, and talks to it over TCP. What is expected stands in `tests/contract/socket.rs`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

const BINARY: &str = env!("CARGO_BIN_EXE_websocket-actix");
const README: &str = include_str!("../README.md");
const BOUNDS: contract::patience::Bounds = contract::patience::Bounds { http1: false, http2: false };

#[path = "../../../tests/contract"]
mod contract {
    #[expect(dead_code, reason = "the other templates need more of it")]
    pub(crate) mod http;
    #[expect(dead_code, reason = "the other templates need more of it")]
    pub(crate) mod patience;
    #[expect(dead_code, reason = "the other templates need more of it")]
    pub(crate) mod service;
    mod socket;
}
#[path = "../../../tests/contract/key_file.rs"]
#[expect(dead_code, reason = "the other templates need more of it")]
mod keys;
