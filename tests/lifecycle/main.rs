//! Changes while keys are in use: time passes, keys are changed, and both during a load.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod changes;
mod edges;
mod handles;
mod races;
mod time;
