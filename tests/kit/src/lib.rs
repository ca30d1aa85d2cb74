//! Helpers for the tests of several packages: a private PostgreSQL server, a pooler, a keyring, a terminal, and common
//! HTTP clients.

#![expect(clippy::expect_used, reason = "a test without its server fails")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![cfg(unix)]

#[cfg(feature = "clients")]
mod clients;
mod keyring;
mod pgbouncer;
mod postgres;
#[cfg(feature = "terminal")]
mod terminal;

#[cfg(feature = "clients")]
pub use self::clients::{Client, Outcome, Upload};
#[cfg(feature = "terminal")]
pub use self::terminal::Terminal;
pub use self::{
    keyring::KeyringSession,
    pgbouncer::PgBouncer,
    postgres::{PrivatePostgres, Session},
};
