//! Changes while keys are in use: time passes, keys are changed, and both during a load.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod changes;
mod edges;
mod handles;
mod races;
mod time;
