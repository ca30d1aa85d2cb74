//! What is due for a key. It follows from the key's record, the time and the host's thresholds, and is not stored.

use apikey_core::Timestamp;
use std::time::Duration;

use super::SpikeThreshold;
use crate::{
    query::DAY,
    record::{KeyRecord, Status},
};

/// When the host is notified about a key.
///
/// ```
/// use std::time::Duration;
/// use apikey_manager::Thresholds;
///
/// let day = Duration::from_secs(24 * 3_600);
/// let thresholds = Thresholds::new().expiring([day * 14, day]).unused(day * 30).rotation(None);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Thresholds {
    /// Shortest first.
    pub(crate) expiring: Vec<Duration>,
    pub(crate) unused: Option<Duration>,
    pub(crate) rotation: Option<Duration>,
    pub(crate) spike: Option<SpikeThreshold>,
}

impl Thresholds {
    /// Creates the defaults: expiry within 7 days and within one day, unused for 90 days, rotation due after 90 days,
    /// and a spike at ten times the median.
    pub fn new() -> Self {
        Thresholds {
            expiring: vec![DAY, 7 * DAY],
            unused: Some(90 * DAY),
            rotation: Some(90 * DAY),
            spike: Some(SpikeThreshold::new()),
        }
    }

    /// Sets how long before its expiry a key counts as expiring. Each length causes one notification.
    pub fn expiring(mut self, before: impl IntoIterator<Item = Duration>) -> Self {
        self.expiring = before.into_iter().collect();
        self.expiring.sort_unstable();
        self
    }

    /// Sets after how long a key counts as unused; `None` means never.
    pub fn unused(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.unused = after.into();
        self
    }

    /// Sets the age of the newest secret from which a key should be rotated; `None` means never.
    pub fn rotation(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.rotation = after.into();
        self
    }

    /// Sets what counts as a spike; `None` means nothing.
    pub fn spike(mut self, spike: impl Into<Option<SpikeThreshold>>) -> Self {
        self.spike = spike.into();
        self
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds::new()
    }
}

/// Something that is due for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// The key will expire soon.
    Expiring {
        /// The time of expiry.
        expires_at: Timestamp,
        /// The shortest threshold that was passed.
        within: Duration,
    },
    /// The key has expired.
    Expired {
        /// The time of expiry.
        expired_at: Timestamp,
    },
    /// The key has not been used for a long time.
    Unused {
        /// The last use, or the time from which the key could have been used.
        since: Timestamp,
        /// The threshold.
        after: Duration,
    },
    /// The newest secret is old.
    RotationDue {
        /// When that secret was created.
        since: Timestamp,
        /// The threshold.
        after: Duration,
    },
}

impl Due {
    /// Returns the time since when it has been due.
    #[must_use]
    pub fn moment(&self) -> Timestamp {
        match *self {
            Due::Expiring { expires_at, within } => expires_at.saturating_sub(within),
            Due::Expired { expired_at } => expired_at,
            Due::Unused { since, after } | Due::RotationDue { since, after } => since.saturating_add(after),
        }
    }
}

/// Returns what is due for `key` at `now`.
///
/// Nothing is due for a revoked key, and only the expiry for an expired one. A disabled key is neither unused nor due
/// for rotation. A key with a shorter lifetime than a threshold is not expiring by that threshold.
///
/// ```
/// # use std::time::Duration;
/// # use apikey_core::{KeyDigest, KeyId, Timestamp};
/// # use apikey_manager::{ActorId, Due, KeyRecord, OrganizationId, Thresholds, due};
/// # let issued = Timestamp::UNIX_EPOCH;
/// # let (id, digest) = (KeyId::new("k")?, KeyDigest::sha256_from_bytes([0; 32]));
/// # let key = KeyRecord::new(id, OrganizationId::new("acme")?, digest, issued, ActorId::new("host")?);
/// let hundred_days = Duration::from_secs(100 * 24 * 3_600);
/// let due = due(&key, key.created_at + hundred_days, &Thresholds::new());
/// assert!(matches!(due[..], [Due::Unused { .. }, Due::RotationDue { .. }]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn due(key: &KeyRecord, now: Timestamp, thresholds: &Thresholds) -> Vec<Due> {
    let mut all = Vec::new();
    let status = key.status(now);
    if let Some(expires_at) = key.expires_at {
        if status == Status::Expired {
            all.push(Due::Expired { expired_at: expires_at });
        } else if status != Status::Revoked {
            let passed = thresholds.expiring.iter().map(|within| Due::Expiring { expires_at, within: *within });
            all.extend(passed.into_iter().find(|due| due.moment() <= now && due.moment() >= key.created_at));
        }
    }
    if matches!(status, Status::Active | Status::Rotating) {
        if let Some(after) = thresholds.unused {
            let since = key.last_used_at.max(key.not_before).max(Some(key.created_at)).unwrap_or(key.created_at);
            all.push(Due::Unused { since, after });
        }
        if let (Some(after), Some(newest)) = (thresholds.rotation, key.secrets.first()) {
            all.push(Due::RotationDue { since: newest.created_at, after });
        }
        all.retain(|due| due.moment() <= now);
    }
    all
}
