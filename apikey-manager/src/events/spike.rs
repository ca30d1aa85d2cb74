//! Spikes: hours in which a key is used far more than usual, by mistake or by a thief.

use apikey_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::query::{Bucket, HOUR, UsageBucket};

/// The number of hours before it that an hour is compared with.
const USUAL: u32 = 7 * 24;
/// The least number of hours of a key that can have a spike.
const LEAST: u32 = 24;
/// How long after an hour every node has surely written its counts, which are
/// [collected](crate::writer::COLLECTED_FOR) at its end.
const WRITTEN_AFTER: Duration = Duration::from_secs(60);

/// The number of requests from which an hour counts as a spike.
///
/// The last full hour is a spike if its requests, including those refused for a missing scope, are at least `minimum`,
/// and at least `factor` times the median of the full hours of the 7 days before it. Hours without use count as zero,
/// and hours before the key was issued don't count. A key with fewer than 24 hours that count has no spikes. The median
/// of an even number of hours is the greater one of the two in the middle.
///
/// ```
/// use apikey_manager::SpikeThreshold;
///
/// let threshold = SpikeThreshold::new().factor(20).minimum(10_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct SpikeThreshold {
    pub(crate) factor: u64,
    pub(crate) minimum: u64,
}

impl SpikeThreshold {
    /// Creates the defaults: ten times the median, and at least 1,000 requests.
    pub fn new() -> Self {
        SpikeThreshold { factor: 10, minimum: 1_000 }
    }

    /// Sets the multiple of the median from which an hour is a spike.
    pub fn factor(mut self, factor: u64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the least number of requests of a spike: at least one.
    pub fn minimum(mut self, requests: u64) -> Self {
        self.minimum = requests.max(1);
        self
    }

    /// Returns the spike if `hour` is one, for a key created at `created_at`. `usage` has that hour and those before
    /// it, in any order.
    #[must_use]
    pub fn spike(&self, hour: Timestamp, created_at: Timestamp, usage: &[UsageBucket]) -> Option<Spike> {
        let requests = usage.iter().find(|counted| counted.start == hour).map_or(0, total);
        if requests < self.minimum {
            return None;
        }
        let begins = usual_from(hour, created_at);
        let hours = hour.saturating_since(begins).as_secs() / HOUR.as_secs();
        if hours < u64::from(LEAST) {
            return None;
        }
        let mut usual: Vec<u64> =
            usage.iter().filter(|counted| (begins..hour).contains(&counted.start)).map(total).collect();
        usual.resize(usual.len().max(hours as usize), 0);
        usual.sort_unstable();
        let median = usual[usual.len() / 2];
        (requests >= median.saturating_mul(self.factor)).then_some(Spike { hour, requests, median })
    }
}

impl Default for SpikeThreshold {
    fn default() -> Self {
        SpikeThreshold::new()
    }
}

/// An hour of unusually high use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spike {
    /// The beginning of the hour.
    pub hour: Timestamp,
    /// The requests of the hour, including those refused for a missing scope.
    pub requests: u64,
    /// The median of the hours before it.
    pub median: u64,
}

/// Returns the last hour whose counts have surely been written at `now`, and the time since when they have been.
pub(crate) fn last_written_hour(now: Timestamp) -> (Timestamp, Timestamp) {
    let end = Bucket::Hour.start(now.saturating_sub(WRITTEN_AFTER));
    (end.saturating_sub(HOUR), end.saturating_add(WRITTEN_AFTER))
}

/// Returns the beginning of the hours that `hour` is compared with.
pub(crate) fn usual_from(hour: Timestamp, created_at: Timestamp) -> Timestamp {
    let first_full = Bucket::Hour.end(created_at.saturating_sub(Duration::from_millis(1)));
    hour.saturating_sub(HOUR * USUAL).max(first_full).min(hour)
}

fn total(counted: &UsageBucket) -> u64 {
    counted.ok.saturating_add(counted.refused)
}
