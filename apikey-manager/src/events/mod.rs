//! Events: [changes](Event::Issued) of keys when they happen, and what is [due](due), which the sweep finds.

mod due;
mod spike;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use apikey_core::{OrganizationId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use self::spike::{last_written_hour, usual_from};
pub use self::{
    due::{Due, Thresholds, due},
    spike::{Spike, SpikeThreshold},
};
use crate::record::KeyHead;

/// A change of a key, or something that has become due for it.
///
/// It contains the key's head alone, because the rest of the record may be large and events wait for the host's
/// handler.
///
/// It is told by an [`Alert`](crate::Alert). Issued and revoked keys are told of only where somebody may receive it, a handler
/// or webhooks; the audit trail has all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
#[non_exhaustive]
pub enum Event {
    /// A key was issued.
    #[serde(rename = "key.issued")]
    Issued {
        /// The key.
        key: Arc<KeyHead>,
    },
    /// A key was revoked.
    #[serde(rename = "key.revoked")]
    Revoked {
        /// The key.
        key: Arc<KeyHead>,
    },
    /// A key will expire soon.
    #[serde(rename = "key.expiring")]
    Expiring {
        /// The key.
        key: Arc<KeyHead>,
        /// The time of expiry.
        expires_at: Timestamp,
        /// The threshold that was passed: the key expires within this time.
        #[serde(rename = "within_seconds", serialize_with = "as_seconds", deserialize_with = "from_seconds")]
        within: Duration,
    },
    /// A key has expired.
    #[serde(rename = "key.expired")]
    Expired {
        /// The key.
        key: Arc<KeyHead>,
        /// The time of expiry.
        expired_at: Timestamp,
    },
    /// A key has not been used for a long time.
    #[serde(rename = "key.unused")]
    Unused {
        /// The key.
        key: Arc<KeyHead>,
        /// The last use, or the time from which the key could have been used.
        since: Timestamp,
    },
    /// A key's newest secret is old.
    #[serde(rename = "key.rotation_due")]
    RotationDue {
        /// The key.
        key: Arc<KeyHead>,
        /// When that secret was created.
        since: Timestamp,
    },
    /// A key was used far more than usual.
    #[serde(rename = "key.usage_spike")]
    UsageSpike {
        /// The key.
        key: Arc<KeyHead>,
        /// The extent.
        spike: Spike,
    },
}

fn as_seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(span.as_secs())
}

fn from_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

impl Event {
    /// Returns the key as it was at the event.
    #[must_use]
    pub fn key(&self) -> &KeyHead {
        match self {
            Event::Issued { key }
            | Event::Revoked { key }
            | Event::Expiring { key, .. }
            | Event::Expired { key, .. }
            | Event::Unused { key, .. }
            | Event::RotationDue { key, .. }
            | Event::UsageSpike { key, .. } => key,
        }
    }

    /// Returns the organization that owns the key.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        &self.key().organization
    }

    /// Returns a stable name for programs, such as `key.expiring`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Event::Issued { .. } => "key.issued",
            Event::Revoked { .. } => "key.revoked",
            Event::Expiring { .. } => "key.expiring",
            Event::Expired { .. } => "key.expired",
            Event::Unused { .. } => "key.unused",
            Event::RotationDue { .. } => "key.rotation_due",
            Event::UsageSpike { .. } => "key.usage_spike",
        }
    }

    /// Returns `true` for the name of an event that is found again in each sweep, as long as its key exists unchanged.
    #[must_use]
    pub fn is_lasting(name: &str) -> bool {
        matches!(name, "key.expiring" | "key.unused" | "key.rotation_due")
    }

    /// Every name.
    pub const NAMES: [&'static str; 7] = [
        "key.issued",
        "key.revoked",
        "key.expiring",
        "key.expired",
        "key.unused",
        "key.rotation_due",
        "key.usage_spike",
    ];

    /// Returns a text that equal events have, and only these.
    pub(crate) fn reference(&self) -> String {
        let moment = match self {
            Event::Issued { .. } | Event::Revoked { .. } => String::new(),
            Event::Expiring { expires_at, within, .. } => format!(" {} {}", expires_at.as_millis(), within.as_secs()),
            Event::Expired { expired_at: at, .. } => format!(" {}", at.as_millis()),
            Event::Unused { since, .. } | Event::RotationDue { since, .. } => format!(" {}", since.as_millis()),
            Event::UsageSpike { spike, .. } => format!(" {}", spike.hour.as_millis()),
        };
        format!("{} {}{moment}", self.name(), self.key().id)
    }

    pub(crate) fn of(key: &Arc<KeyHead>, due: Due) -> Self {
        let key = Arc::clone(key);
        match due {
            Due::Expiring { expires_at, within } => Event::Expiring { key, expires_at, within },
            Due::Expired { expired_at } => Event::Expired { key, expired_at },
            Due::Unused { since, .. } => Event::Unused { key, since },
            Due::RotationDue { since, .. } => Event::RotationDue { key, since },
        }
    }
}
