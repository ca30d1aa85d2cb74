//! What keys look like. Both sides know it: the verifier makes such keys, and the service asks for nothing else.

use axum_apikey::{Checksum, KeyFormat, KeyFormatError};

/// `demo_live_…`, with a checksum: what is mistyped is refused without asking the verifier.
///
/// # Errors
///
/// Never, unless these words are changed for some that can't begin a key.
pub fn key_format() -> Result<KeyFormat, KeyFormatError> {
    KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()
}
