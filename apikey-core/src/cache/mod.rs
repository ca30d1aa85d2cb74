//! Verified keys, kept between requests. Validity is a property of the [`Entry`](entry::Entry), not of the table that
//! finds it: everything that holds an entry sees it die.
//!
//! The interleavings of `entry`, `registry` and `usage` matter. They use neither moka nor tokio (apart from `usage`'s
//! one wake-up), and take locks and atomics from `sync`, where a model checker can replace the standard library.

pub(crate) mod cache_key;
pub(crate) mod entry;
pub(crate) mod flight;
pub(crate) mod gate;
#[cfg(all(test, shuttle))]
mod model;
pub(crate) mod refused;
pub(crate) mod registry;
pub(crate) mod sweep;
pub(crate) mod sync;
pub(crate) mod table;
pub(crate) mod usage;
