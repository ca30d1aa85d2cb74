//! The server-side secrets that digests may be keyed with.

use std::{fmt, io};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

use crate::key::digest::{KeyDigest, PepperVersion};

const MIN_SECRET_BYTES: usize = 32;

/// A server-side secret that keys are hashed with, so that a stolen table of digests is useless.
///
/// ```
/// use apikey_core::Pepper;
///
/// let pepper = Pepper::new(1, b"32 bytes from a secret manager..")?;
/// assert_eq!(format!("{pepper:?}"), "Pepper(v1, [redacted])");
/// # Ok::<(), apikey_core::PepperError>(())
/// ```
///
/// # Security
///
/// The secret itself is not kept: the two hash states HMAC derives from it are computed once, and
/// they are overwritten on drop. Keep it apart from the database, or it protects nothing. Losing
/// it invalidates every key that was hashed with it.
pub struct Pepper {
    version: PepperVersion,
    state: Hmac<Sha256>,
}

impl Pepper {
    /// Prepares a secret of at least 32 bytes under a version that is never given to another.
    ///
    /// ```
    /// use apikey_core::Pepper;
    ///
    /// assert!(Pepper::new(1, &[0x5a; 32]).is_ok());
    /// let error = Pepper::new(1, b"too short").unwrap_err();
    /// assert_eq!(error.to_string(), "the secret has 9 bytes, at least 32 are needed");
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if `secret` is shorter than the hash's output, 32 bytes (RFC 2104 §3).
    ///
    /// # Security
    ///
    /// Bytes must be random; length is all that can be checked. The slice stays the caller's to
    /// clear.
    pub fn new(version: u32, secret: &[u8]) -> Result<Self, PepperError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(PepperError::new(format!(
                "the secret has {} bytes, at least {MIN_SECRET_BYTES} are needed",
                secret.len()
            )));
        }
        Ok(Self {
            version: PepperVersion::new(version),
            state: Hmac::new_from_slice(secret).expect("HMAC takes a secret of any length"),
        })
    }

    pub(crate) fn version(&self) -> PepperVersion {
        self.version
    }

    pub(crate) fn digest(&self, key: &str) -> KeyDigest {
        let tag = self.state.clone().chain_update(key).finalize();
        KeyDigest::hmac_sha256_from_bytes(self.version, tag.into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pepper({}, [redacted])", self.version)
    }
}

/// A pepper can't be used as given; the message says where and why.
///
/// ```
/// use apikey_core::KeyHasher;
///
/// let error = KeyHasher::parse("v1:not hex").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "entry 1 on line 1: the secret is not pairs of hex digits",
/// );
/// ```
///
/// # Security
///
/// Neither the message nor its source contains any of the text that was read.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct PepperError {
    message: String,
    source: Option<io::Error>,
}

impl PepperError {
    pub(crate) fn new(message: String) -> Self {
        Self { message, source: None }
    }

    pub(crate) fn unreadable(cause: io::Error) -> Self {
        Self { message: "the file can't be read".to_owned(), source: Some(cause) }
    }

    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        Self { message: format!("{place}: {}", self.message), source: self.source }
    }
}
