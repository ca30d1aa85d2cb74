//! The authenticator's decisions from outside, one file for each thing that they depend on.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up should say so at once")]

mod cache;
mod ends;
mod handles;
mod headers;
mod loads;
mod records;
mod rejections;
mod support;
mod usage;
