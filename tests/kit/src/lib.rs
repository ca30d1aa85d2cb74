//! What tests of several packages need and no user of theirs does: a PostgreSQL server of one's own, and a pooler.

#![expect(clippy::expect_used, reason = "a test without its server fails")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![cfg(unix)]

mod pgbouncer;
mod postgres;

pub use self::{
    pgbouncer::PgBouncer,
    postgres::{PrivatePostgres, Session},
};
