//! What the host is told of its keys: what was [done](Event::Issued) to them as it is done, and what time has made of them
//! when it is [due](due), by one [sweep](sweep) for all nodes.

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

/// Something that happened to a key, or that time has made of it.
///
/// It holds the key's head: what else is kept of the key may be large, and events wait for the host's handler.
///
/// Those of the sweep are told at least once: after a crash or a store's failure some are told again. What was issued and
/// revoked is told while it happens and is not made up for; the audit trail is complete.
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
        /// The moment.
        expires_at: Timestamp,
        /// The threshold that was passed: it is at most so long until then.
        #[serde(rename = "within_seconds", serialize_with = "as_seconds")]
        within: Duration,
    },
    /// A key has expired.
    #[serde(rename = "key.expired")]
    Expired {
        /// The key.
        key: Arc<KeyHead>,
        /// The moment.
        expired_at: Timestamp,
    },
    /// A key was not used for long.
    #[serde(rename = "key.unused")]
    Unused {
        /// The key.
        key: Arc<KeyHead>,
        /// When it was last used, or else could first have been.
        since: Timestamp,
    },
    /// A key's newest secret is old.
    #[serde(rename = "key.rotation_due")]
    RotationDue {
        /// The key.
        key: Arc<KeyHead>,
        /// When that secret was made.
        since: Timestamp,
    },
    /// A key was used far more than it usually is.
    #[serde(rename = "key.usage_spike")]
    UsageSpike {
        /// The key.
        key: Arc<KeyHead>,
        /// How much more.
        spike: Spike,
    },
}

fn as_seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(span.as_secs())
}

impl Event {
    /// The key, as it was when this was found out.
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

    /// Whose key it is.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        &self.key().organization
    }

    /// For programs: a name that stays the same, such as `key.expiring`.
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
