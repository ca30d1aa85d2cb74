//! The authenticator's decisions from outside, one file for each thing that they depend on.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod cache;
mod ends;
mod gate;
mod handles;
mod headers;
mod loads;
mod records;
mod rejections;
mod support;
mod usage;
