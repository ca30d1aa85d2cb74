//! The ids of what a key belongs to, and the key's own: what logs, URLs and audit trails show instead of the secret.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{clock::Timestamp, key::no_randomness::NoRandomness, text};

/// Crockford's base 32: digits and lower-case letters without i, l, o and u, in ascending byte order.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

const RECORD_RULE: &str = "an id has 1 to 64 characters of [A-Za-z0-9._:-]";
const NAME_RULE: &str = "an id has 1 to 128 characters, and none that is invisible";

/// A text is not an id of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdError(&'static str);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes an id.
            ///
            /// # Errors
            ///
            /// Returns an error if the text breaks the rule above.
            pub fn new(id: impl AsRef<str>) -> Result<Self, IdError> {
                $check(id.as_ref())?;
                Ok($name(id.as_ref().into()))
            }

            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(id: &str) -> Result<Self, IdError> {
                $name::new(id)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let id = std::borrow::Cow::<str>::deserialize(deserializer)?;
                $name::new(id).map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// The public id of a key's record: 1–64 characters of `[A-Za-z0-9._:-]`.
    ///
    /// It is never derived from the secret, so it may be logged. Whatever ids a database already has (UUIDs, integers)
    /// fit.
    ///
    /// ```
    /// use apikey_core::KeyId;
    ///
    /// let id: KeyId = "nightly-build".parse()?;
    /// assert_eq!(id.as_str(), "nightly-build");
    /// assert!(KeyId::new("has space").is_err());
    /// # Ok::<(), apikey_core::IdError>(())
    /// ```
    KeyId, check_record_id
}

id! {
    /// The id of a service account: 1–64 characters of `[A-Za-z0-9._:-]`.
    ServiceAccountId, check_record_id
}

id! {
    /// The id of an organization (tenant, workspace, account), as the host names it: 1–128 visible characters, as
    /// [`text`] defines them.
    ///
    /// ```
    /// use apikey_core::OrganizationId;
    ///
    /// let acme: OrganizationId = "acme".parse()?;
    /// assert_eq!(acme.as_str(), "acme");
    /// assert!(OrganizationId::new("").is_err());
    /// # Ok::<(), apikey_core::IdError>(())
    /// ```
    OrganizationId, check_name
}

id! {
    /// Who did something, as an audit trail names them: `key:…` for a key, and what the host says for others. 1–128
    /// visible characters, as [`text`] defines them.
    ActorId, check_name
}

impl KeyId {
    /// Returns a new id that sorts by `now`: `key_`, then 48 bits of milliseconds and 80 random bits in base 32.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system gives no random bytes.
    pub fn generate(now: impl Into<Timestamp>) -> Result<Self, NoRandomness> {
        generate("key_", now.into()).map(|id| KeyId(id.into()))
    }
}

impl ServiceAccountId {
    /// Returns a new id that sorts by `now`: `sa_`, then what a generated [`KeyId`] has.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system gives no random bytes.
    pub fn generate(now: impl Into<Timestamp>) -> Result<Self, NoRandomness> {
        generate("sa_", now.into()).map(|id| ServiceAccountId(id.into()))
    }
}

impl ActorId {
    /// Returns the id of a key that acts for itself: `key:` and the key's id.
    #[must_use]
    pub fn of_key(key: &KeyId) -> Self {
        ActorId(format!("key:{key}").into())
    }
}

fn generate(prefix: &str, now: Timestamp) -> Result<String, NoRandomness> {
    let mut random = [0u8; 10];
    getrandom::fill(&mut random).map_err(NoRandomness)?;
    let tail = random.iter().fold(0u128, |n, byte| n << 8 | u128::from(*byte));
    let bits = u128::from(now.as_millis().unsigned_abs()) << 80 | tail;
    // 26 digits of five bits hold 130; the first carries the upper three of 128.
    let digits = (0..26).rev().map(|place| char::from(BASE32[(bits >> (place * 5)) as usize & 31]));
    Ok(prefix.chars().chain(digits).collect())
}

fn check_record_id(id: &str) -> Result<(), IdError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    let is_good = !id.is_empty() && id.len() <= 64 && id.bytes().all(allowed);
    if is_good { Ok(()) } else { Err(IdError(RECORD_RULE)) }
}

fn check_name(id: &str) -> Result<(), IdError> {
    if text::is_name(id, 128) { Ok(()) } else { Err(IdError(NAME_RULE)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ids_of_records_have_the_documented_alphabet_only() {
        for good in ["1", "550e8400-e29b-41d4-a716-446655440000", "a.b:c_d-e", &"x".repeat(64)] {
            assert_eq!(KeyId::new(good).unwrap().as_str(), good);
            assert_eq!(ServiceAccountId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "é", "a\n", "a/b", &"x".repeat(65)] {
            assert_eq!(KeyId::new(bad), Err(IdError(RECORD_RULE)), "{bad:?}");
            assert_eq!(ServiceAccountId::new(bad), Err(IdError(RECORD_RULE)), "{bad:?}");
        }
    }

    #[test]
    fn people_can_see_every_id_that_a_host_makes() {
        let longest = "ä".repeat(128);
        for id in ["acme", "Ümlaut & Söhne", "alice@example.com", "شركة", &longest] {
            assert_eq!(OrganizationId::new(id).unwrap().as_str(), id);
            assert_eq!(ActorId::new(id).unwrap().as_str(), id);
        }
        for id in ["", " ", "\u{2800}", "a\0", "a\n", "ali\u{200b}ce", "\u{202e}ecila", "a\u{2028}b", &"ä".repeat(129)]
        {
            assert!(OrganizationId::new(id).is_err() && ActorId::new(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn json_holds_the_text_and_is_checked() {
        let json = serde_json::to_value(OrganizationId::new("acme").unwrap()).unwrap();
        assert_eq!(json, "acme");
        assert_eq!(serde_json::from_value::<OrganizationId>(json).unwrap().as_str(), "acme");
        assert!(serde_json::from_str::<OrganizationId>("\"\"").is_err());
        assert!(serde_json::from_str::<KeyId>("\"a b\"").is_err());
    }

    #[test]
    fn ids_generated_later_sort_after() {
        let t = Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let ids: Vec<_> = (0..50).map(|i| KeyId::generate(t + Duration::from_millis(i)).unwrap()).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.as_str().len() == 30 && KeyId::new(id.as_str()).is_ok()));
        let account = ServiceAccountId::generate(t).unwrap();
        assert!(account.as_str().starts_with("sa_") && account.as_str().len() == 29);
    }

    #[test]
    fn two_ids_of_one_instant_differ() {
        let now = Timestamp::now();
        assert_ne!(KeyId::generate(now).unwrap(), KeyId::generate(now).unwrap());
    }
}
