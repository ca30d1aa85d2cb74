//! What time has made of a key: follows from its record, the moment and the host's thresholds, and is stored nowhere.

use apikey_core::Timestamp;
use std::time::Duration;

use super::SpikeThreshold;
use crate::record::{KeyRecord, Status};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// From when on something is worth telling.
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
    /// The shortest first.
    expiring: Vec<Duration>,
    unused: Option<Duration>,
    rotation: Option<Duration>,
    pub(super) spike: Option<SpikeThreshold>,
}

impl Thresholds {
    /// Expiry within 7 days and within one; unused for 90 days; rotation due after 90 days; a spike of ten times the
    /// median.
    pub fn new() -> Self {
        Thresholds {
            expiring: vec![DAY, 7 * DAY],
            unused: Some(90 * DAY),
            rotation: Some(90 * DAY),
            spike: Some(SpikeThreshold::new()),
        }
    }

    /// Sets how long before its expiry a key is expiring: as often as this has lengths.
    pub fn expiring(mut self, before: impl IntoIterator<Item = Duration>) -> Self {
        self.expiring = before.into_iter().collect();
        self.expiring.sort_unstable();
        self
    }

    /// Sets after how long a key counts as unused; `None` for never.
    pub fn unused(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.unused = after.into();
        self
    }

    /// Sets at what age of its newest secret a key should be rotated; `None` for never.
    pub fn rotation(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.rotation = after.into();
        self
    }

    /// Sets what a spike is; `None` for nothing.
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

/// What is due of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// It will expire soon.
    Expiring {
        /// The moment.
        expires_at: Timestamp,
        /// The shortest threshold that was passed.
        within: Duration,
    },
    /// It has expired.
    Expired {
        /// The moment.
        expired_at: Timestamp,
    },
    /// It was not used for long.
    Unused {
        /// When it was last used, or else could first have been.
        since: Timestamp,
        /// The threshold.
        after: Duration,
    },
    /// Its newest secret is old.
    RotationDue {
        /// When that secret was made.
        since: Timestamp,
        /// The threshold.
        after: Duration,
    },
}

impl Due {
    /// Since when it has been due.
    #[must_use]
    pub fn moment(&self) -> Timestamp {
        match *self {
            Due::Expiring { expires_at, within } => expires_at.saturating_sub(within),
            Due::Expired { expired_at } => expired_at,
            Due::Unused { since, after } | Due::RotationDue { since, after } => since.saturating_add(after),
        }
    }
}

/// What is due of `key` at `now`.
///
/// Nothing is of a revoked key, and of an expired one only that. A disabled key can't be used and need not be rotated. A
/// key that was issued for less than a threshold is not expiring by it.
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
