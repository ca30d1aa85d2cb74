//! Usage on its way to the store: taken from the authenticator every few seconds, [added up](pending), written in batches.
//!
//! What was counted is in exactly one place at any moment: in the authenticator, among what is pending, in the batch that
//! is being written, or in the store. A batch whose outcome is not known is written again under its own id, so that the
//! store can tell.

mod pending;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use apikey_core::{Authenticator, Clock};
use futures_util::FutureExt;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use self::pending::Pending;
use crate::{
    backoff::Backoff,
    query::Bucket,
    store::{KeyStore, StoreError},
};

/// A write that takes longer than this is given up; whether it was made is then not known, and it is made again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a shutdown tries.
const LAST_ATTEMPTS: usize = 4;

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
    /// Every five seconds, 500 rows a batch, and at most 100,000 rows in memory.
    pub fn new() -> Self {
        UsageSettings { interval: Duration::from_secs(5), batch_size: 500, capacity: 100_000 }
    }

    /// Sets how often usage is written; at least every millisecond. A process that is killed loses what it counted since.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets how many rows, one for each key and hour, are written at once; at least one.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = rows.max(1);
        self
    }

    /// Sets how many rows are kept while the store fails; at least one batch. What fills half of that is written before the
    /// interval is over. What comes on top displaces the oldest hours, and their counts are lost.
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

/// Writes what an authenticator counts, until it is shut down or dropped.
pub(crate) struct UsageWriter {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    store: Arc<dyn KeyStore>,
    authenticator: Authenticator,
    clock: Clock,
    settings: UsageSettings,
    pending: Mutex<Pending>,
    /// Whoever writes holds it, so that batches go one after another.
    turn: tokio::sync::Mutex<()>,
}

impl UsageWriter {
    /// Spawns the task that writes.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub(crate) fn start(store: Arc<dyn KeyStore>, authenticator: Authenticator, settings: UsageSettings) -> Self {
        let shared = Arc::new(Shared {
            store,
            clock: authenticator.clock().clone(),
            authenticator,
            settings,
            pending: Mutex::new(Pending::new(settings.capacity.max(settings.batch_size))),
            turn: tokio::sync::Mutex::new(()),
        });
        let task = tokio::spawn(run(Arc::clone(&shared)));
        UsageWriter { shared, task: Mutex::new(Some(task)) }
    }

    /// Writes all that was counted before the call. Dropping it is safe: what it was writing is written again.
    ///
    /// # Errors
    ///
    /// The store's. Nothing is lost then, and the task tries again.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        self.shared.absorb();
        self.shared.write().await
    }

    /// Stops the task and writes what is left. To be called once no request is under way: what is counted later stays in
    /// memory, for a [`flush`](UsageWriter::flush).
    pub(crate) async fn shutdown(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
        let mut backoff = Backoff::default();
        for attempt in 1..=LAST_ATTEMPTS {
            match self.flush().await {
                Ok(()) => return,
                Err(error) if attempt == LAST_ATTEMPTS => {
                    let requests = self.shared.pending().requests();
                    tracing::error!(target: "apikey", requests, error = &error as &dyn std::error::Error, "usage could not be written before the end");
                }
                Err(_) => tokio::time::sleep(backoff.next()).await,
            }
        }
    }
}

impl Drop for UsageWriter {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    let mut next = Instant::now() + shared.until_next_taking();
    let mut not_before = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(next) => {}
            () = shared.authenticator.usage_piles_up() => {}
        }
        // Even while the store fails: an hour's counts are taken within that hour.
        shared.absorb();
        let now = Instant::now();
        let is_due = now >= next;
        if is_due {
            next = now + shared.until_next_taking();
            next = if not_before > now { next.min(not_before) } else { next };
        }
        // Before its time only what fills half of the room: a key that is used again meanwhile takes no row of its own.
        if now < not_before || !(is_due || shared.pending().is_half_full()) {
            continue;
        }
        match shared.write().await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                let wait = backoff.next();
                not_before = Instant::now() + wait;
                next = next.min(not_before);
                let requests = shared.pending().requests();
                tracing::warn!(target: "apikey", requests, ?wait, error = &error as &dyn std::error::Error, "usage was not written");
            }
        }
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The interval, or what is left of the hour if that is less: what was used in one hour is not counted to the next.
    fn until_next_taking(&self) -> Duration {
        let now = self.clock.wall();
        self.settings.interval.min(Bucket::Hour.end(now).saturating_since(now))
    }

    /// Takes what was counted.
    fn absorb(&self) {
        let taken = self.authenticator.take_usage();
        let lost = self.pending().add(taken);
        if lost > 0 {
            tracing::warn!(target: "apikey", requests = lost, "the store takes no usage; the oldest counts are lost");
        }
    }

    /// Writes until nothing is pending.
    async fn write(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        loop {
            let now = self.clock.wall();
            let (batch, lost) =
                self.pending().next_batch(self.settings.batch_size, now).map_err(StoreError::unavailable)?;
            if lost > 0 {
                tracing::warn!(target: "apikey", requests = lost, "whether usage was written can't be told any more; it is lost");
            }
            let Some(batch) = batch else {
                return Ok(());
            };
            let adding = AssertUnwindSafe(async { self.store.add_usage(&batch).await }).catch_unwind();
            let added = match timeout(WRITE_TIMEOUT, adding).await {
                Ok(Ok(added)) => added,
                Ok(Err(_)) => Err(StoreError::unknown("the store panicked")),
                Err(elapsed) => Err(StoreError::unknown(elapsed)),
            };
            // A batch that was there already was written by an attempt whose answer never came.
            let holds = added.as_ref().map_or_else(StoreError::is_unknown, |_| true);
            self.pending().batch_ended(added.is_ok(), holds);
            added?;
        }
    }
}

impl fmt::Debug for UsageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageWriter").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}
