//! Requests and streams in progress when their key dies, on hyper, axum and actix-web, over HTTP/1.1 and HTTP/2.
//!
//! Ordinary runs are limited; `APIKEY_FIRE=full cargo test --release -p apikey-tests --test in_flight` is the long
//! form.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod bodies;
mod client;
mod crowd;
mod expiry;
mod grpc;
mod handlers;
mod kinds;
mod servers;
mod unread;
