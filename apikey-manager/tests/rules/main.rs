//! The rules that the manager enforces with its store.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod bad_input;
mod bed;
mod bootstrap;
mod groups;
mod imports;
mod leaks;
mod life;
mod limits;
mod lists;
mod repeats;
mod rights;
mod stage;
mod trail;
