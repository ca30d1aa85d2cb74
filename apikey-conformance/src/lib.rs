//! Checks of what a store for `apikey-manager` must do.
//!
//! Every rule that [`KeyStore`](apikey_manager::KeyStore) and [`Transaction`](apikey_manager::Transaction) state has a check. One line makes a
//! `#[test]` of each:
//!
//! ```
//! # use apikey_manager::MemoryStore;
//! use apikey_conformance::Fixture;
//!
//! apikey_conformance::test_store!(async || Fixture::new(MemoryStore::new()));
//! # fn main() {}
//! ```
//!
//! # The store under test
//!
//! The store is made anew for each check. A new and empty database each time is best: a file in a temporary directory, or
//! a schema of its own. One database may also serve many checks, one after another: each check makes organizations, keys
//! and batches of its own and ignores those of others. Two checks may not run on one database at the same time, because
//! some of them read the revision, prune, or read the keys of every organization.
//!
//! No check depends on the time of day or waits for time to pass. A check fails after a minute without an answer.

// A check that the list doesn't name would never run.
#![deny(dead_code)]
#![expect(clippy::unwrap_used, reason = "a check fails where anything does")]

mod bed;
mod check;
mod checks;
mod fixture;
mod list;

#[doc(hidden)]
pub use self::list::test;
pub use self::{check::Check, fixture::Fixture, list::checks};
