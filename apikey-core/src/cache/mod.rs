//! Verified keys, kept between requests. Validity lives in the [`Entry`](entry::Entry), not in the table that finds it:
//! whoever holds an entry sees it die.
//!
//! `entry` and `registry` are the part whose interleavings matter; they know neither moka nor tokio, and take locks and
//! atomics from `sync` alone, so that a model checker can stand in for the standard library. `usage` does the same, its
//! one wake-up apart.

pub(crate) mod cache_key;
pub(crate) mod entry;
pub(crate) mod flight;
#[cfg(all(test, shuttle))]
mod model;
pub(crate) mod refused;
pub(crate) mod registry;
pub(crate) mod sweep;
pub(crate) mod sync;
pub(crate) mod table;
pub(crate) mod usage;
