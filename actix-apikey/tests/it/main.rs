//! The adapter as users see it: applications in memory, and servers on sockets where that matters.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod activity;
mod extract;
mod in_flight;
mod middleware;
mod mount;
mod openapi;
mod require_scope;
mod server;
mod support;
