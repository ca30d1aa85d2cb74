//! Requests whose bodies are refused: their clients receive the answer. On hyper, axum and actix-web, over real
//! sockets, with common clients and byte by byte.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod clients;
mod http2;
mod servers;
mod wire;
