//! The checks, one subject in each file.

pub(crate) mod activity;
pub(crate) mod alerts;
pub(crate) mod atomicity;
pub(crate) mod audit;
pub(crate) mod finding;
pub(crate) mod fleet;
pub(crate) mod isolation;
pub(crate) mod lineage;
pub(crate) mod lists;
pub(crate) mod locking;
pub(crate) mod markers;
pub(crate) mod requests;
pub(crate) mod revision;
pub(crate) mod round_trip;
pub(crate) mod stale;
pub(crate) mod sweep;
pub(crate) mod text;
pub(crate) mod uniqueness;
pub(crate) mod updates;
pub(crate) mod usage;
