//! What keys did, request by request, on its way to the store: off unless the host wants it, for after a leak.
//!
//! Recording never waits. What the store is too slow for is [sampled](queue), and what is left out is counted.

mod queue;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use apikey_core::{ActivitySink, AuthenticatedKey, RequestReport};
use futures_util::FutureExt;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use self::queue::Queue;
use crate::{
    backoff::Backoff,
    query::Activity,
    store::{KeyStore, StoreError},
};

/// A write that takes longer than this is given up, and made again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a shutdown tries.
const LAST_ATTEMPTS: usize = 4;
/// How much is kept of what a client chooses freely, in bytes.
const LONGEST: usize = 256;

/// How activity is recorded.
///
/// ```
/// use std::time::Duration;
/// use apikey_manager::ActivitySettings;
///
/// let settings = ActivitySettings::new().interval(Duration::from_secs(1)).capacity(50_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct ActivitySettings {
    interval: Duration,
    batch_size: usize,
    capacity: usize,
}

impl ActivitySettings {
    /// Every five seconds, or as soon as there is a batch of 500 requests; at most 10,000 requests in memory.
    pub fn new() -> Self {
        ActivitySettings { interval: Duration::from_secs(5), batch_size: 500, capacity: 10_000 }
    }

    /// Sets how often activity is written; at least every millisecond. A process that is killed loses what it recorded
    /// since.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets how many requests are written at once; at least one.
    pub fn batch_size(mut self, requests: usize) -> Self {
        self.batch_size = requests.max(1);
        self
    }

    /// Sets how many requests wait in memory at most; at least sixteen.
    ///
    /// While fewer than half of that wait, each request is recorded; from then on each second one, from three quarters on
    /// each fourth, from seven eighths on each sixteenth, and none when it is full.
    pub fn capacity(mut self, requests: usize) -> Self {
        self.capacity = requests.max(16);
        self
    }
}

impl Default for ActivitySettings {
    fn default() -> Self {
        ActivitySettings::new()
    }
}

/// Records what keys do. Clones are the same log.
///
/// Give it to the authenticator as its [`ActivitySink`], or hand it [records](ActivityLog::record) of your own.
///
/// A write whose answer is lost is made again: a request may then stand in the log twice, rather than not at all.
#[derive(Clone)]
pub struct ActivityLog(Arc<Owner>);

/// Ends the task with the last clone.
struct Owner {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    store: Arc<dyn KeyStore>,
    settings: ActivitySettings,
    queue: Mutex<Queue>,
    is_batch_ready: Notify,
    /// Whoever writes holds it, so that batches go one after another.
    turn: tokio::sync::Mutex<()>,
}

impl ActivityLog {
    /// Spawns the task that writes.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub(crate) fn start(store: Arc<dyn KeyStore>, settings: ActivitySettings) -> Self {
        let shared = Arc::new(Shared {
            store,
            settings,
            queue: Mutex::new(Queue::new(settings.capacity)),
            is_batch_ready: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
        });
        let task = tokio::spawn(run(Arc::clone(&shared)));
        ActivityLog(Arc::new(Owner { shared, task: Mutex::new(Some(task)) }))
    }

    /// Records one request, or leaves it out. Never waits.
    pub fn record(&self, activity: Activity) {
        self.0.shared.offer(|| Some(activity));
    }

    /// How many requests were left out since the log was opened.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.0.shared.queue().left_out()
    }

    /// Writes all that was recorded before the call.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        self.0.shared.write().await
    }

    /// Stops the task and writes what is left.
    pub(crate) async fn shutdown(&self) {
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
        let mut backoff = Backoff::default();
        for attempt in 1..=LAST_ATTEMPTS {
            match self.flush().await {
                Ok(()) => return,
                Err(error) if attempt == LAST_ATTEMPTS => {
                    let requests = self.0.shared.queue().len();
                    tracing::error!(target: "apikey", requests, error = &error as &dyn std::error::Error, "activity could not be written before the end");
                }
                Err(_) => sleep(backoff.next()).await,
            }
        }
    }
}

impl ActivitySink for ActivityLog {
    /// Keys without an organization are none of the manager's, and left alone.
    fn record(&self, key: &AuthenticatedKey, request: &RequestReport<'_>) {
        self.0.shared.offer(|| {
            Some(Activity {
                organization: key.organization()?.clone(),
                key: key.key_id().clone(),
                at: request.at,
                method: shortened(request.method),
                route: request.route.map(shortened),
                status: request.status,
                address: request.address.map(shortened),
                user_agent: request.user_agent.map(shortened),
            })
        });
    }
}

/// As much of `text` as is kept, without control characters.
fn shortened(text: &str) -> String {
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text[..end].chars().filter(|c| !c.is_control()).collect()
}

async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    let mut told = 0;
    loop {
        tokio::select! {
            () = sleep(shared.settings.interval) => {}
            () = shared.is_batch_ready.notified() => {}
        }
        let left_out = shared.queue().left_out();
        if left_out > told {
            let requests = left_out - told;
            tracing::warn!(target: "apikey", requests, "the store is too slow for all activity; some was left out");
            told = left_out;
        }
        match shared.write().await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                let wait = backoff.next();
                tracing::warn!(target: "apikey", ?wait, error = &error as &dyn std::error::Error, "activity was not written");
                tokio::time::sleep_until(Instant::now() + wait).await;
            }
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a request only if there is room for it.
    fn offer(&self, activity: impl FnOnce() -> Option<Activity>) {
        if !self.queue().admits() {
            return;
        }
        let Some(activity) = activity() else { return };
        let waiting = self.queue().push(activity);
        if waiting == Some(self.settings.batch_size) {
            self.is_batch_ready.notify_one();
        }
    }

    /// Writes all that waited when this was called.
    async fn write(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let mut left = self.queue().len();
        while left > 0 {
            let batch = self.queue().first(self.settings.batch_size.min(left));
            let adding = AssertUnwindSafe(async { self.store.add_activity(&batch).await }).catch_unwind();
            match timeout(WRITE_TIMEOUT, adding).await {
                Ok(Ok(added)) => added?,
                Ok(Err(_)) => return Err(StoreError::unknown("the store panicked")),
                Err(elapsed) => return Err(StoreError::unknown(elapsed)),
            }
            let written = self.queue().remove_first(batch.len());
            drop(written);
            left -= batch.len();
        }
        Ok(())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl fmt::Debug for ActivityLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityLog").field("settings", &self.0.shared.settings).finish_non_exhaustive()
    }
}
