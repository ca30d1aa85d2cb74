//! Runs the built service, and talks to it over TCP. What is expected stands in `examples/contract/socket.rs`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

const BINARY: &str = env!("CARGO_BIN_EXE_websocket-axum");
const README: &str = include_str!("../README.md");

#[path = "../../contract/http.rs"]
#[expect(dead_code, reason = "the other templates need more of it")]
mod http;
#[path = "../../contract/service.rs"]
#[expect(dead_code, reason = "the other templates need more of it")]
mod service;
#[path = "../../contract/socket.rs"]
mod socket;
