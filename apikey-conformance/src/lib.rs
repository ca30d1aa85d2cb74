//! Conformance checks for stores of `apikey-manager`.
//!
//! Every rule of [`KeyStore`](apikey_manager::KeyStore) and [`Transaction`](apikey_manager::Transaction) has a check.
//! One line makes a `#[test]` of each:
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
//! Each check gets a new store. A new and empty database for each is best: a file in a temporary directory, or a schema
//! of its own. One database may also serve many checks in sequence: each check uses its own organizations, keys and
//! batches, and ignores others. Checks must not share a database concurrently, because some of them read the revision,
//! prune, or read the keys of every organization.
//!
//! No check depends on the time of day or waits for time to pass. A check fails if it takes a minute.

// A check that is missing in the list would never run.
#![deny(dead_code)]
#![expect(clippy::unwrap_used, reason = "checks may panic")]

mod bed;
mod check;
mod checks;
mod fixture;
mod list;

#[doc(hidden)]
pub use self::list::test;
pub use self::{check::Check, fixture::Fixture, list::checks};
