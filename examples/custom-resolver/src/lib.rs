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

pub mod process;
mod record;
mod remote_keys;
pub mod service;
pub mod verifier;

use axum_apikey::{Checksum, KeyFormat, KeyFormatError};

pub use self::{
    record::{Question, Record, RecordError, Status, UNKNOWN_KEY},
    remote_keys::{LookupError, RemoteKeys},
};

/// Both sides know what keys look like: the verifier makes such keys, and the service asks for nothing else. With the checksum,
/// a mistyped key is refused without asking the verifier.
///
/// # Errors
///
/// Never, unless these words are changed for some that can't begin a key.
pub fn key_format() -> Result<KeyFormat, KeyFormatError> {
    KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()
}
