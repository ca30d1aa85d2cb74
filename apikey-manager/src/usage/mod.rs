//! Usage on its way to the store: taken from the authenticator every few seconds, [summed](pending), and written in
//! batches.
//!
//! Every count is in exactly one place at any time: in the authenticator, in the pending sums, in the batch that is
//! being written, or in the store. A batch with an unknown outcome is written again under the same id, so that the
//! store recognizes it.

mod pending;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use apikey_core::{Authenticator, Clock};

use self::pending::Pending;
use crate::{
    fleet,
    query::{Bucket, HOUR},
    store::{KeyStore, StoreError},
    writer::{Outbox, Writer, attempt},
};

/// How usage is written.
///
/// ```
/// use std::time::Duration;
/// use apikey_manager::UsageSettings;
///
/// let settings = UsageSettings::new().interval(Duration::from_secs(1)).batch_size(2_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct UsageSettings {
    pub(crate) interval: Duration,
    pub(crate) batch_size: usize,
    pub(crate) capacity: usize,
}

impl UsageSettings {
    /// Creates the defaults: a write within five seconds, 500 rows a batch, and at most 100,000 rows in memory.
    pub fn new() -> Self {
        UsageSettings { interval: Duration::from_secs(5), batch_size: 500, capacity: 100_000 }
    }

    /// Sets how often usage is written: at least every millisecond. A process that is killed loses the counts since the
    /// last write.
    ///
    /// Processes write up to a fifth sooner, at random, because they write the same rows. Where there are more than ten,
    /// each waits longer: ten times as long where there are a thousand, and in general by the square root.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets how many rows, one for each key and hour, one write contains: at least one.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = rows.max(1);
        self
    }

    /// Sets how many rows are kept while the store fails: at least one batch. Once half of them are in use, they are
    /// written before the interval ends. When all are in use, new rows displace the oldest hours, whose counts are
    /// lost.
    pub fn capacity(mut self, rows: usize) -> Self {
        self.capacity = rows.max(1);
        self
    }
}

impl Default for UsageSettings {
    fn default() -> Self {
        UsageSettings::new()
    }
}

/// The counts of an authenticator that are not yet written.
pub(crate) struct CountedUsage {
    store: Arc<dyn KeyStore>,
    authenticator: Authenticator,
    clock: Clock,
    settings: UsageSettings,
    /// Tells how many processes write.
    fleet: Arc<fleet::State>,
    pending: Mutex<Pending>,
}

/// A count is filed under the hour of its key's last use, so what is taken after the hour may count for the next one. A
/// timer may be late by a few milliseconds.
const BEFORE_THE_END: Duration = Duration::from_millis(5);

/// Up to so many processes write at the interval.
const FEW: usize = 10;

/// Starts to write the counts of `authenticator`.
///
/// # Panics
///
/// Panics outside of a tokio runtime.
pub(crate) fn write_usage(
    store: Arc<dyn KeyStore>,
    authenticator: Authenticator,
    settings: UsageSettings,
    fleet: Arc<fleet::State>,
) -> Writer<CountedUsage> {
    Writer::start(CountedUsage {
        store,
        clock: authenticator.clock().clone(),
        authenticator,
        settings,
        fleet,
        pending: Mutex::new(Pending::new(settings.capacity.max(settings.batch_size))),
    })
}

impl CountedUsage {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox for CountedUsage {
    const NAME: &'static str = "usage";

    fn interval(&self) -> Duration {
        let crowd = self.fleet.nodes().max(FEW) as f64 / FEW as f64;
        self.settings.interval.mul_f64(crowd.sqrt())
    }

    /// Returns the time until a moment before the hour's end, so that an hour's counts are taken within that hour.
    fn collected_within(&self) -> Option<Duration> {
        let now = self.clock.wall();
        let left = Bucket::Hour.end(now).saturating_since(now);
        Some(left.checked_sub(BEFORE_THE_END).filter(|left| !left.is_zero()).unwrap_or(left + HOUR - BEFORE_THE_END))
    }

    fn grows(&self) -> impl Future<Output = ()> + Send {
        self.authenticator.usage_piles_up()
    }

    fn collect(&self) {
        let taken = self.authenticator.take_usage();
        let lost = self.pending().add(taken);
        if lost > 0 {
            tracing::warn!(target: "apikey", requests = lost, "the store accepts no usage; the oldest counts are lost");
        }
    }

    /// A key that is used again doesn't need another row, so fewer rows may wait than this counts.
    fn is_filling(&self) -> bool {
        self.pending().is_half_full()
    }

    fn waiting(&self) -> u64 {
        self.pending().requests()
    }

    async fn write(&self) -> Result<(), StoreError> {
        loop {
            let now = self.clock.wall();
            let (batch, lost) =
                self.pending().next_batch(self.settings.batch_size, now).map_err(StoreError::unavailable)?;
            if lost > 0 {
                tracing::warn!(target: "apikey", requests = lost, "it is unknown whether usage was written; it is given up");
            }
            let Some(batch) = batch else {
                return Ok(());
            };
            let added = attempt(async { self.store.add_usage(&batch).await }).await;
            // A batch that is already there was written by an attempt whose answer was lost.
            let holds = added.as_ref().map_or_else(StoreError::is_unknown, |_| true);
            self.pending().batch_ended(added.is_ok(), holds);
            added?;
        }
    }
}
