//! The rules that the manager enforces with its store.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod bad_input;
mod bed;
mod bootstrap;
mod groups;
mod imports;
mod life;
mod limits;
mod lists;
mod repeats;
mod rights;
mod stage;
mod trail;
