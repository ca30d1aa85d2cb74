//! Several managers on one database: what is ended through one is ended in all when the operation returns.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod bed;
mod ends;
mod parts;
mod places;
mod streams;
