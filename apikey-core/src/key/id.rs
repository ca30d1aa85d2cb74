//! The public name of a key's record: what logs, URLs and audit trails show instead of the secret.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{clock::Timestamp, key::no_randomness::NoRandomness};

const MAX_LENGTH: usize = 64;
const GENERATED_PREFIX: &str = "key_";
/// Crockford's base 32: digits and lower-case letters without i, l, o and u, in ascending byte order.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The public id of a key's record: 1–64 characters of `[A-Za-z0-9._:-]`.
///
/// It is never derived from the secret, so it may be logged. Whatever ids a database already has (UUIDs, integers) fit.
///
/// ```
/// use apikey_core::KeyId;
///
/// let id: KeyId = "ci-pipeline".parse()?;
/// assert_eq!(id.as_str(), "ci-pipeline");
/// assert!(KeyId::new("has space").is_err());
/// # Ok::<(), apikey_core::KeyIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

/// Why a string is no [`KeyId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id has 1 to 64 characters of [A-Za-z0-9._:-]")]
pub struct KeyIdError(());

impl KeyId {
    /// Checks and takes an id.
    ///
    /// # Errors
    ///
    /// When `id` is empty, longer than 64 characters, or has a character outside `[A-Za-z0-9._:-]`.
    pub fn new(id: impl AsRef<str>) -> Result<Self, KeyIdError> {
        let id = id.as_ref();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        if id.is_empty() || id.len() > MAX_LENGTH || !id.bytes().all(allowed) {
            return Err(KeyIdError(()));
        }
        Ok(KeyId(id.into()))
    }

    /// A new id that sorts by `now`: `key_`, then 48 bits of milliseconds and 80 random bits in base 32.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random bytes.
    pub fn generate(now: impl Into<Timestamp>) -> Result<Self, NoRandomness> {
        let mut random = [0u8; 10];
        getrandom::fill(&mut random).map_err(NoRandomness)?;
        let tail = random.iter().fold(0u128, |n, byte| n << 8 | u128::from(*byte));
        let bits = u128::from(now.into().as_millis().unsigned_abs()) << 80 | tail;
        // 26 digits of five bits hold 130; the first carries the upper three of 128.
        let digits = (0..26).rev().map(|place| char::from(BASE32[(bits >> (place * 5)) as usize & 31]));
        Ok(KeyId(GENERATED_PREFIX.chars().chain(digits).collect::<String>().into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.0)
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(id: &str) -> Result<Self, KeyIdError> {
        KeyId::new(id)
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = std::borrow::Cow::<str>::deserialize(deserializer)?;
        KeyId::new(id).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn given_ids_when_parsed_then_only_the_documented_alphabet_passes() {
        for good in ["1", "550e8400-e29b-41d4-a716-446655440000", "a.b:c_d-e", &"x".repeat(64)] {
            assert_eq!(KeyId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "é", "a\n", "a/b", &"x".repeat(65)] {
            assert_eq!(KeyId::new(bad), Err(KeyIdError(())), "{bad:?}");
        }
    }

    #[test]
    fn given_a_later_time_when_generated_then_the_id_sorts_after() {
        let t = Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let ids: Vec<_> = (0..50).map(|i| KeyId::generate(t + Duration::from_millis(i)).unwrap()).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.as_str().len() == 30 && KeyId::new(id.as_str()).is_ok()));
    }

    #[test]
    fn given_one_instant_when_generated_twice_then_the_ids_differ() {
        let now = Timestamp::now();
        assert_ne!(KeyId::generate(now).unwrap(), KeyId::generate(now).unwrap());
    }
}
