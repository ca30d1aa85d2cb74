//! Values with names: as text, parsed from text, and with serde.

/// The error for a text that is not the name of such a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of {0}")]
pub struct UnknownName(pub(crate) &'static str);

/// Implements `Display`, `FromStr`, `Serialize` and `Deserialize` for a type with `ALL` and `as_str`.
macro_rules! names {
    ($type:ty, $what:literal) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::names::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                let named = <$type>::ALL.iter().copied().find(|value| value.as_str() == name);
                named.ok_or($crate::names::UnknownName($what))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use names;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use apikey_core::{ActorId, KeyDigest, KeyId, OrganizationId, Timestamp};

    use crate::{Action, Bucket, Event, KeyHead, KeyRecord, Status};

    #[test]
    fn every_name_is_read_back() {
        for status in Status::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
            assert_eq!(serde_json::from_value::<Status>(serde_json::to_value(status).unwrap()).unwrap(), status);
        }
        Action::ALL.iter().for_each(|action| assert_eq!(action.to_string().parse(), Ok(*action)));
        Bucket::ALL.iter().for_each(|bucket| assert_eq!(bucket.to_string().parse(), Ok(*bucket)));
        assert_eq!("gone".parse::<Status>().unwrap_err().to_string(), "not the name of a status");
        assert!(
            "Active".parse::<Status>().is_err() && "".parse::<Action>().is_err() && "week".parse::<Bucket>().is_err()
        );
    }

    #[test]
    fn records_are_written_without_digests_and_events_with_their_names() {
        let digest = KeyDigest::sha256_from_bytes([0xab; 32]);
        let (id, acme) = (KeyId::new("k").unwrap(), OrganizationId::new("acme").unwrap());
        let actor = ActorId::new("someone").unwrap();
        let record = KeyRecord::new(id, acme, digest, Timestamp::UNIX_EPOCH, actor);
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!((&json["organization"], &json["created_at"]), (&"acme".into(), &"1970-01-01T00:00:00.000Z".into()));
        assert!(!json.to_string().contains("abab") && json["secrets"][0].get("digest").is_none(), "{json}");
        let event = Event::Expiring {
            key: Arc::new(KeyHead::from(&record)),
            expires_at: Timestamp::MAX,
            within: std::time::Duration::from_secs(60),
        };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!((&json["event"], &json["within_seconds"]), (&event.name().into(), &60.into()));
        assert_eq!(json["key"]["id"], "k");
    }
}
