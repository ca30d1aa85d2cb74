//! What the store itself has to do.

pub(super) mod activity;
pub(super) mod atomicity;
pub(super) mod audit;
pub(super) mod finding;
pub(super) mod isolation;
pub(super) mod lineage;
pub(super) mod lists;
pub(super) mod locking;
pub(super) mod markers;
pub(super) mod revision;
pub(super) mod round_trip;
pub(super) mod sweep;
pub(super) mod text;
pub(super) mod uniqueness;
pub(super) mod updates;
pub(super) mod usage;
