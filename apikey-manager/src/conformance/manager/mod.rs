//! What a manager keeps by means of its store.

pub(super) mod bad_input;
pub(super) mod bootstrap;
pub(super) mod groups;
pub(super) mod imports;
pub(super) mod life;
pub(super) mod limits;
pub(super) mod rights;
pub(super) mod stage;
pub(super) mod trail;
