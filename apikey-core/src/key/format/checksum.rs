//! Six digits at the end of a key. They catch typing errors and spare scanners false alarms.
//!
//! They don't authenticate: only the digest tells whether a key exists.

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{KeyFormatError, alphabet::BASE62};

/// 62^6 is more than 2^32, 62^5 is less.
const DIGITS: usize = 6;
const MIN_SECRET_BYTES: usize = 32;

/// The checksum in the last six characters of a key.
///
/// ```
/// use apikey_core::{Checksum, KeyFormat, ParseKeyError};
///
/// let format = KeyFormat::builder("npm").checksum(Checksum::Crc32).build()?;
/// assert!(format.check(b"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").is_ok());
///
/// let mistyped = format.check(b"npm_qkJaB6MffYVzZXWqmcoF49yrUxP3wg0LsakP");
/// assert_eq!(mistyped, Err(ParseKeyError::Checksum));
/// # Ok::<(), apikey_core::KeyFormatError>(())
/// ```
///
/// A checksum is 32 bits, written as six base62 digits (`0-9A-Za-z`), padded with `0` on the left.
/// It adds no entropy.
///
/// Formats with keyed checksums are equal if their secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksum {
    /// No checksum. Any text of the right shape is looked up.
    None,
    /// CRC-32/ISO-HDLC of the random characters, as in GitHub's and npm's tokens; the default.
    ///
    /// Anyone can compute it, so external scanners can filter with it. It catches every wrong character and every
    /// transposition of neighbours in the random part. The head is compared literally and not covered.
    Crc32,
    /// HMAC-SHA-256 of the whole key before it, created by [`keyed`](Self::keyed).
    Keyed(KeyedChecksum),
}

impl Checksum {
    /// Creates a checksum that only holders of `secret` can compute: the first 32 bits of HMAC-SHA-256 over the whole
    /// key before it, including prefix and environment.
    ///
    /// ```
    /// use apikey_core::{Checksum, KeyFormat, ParseKeyError};
    ///
    /// let format = |secret: &[u8; 32]| {
    ///     KeyFormat::builder("tsk").checksum(Checksum::keyed(secret)?).build()
    /// };
    /// let (here, elsewhere) = (format(&[1; 32])?, format(&[2; 32])?);
    /// let key = here.generate()?;
    /// let elsewhere = elsewhere.check(key.expose_secret().as_bytes());
    /// assert_eq!(elsewhere, Err(ParseKeyError::Checksum));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Of a flood of made-up keys, one in four billion passes and reaches the store.
    ///
    /// # Errors
    ///
    /// Returns an error if `secret` is shorter than 32 bytes (RFC 2104 §3).
    ///
    /// # Security
    ///
    /// Only the hash states that HMAC derives from the secret are kept; the caller clears the slice. The digits are
    /// compared in constant time. 32 bits filter and don't authenticate. A changed secret rejects every key issued
    /// before. Don't use a pepper as the secret.
    pub fn keyed(secret: &[u8]) -> Result<Self, KeyFormatError> {
        if secret.len() < MIN_SECRET_BYTES {
            let length = secret.len();
            let reason = format!("the secret has {length} bytes, at least {MIN_SECRET_BYTES} are needed");
            return Err(KeyFormatError::new("checksum", reason));
        }
        let state = Hmac::new_from_slice(secret).expect("HMAC takes a secret of any length");
        Ok(Self::Keyed(KeyedChecksum { state: Arc::new(state) }))
    }

    /// Returns the number of characters.
    pub(super) const fn length(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Crc32 | Self::Keyed(_) => DIGITS,
        }
    }

    /// Returns the digits for a key, given its head and its random characters.
    pub(super) fn digits(&self, head: &[u8], random: &[u8]) -> Option<[u8; DIGITS]> {
        let value = match self {
            Self::None => return None,
            Self::Crc32 => crc32fast::hash(random),
            Self::Keyed(keyed) => keyed.value(head, random),
        };
        Some(base62(value))
    }

    /// Returns `true` if `presented` are the right digits.
    pub(super) fn matches(&self, head: &[u8], random: &[u8], presented: &[u8]) -> bool {
        match self.digits(head, random) {
            None => presented.is_empty(),
            Some(expected) => expected.ct_eq(presented).into(),
        }
    }
}

/// The prepared secret of a [`Checksum::Keyed`].
///
/// ```
/// use apikey_core::Checksum;
///
/// let checksum = Checksum::keyed(&[7; 32])?;
/// assert_eq!(format!("{checksum:?}"), "Keyed([redacted])");
/// # Ok::<(), apikey_core::KeyFormatError>(())
/// ```
///
/// # Security
///
/// `Debug` is redacted; `==` compares in constant time.
#[derive(Clone)]
pub struct KeyedChecksum {
    state: Arc<Hmac<Sha256>>,
}

impl KeyedChecksum {
    fn value(&self, head: &[u8], random: &[u8]) -> u32 {
        let mac = Hmac::clone(&self.state).chain_update(head);
        let tag = mac.chain_update(random).finalize().into_bytes();
        u32::from_be_bytes([tag[0], tag[1], tag[2], tag[3]])
    }
}

impl PartialEq for KeyedChecksum {
    fn eq(&self, other: &Self) -> bool {
        // The states can't be compared, but their results for one message can.
        let [one, two] = [self, other].map(|checksum| Hmac::clone(&checksum.state).finalize());
        one == two
    }
}

impl Eq for KeyedChecksum {}

impl fmt::Debug for KeyedChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn base62(mut value: u32) -> [u8; DIGITS] {
    let mut digits = [BASE62[0]; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(value % 62) as usize];
        value /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_values_when_written_in_base62_then_six_digits_padded_on_the_left() {
        let cases =
            [(0, b"000000"), (9, b"000009"), (10, b"00000A"), (61, b"00000z"), (62, b"000010"), (u32::MAX, b"4gfFC3")];
        for (value, digits) in cases {
            assert_eq!(&base62(value), digits, "{value}");
        }
    }

    #[test]
    fn given_published_vectors_when_summed_then_the_digits_match() {
        // The check value of CRC-32/ISO-HDLC, then the example npm published.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        let random = b"qkJaB6MffYVzZXWqmcoF49yrUxP3wf";
        assert_eq!(Checksum::Crc32.digits(b"npm_", random).as_ref(), Some(b"0LsakP"));
        assert!(Checksum::Crc32.matches(b"other_", random, b"0LsakP"));
        assert!(!Checksum::Crc32.matches(b"npm_", random, b"0LsakQ"));
        assert!(!Checksum::Crc32.matches(b"npm_", random, b""));
    }

    #[test]
    fn given_a_keyed_checksum_when_head_random_or_secret_changes_then_so_do_the_digits() {
        let checksum = Checksum::keyed(&[1; 32]).unwrap();
        let digits = checksum.digits(b"tsk_live_", b"abc").unwrap();
        let mac = Hmac::<Sha256>::new_from_slice(&[1; 32]).unwrap();
        let tag = mac.chain_update(b"tsk_live_abc").finalize().into_bytes();
        let value = tag[..4].iter().fold(0, |v, &byte| v << 8 | u32::from(byte));
        assert_eq!(digits, base62(value));

        assert!(checksum.matches(b"tsk_live_", b"abc", &digits));
        assert!(!checksum.matches(b"tsk_test_", b"abc", &digits));
        assert!(!checksum.matches(b"tsk_live_", b"abd", &digits));
        let other = Checksum::keyed(&[2; 32]).unwrap();
        assert!(!other.matches(b"tsk_live_", b"abc", &digits));
    }

    #[test]
    fn given_no_checksum_when_matched_then_no_characters_are_expected() {
        assert_eq!(Checksum::None.digits(b"a_", b"b"), None);
        assert!(Checksum::None.matches(b"a_", b"b", b""));
        assert!(!Checksum::None.matches(b"a_", b"b", b"000000"));
    }

    #[test]
    fn given_a_secret_when_shorter_than_32_bytes_then_it_is_refused_without_being_shown() {
        for length in [0, 5, 31] {
            let error = Checksum::keyed(&vec![b'x'; length]).unwrap_err();
            assert_eq!(error.to_string(), format!("checksum: the secret has {length} bytes, at least 32 are needed"));
        }
        let debug = format!("{:?}", Checksum::keyed(&[b'x'; 32]).unwrap());
        assert_eq!(debug, "Keyed([redacted])");
    }

    #[test]
    fn given_keyed_checksums_when_compared_then_the_secret_decides() {
        let keyed = |byte| Checksum::keyed(&[byte; 40]).unwrap();
        assert_eq!(keyed(1), keyed(1));
        assert_ne!(keyed(1), keyed(2));
        assert_ne!(keyed(1), Checksum::Crc32);
        assert_ne!(Checksum::Crc32, Checksum::None);
    }
}
