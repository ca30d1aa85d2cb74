//! A service whose keys another service verifies, over HTTP, and that other service.
//!
//! ```console
//! $ cargo run -p custom-resolver --bin verifier
//! $ VERIFIER_KEY=demo_live_… cargo run -p custom-resolver
//! ```
//!
//! README.md has the keys to use and the commands to try.
//!
//! The way of a request: [`service`] has the routes, [`RemoteKeys`] looks its key up, [`Record`] is what travels, and
//! [`verifier`] answers.

mod format;
pub mod process;
mod record;
mod remote_keys;
pub mod service;
pub mod verifier;

pub use self::{
    format::key_format,
    record::{Question, Record, RecordError, Status, UNKNOWN_KEY},
    remote_keys::{LookupError, RemoteKeys},
};
