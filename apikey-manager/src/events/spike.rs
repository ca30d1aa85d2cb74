//! A key that is suddenly used far more than it usually is: by mistake, or by a thief.

use apikey_core::Timestamp;
use serde::Serialize;
use std::time::Duration;

use crate::query::{Bucket, HOUR, UsageBucket};

/// How many hours make up what is usual.
const USUAL: u32 = 7 * 24;
/// What is younger has no habits.
const LEAST: u32 = 24;
/// How long after an hour its counts have surely been written, by every node.
const WRITTEN_AFTER: Duration = Duration::from_secs(60);

/// From how many requests on an hour is a spike.
///
/// The last full hour is one when its requests, those refused for a missing scope included, are at least `minimum`, and at
/// least `factor` times the median of the 7 days of full hours before it. Hours without use count as zero; hours before
/// the key was issued don't count; a key with fewer than 24 hours that count has no spikes. The median of an even number of
/// hours is the greater of the two in the middle.
///
/// ```
/// use apikey_manager::SpikeThreshold;
///
/// let threshold = SpikeThreshold::new().factor(20).minimum(10_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct SpikeThreshold {
    factor: u64,
    minimum: u64,
}

impl SpikeThreshold {
    /// Ten times the median, and at least 1,000 requests.
    pub fn new() -> Self {
        SpikeThreshold { factor: 10, minimum: 1_000 }
    }

    /// Sets how many times the median an hour has to have.
    pub fn factor(mut self, factor: u64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets how many requests it has to have, however few are usual; at least one.
    pub fn minimum(mut self, requests: u64) -> Self {
        self.minimum = requests.max(1);
        self
    }

    /// Is `hour` of a key created at `created_at` a spike? `usage` has its hours and those before it, in any order.
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

/// An hour of unusual use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Spike {
    /// The hour's beginning.
    pub hour: Timestamp,
    /// Its requests, those refused for a missing scope included.
    pub requests: u64,
    /// The median of the hours before it.
    pub median: u64,
}

/// The hour to look at, at `now`: the last one whose counts have surely been written. And when that came to be.
pub(super) fn last_written_hour(now: Timestamp) -> (Timestamp, Timestamp) {
    let end = Bucket::Hour.start(now.saturating_sub(WRITTEN_AFTER));
    (end.saturating_sub(HOUR), end.saturating_add(WRITTEN_AFTER))
}

/// The beginning of the hours that say what is usual, before `hour`.
pub(super) fn usual_from(hour: Timestamp, created_at: Timestamp) -> Timestamp {
    let first_full = Bucket::Hour.end(created_at.saturating_sub(Duration::from_millis(1)));
    hour.saturating_sub(HOUR * USUAL).max(first_full).min(hour)
}

fn total(counted: &UsageBucket) -> u64 {
    counted.ok.saturating_add(counted.refused)
}
