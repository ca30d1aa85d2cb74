//! The management API as its clients see it: over real sockets, nested in axum and mounted in actix-web.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod accounts;
mod api_keys;
mod audit;
#[path = "../contract/chromium.rs"]
mod chromium;
mod embedded;
mod fleet;
mod journey;
mod login;
mod matrix;
mod mounting;
mod overview;
mod page;
mod repeats;
mod requests;
mod revocations;
mod session;
mod stand;
mod starved;
