//! Helpers for the tests of several packages: a private PostgreSQL server, a pooler, and common HTTP clients.

#![expect(clippy::expect_used, reason = "a test without its server fails")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![cfg(unix)]

#[cfg(feature = "clients")]
mod clients;
mod pgbouncer;
mod postgres;

#[cfg(feature = "clients")]
pub use self::clients::{Client, Outcome, Upload};
pub use self::{
    pgbouncer::PgBouncer,
    postgres::{PrivatePostgres, Session},
};
