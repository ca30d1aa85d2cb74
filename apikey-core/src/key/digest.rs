//! The digest that a store keeps instead of a key: 32 bytes and their algorithm.
//!
//! [`KeyHasher`](crate::KeyHasher) computes digests and knows the peppers.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The version of a pepper, written `v2`.
///
/// ```
/// use apikey_core::PepperVersion;
///
/// let version = PepperVersion::new(2);
/// assert_eq!((version.get(), version.to_string()), (2, "v2".to_owned()));
/// assert!(version > PepperVersion::new(1));
/// ```
///
/// Versions are names. The issuing pepper need not have the greatest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PepperVersion(u32);

impl PepperVersion {
    /// Creates the version with this number.
    ///
    /// ```
    /// # use apikey_core::PepperVersion;
    /// assert_eq!(PepperVersion::new(7).get(), 7);
    /// ```
    #[must_use]
    pub const fn new(version: u32) -> Self {
        Self(version)
    }

    /// Returns the number.
    ///
    /// ```
    /// # use apikey_core::PepperVersion;
    /// assert_eq!(PepperVersion::new(7).get(), 7);
    /// ```
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for PepperVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The algorithm of a [`KeyDigest`], displayed as `sha256` or `hmac-sha256:v2`.
///
/// ```
/// use apikey_core::{DigestAlgorithm, PepperVersion};
///
/// let peppered = DigestAlgorithm::HmacSha256 { pepper: PepperVersion::new(2) };
/// assert_eq!(peppered.to_string(), "hmac-sha256:v2");
/// assert_eq!(DigestAlgorithm::Sha256.to_string(), "sha256");
/// ```
///
/// A fast hash is right for keys of at least 128 random bits and wrong for passwords
/// (OWASP ASVS 6.5.2, 11.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigestAlgorithm {
    /// SHA-256 of the whole key (FIPS 180-4).
    Sha256,
    /// HMAC-SHA-256 of the whole key under a server-side secret (RFC 2104).
    HmacSha256 {
        /// The pepper's version.
        pepper: PepperVersion,
    },
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256 => f.write_str("sha256"),
            Self::HmacSha256 { pepper } => write!(f, "hmac-sha256:{pepper}"),
        }
    }
}

impl FromStr for DigestAlgorithm {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        match text.split_once(':') {
            None if text == "sha256" => Ok(Self::Sha256),
            Some(("hmac-sha256", version)) => {
                let pepper = parse_version(version).ok_or(ParseDigestError::Version)?;
                Ok(Self::HmacSha256 { pepper })
            }
            None if text == "hmac-sha256" => Err(ParseDigestError::Version),
            _ => Err(ParseDigestError::Algorithm),
        }
    }
}

/// A key's digest, which is stored, looked up and compared instead of the key.
///
/// ```
/// use apikey_core::{KeyDigest, KeyHasher};
///
/// let digest = KeyHasher::sha256().digest(&"abc".parse()?);
/// let text = digest.to_string();
/// assert_eq!(
///     text,
///     "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
/// );
/// assert_eq!(text.parse::<KeyDigest>()?, digest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `Display`, `FromStr` and serde use one text form, `sha256:<64 lower-case hex digits>` or
/// `hmac-sha256:v<version>:<64 lower-case hex digits>`. Each digest has exactly one text, so a
/// unique column over it holds.
///
/// # Errors
///
/// `FromStr` and `Deserialize` refuse any other text; see [`ParseDigestError`].
///
/// # Security
///
/// `==` takes the same time wherever the bytes differ (the algorithm is public and compared
/// first). `Debug` shows the algorithm only: an unpeppered digest lets a finder of a key confirm
/// that it is the right one.
#[derive(Clone)]
pub struct KeyDigest {
    algorithm: DigestAlgorithm,
    bytes: [u8; 32],
}

impl KeyDigest {
    /// Creates a digest from a SHA-256, such as one from a binary column.
    ///
    /// ```
    /// use apikey_core::{DigestAlgorithm, KeyDigest};
    ///
    /// let digest = KeyDigest::sha256_from_bytes([7; 32]);
    /// assert_eq!(digest.algorithm(), DigestAlgorithm::Sha256);
    /// ```
    #[must_use]
    pub const fn sha256_from_bytes(bytes: [u8; 32]) -> Self {
        Self { algorithm: DigestAlgorithm::Sha256, bytes }
    }

    /// Creates a digest from an HMAC-SHA-256 under the pepper of this version.
    ///
    /// ```
    /// use apikey_core::{KeyDigest, PepperVersion};
    ///
    /// let digest = KeyDigest::hmac_sha256_from_bytes(PepperVersion::new(2), [7; 32]);
    /// assert_eq!(digest.algorithm().to_string(), "hmac-sha256:v2");
    /// ```
    #[must_use]
    pub const fn hmac_sha256_from_bytes(pepper: PepperVersion, bytes: [u8; 32]) -> Self {
        Self { algorithm: DigestAlgorithm::HmacSha256 { pepper }, bytes }
    }

    /// Creates a digest from its algorithm and bytes, as a store keeps them in two columns.
    ///
    /// ```
    /// use apikey_core::KeyDigest;
    ///
    /// let digest = KeyDigest::from_bytes("hmac-sha256:v2".parse()?, [7; 32]);
    /// assert_eq!(digest.algorithm().to_string(), "hmac-sha256:v2");
    /// # Ok::<(), apikey_core::ParseDigestError>(())
    /// ```
    #[must_use]
    pub const fn from_bytes(algorithm: DigestAlgorithm, bytes: [u8; 32]) -> Self {
        Self { algorithm, bytes }
    }

    /// Returns the algorithm, including the pepper's version.
    ///
    /// ```
    /// # use apikey_core::{DigestAlgorithm, KeyDigest};
    /// let digest = KeyDigest::sha256_from_bytes([7; 32]);
    /// assert_eq!(digest.algorithm(), DigestAlgorithm::Sha256);
    /// ```
    #[must_use]
    pub const fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Returns the 32 bytes, for stores that keep the algorithm in a column of its own.
    ///
    /// ```
    /// # use apikey_core::KeyDigest;
    /// assert_eq!(KeyDigest::sha256_from_bytes([7; 32]).as_bytes(), &[7; 32]);
    /// ```
    ///
    /// # Security
    ///
    /// Comparing the bytes with `==` is not constant-time; compare digests instead.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    fn words(&self) -> [u64; 4] {
        let (words, _) = self.bytes.as_chunks::<8>();
        std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        // Four words, not 32 bytes: `subtle` puts an optimization barrier after every element.
        self.algorithm == other.algorithm && bool::from(self.words().ct_eq(&other.words()))
    }
}

impl Eq for KeyDigest {}

impl Hash for KeyDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.algorithm.hash(state);
        self.bytes.hash(state);
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({})", self.algorithm)
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0; 64];
        let hex = base16ct::lower::encode_str(&self.bytes, &mut hex).map_err(|_| fmt::Error)?;
        write!(f, "{}:{hex}", self.algorithm)
    }
}

impl FromStr for KeyDigest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let parts = if text.starts_with("sha256:") { text.split_once(':') } else { text.rsplit_once(':') };
        let (algorithm, hex) = parts.ok_or(ParseDigestError::Algorithm)?;
        Ok(Self::from_bytes(algorithm.parse()?, decode(hex)?))
    }
}

fn decode(hex: &str) -> Result<[u8; 32], ParseDigestError> {
    let mut bytes = [0; 32];
    if hex.len() != 2 * bytes.len() {
        return Err(ParseDigestError::Length);
    }
    base16ct::lower::decode(hex, &mut bytes).map_err(|_| ParseDigestError::Hex)?;
    Ok(bytes)
}

/// Parses `v2`, and only the text that `Display` writes: not `v02` or `v+2`.
pub(crate) fn parse_version(text: &str) -> Option<PepperVersion> {
    let digits = text.strip_prefix('v')?;
    let canonical = digits == "0" || !digits.starts_with(['0', '+']);
    let version = digits.parse().ok().filter(|_| canonical)?;
    Some(PepperVersion::new(version))
}

impl Serialize for KeyDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DigestVisitor)
    }
}

struct DigestVisitor;

impl de::Visitor<'_> for DigestVisitor {
    type Value = KeyDigest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key digest such as sha256:<64 hex digits>")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<KeyDigest, E> {
        text.parse().map_err(E::custom)
    }
}

/// The error for a text that is not a [`KeyDigest`].
///
/// ```
/// use apikey_core::{KeyDigest, ParseDigestError};
///
/// let error = "md5:00".parse::<KeyDigest>().unwrap_err();
/// assert_eq!(error, ParseDigestError::Algorithm);
/// ```
///
/// # Security
///
/// No message contains the text, which may be a key in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseDigestError {
    /// The text starts with neither `sha256:` nor `hmac-sha256:`.
    #[error("a digest starts with `sha256:` or `hmac-sha256:`")]
    Algorithm,
    /// `hmac-sha256:` is not followed by a version such as `v2:`.
    #[error("`hmac-sha256:` is followed by the pepper's version, such as `v2:`")]
    Version,
    /// The number of hex digits is not 64.
    #[error("a digest ends with exactly 64 hex digits")]
    Length,
    /// One of the 64 characters is not a lower-case hex digit.
    #[error("a digest is written in lower-case hex digits")]
    Hex,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

    fn bytes() -> [u8; 32] {
        std::array::from_fn(|at| if at == 31 { 0xff } else { at as u8 })
    }

    #[test]
    fn given_a_digest_when_written_and_read_then_it_is_the_same() {
        let peppered = |version| KeyDigest::hmac_sha256_from_bytes(PepperVersion::new(version), bytes());
        let cases = [
            (KeyDigest::sha256_from_bytes(bytes()), format!("sha256:{HEX}")),
            (peppered(0), format!("hmac-sha256:v0:{HEX}")),
            (peppered(17), format!("hmac-sha256:v17:{HEX}")),
            (peppered(u32::MAX), format!("hmac-sha256:v4294967295:{HEX}")),
        ];
        for (digest, text) in cases {
            assert_eq!(digest.to_string(), text);
            assert_eq!(text.parse::<KeyDigest>().unwrap(), digest);
            let json = serde_json::to_string(&digest).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<KeyDigest>(&json).unwrap(), digest);
        }
    }

    #[test]
    fn given_other_text_when_read_then_the_error_says_what_is_wrong_and_not_what_was_read() {
        use ParseDigestError::{Algorithm, Hex, Length, Version};
        let cases = [
            (String::new(), Algorithm),
            (HEX.to_owned(), Algorithm),
            (format!("SHA256:{HEX}"), Algorithm),
            (format!(" sha256:{HEX}"), Algorithm),
            (format!("sha512:{HEX}"), Algorithm),
            ("hunter2".to_owned(), Algorithm),
            ("sha256:".to_owned(), Length),
            (format!("sha256:{HEX}0"), Length),
            (format!("sha256:{}", &HEX[1..]), Length),
            (format!("sha256:{HEX}\n"), Length),
            (format!("sha256:v1:{HEX}"), Length),
            (format!("sha256:{}", HEX.to_uppercase()), Hex),
            (format!("sha256:{}g", &HEX[1..]), Hex),
            (format!("sha256:{}é", &HEX[2..]), Hex),
            (format!("hmac-sha256:{HEX}"), Version),
            (format!("hmac-sha256:2:{HEX}"), Version),
            (format!("hmac-sha256:v:{HEX}"), Version),
            (format!("hmac-sha256:v02:{HEX}"), Version),
            (format!("hmac-sha256:v00:{HEX}"), Version),
            (format!("hmac-sha256:v+2:{HEX}"), Version),
            (format!("hmac-sha256:v-2:{HEX}"), Version),
            (format!("hmac-sha256:v4294967296:{HEX}"), Version),
            ("hmac-sha256:v2:".to_owned(), Length),
        ];
        for (text, expected) in cases {
            let error = text.parse::<KeyDigest>().unwrap_err();
            assert_eq!(error, expected, "{text:?}");
            let json = serde_json::to_string(&text).unwrap();
            let read = serde_json::from_str::<KeyDigest>(&json).unwrap_err();
            for message in [error.to_string(), read.to_string()] {
                assert!(!message.contains("0102") && !message.contains("hunter2"));
            }
        }
        let message = serde_json::from_str::<KeyDigest>("1").unwrap_err().to_string();
        assert!(message.contains("expected a key digest such as"), "{message}");
    }

    #[test]
    fn given_two_digests_when_any_bit_or_the_algorithm_differs_then_they_are_unequal() {
        let digest = KeyDigest::sha256_from_bytes(bytes());
        assert_eq!(digest, digest.clone());
        for bit in 0..256 {
            let mut other = bytes();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(digest, KeyDigest::sha256_from_bytes(other), "bit {bit}");
        }
        let [one, two] = [1, 2].map(|n| KeyDigest::hmac_sha256_from_bytes(PepperVersion::new(n), bytes()));
        assert_ne!(digest, one);
        assert_ne!(one, two);
        let set = HashSet::from([digest.clone(), one.clone(), two, digest, one]);
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn given_digests_when_hashed_for_a_table_then_equal_ones_meet_and_others_spread() {
        let state = std::hash::RandomState::new();
        let hash = |digest: KeyDigest| std::hash::BuildHasher::hash_one(&state, digest);
        let peppered = |version| KeyDigest::hmac_sha256_from_bytes(PepperVersion::new(version), bytes());
        assert_eq!(hash(peppered(1)), hash(peppered(1)));
        let hashes = [peppered(1), peppered(2), KeyDigest::sha256_from_bytes(bytes())].map(hash);
        assert_eq!(HashSet::from(hashes).len(), 3);
        assert_ne!(hash(KeyDigest::sha256_from_bytes([1; 32])), hash(KeyDigest::sha256_from_bytes([2; 32])));
    }

    #[test]
    fn given_a_digest_when_formatted_for_debugging_then_only_the_algorithm_shows() {
        let digest = KeyDigest::sha256_from_bytes(bytes());
        assert_eq!(format!("{digest:?}"), "KeyDigest(sha256)");
        let digest = KeyDigest::hmac_sha256_from_bytes(PepperVersion::new(3), bytes());
        assert_eq!(format!("{digest:?}"), "KeyDigest(hmac-sha256:v3)");
    }
}
