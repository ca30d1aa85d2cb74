//! A service whose keys another service verifies over HTTP, and that other service.
//!
//! ```console
//! $ cargo run -p custom-resolver --bin verifier
//! $ VERIFIER_KEY=demo_live_… cargo run -p custom-resolver
//! ```
//!
//! README.md has the keys to use and the commands to try.
//!
//! The path of a request: [`service`] has the routes, [`RemoteKeys`] looks its key up, [`Record`] is exchanged, and
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

/// The format of keys, for both sides: the verifier issues such keys, and the service accepts no others. The checksum
/// lets the service refuse mistyped keys without asking the verifier.
///
/// # Errors
///
/// Never, unless the prefix is changed to an invalid one.
pub fn key_format() -> Result<KeyFormat, KeyFormatError> {
    KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()
}
