//! Events for the host: [changes](Event::Issued) of keys when they happen, and [due](due) events, which one
//! [sweep](sweep) finds for all nodes.

mod deliver;
mod due;
mod spike;
pub(crate) mod sweep;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use apikey_core::{OrganizationId, Timestamp};
use serde::{Serialize, Serializer};

pub use self::sweep::Retention;
pub(crate) use self::{
    deliver::Events,
    sweep::{Sweep, SweepSettings},
};
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
/// Due events are delivered at least once: some are repeated after a crash or a failure of the store. Events of issued
/// and revoked keys are delivered at most once. The audit trail is complete.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
        #[serde(rename = "within_seconds", serialize_with = "as_seconds")]
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

    fn of(key: &Arc<KeyHead>, due: Due) -> Self {
        let key = Arc::clone(key);
        match due {
            Due::Expiring { expires_at, within } => Event::Expiring { key, expires_at, within },
            Due::Expired { expired_at } => Event::Expired { key, expired_at },
            Due::Unused { since, .. } => Event::Unused { key, since },
            Due::RotationDue { since, .. } => Event::RotationDue { key, since },
        }
    }
}
