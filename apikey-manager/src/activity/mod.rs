//! Activity: what keys did, request by request, on its way to the store. It is off by default, and is meant for the
//! time after a leak.
//!
//! Recording never waits. A store that is too slow gets a [sample](queue), and omitted requests are counted.

mod queue;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use apikey_core::{ActivitySink, AuthenticatedKey, RequestReport};
use tokio::sync::Notify;

use self::queue::Queue;
use crate::{
    query::Activity,
    store::{KeyStore, StoreError},
    writer::{Outbox, Writer, attempt},
};

/// The most bytes that are kept of a text that a client chooses.
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
    /// Creates the defaults: a write every five seconds or for every 500 requests, and at most 10,000 requests in
    /// memory.
    pub fn new() -> Self {
        ActivitySettings { interval: Duration::from_secs(5), batch_size: 500, capacity: 10_000 }
    }

    /// Sets how often activity is written: at least every millisecond. A process that is killed loses the activity
    /// since the last write.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets how many requests one write contains: at least one.
    pub fn batch_size(mut self, requests: usize) -> Self {
        self.batch_size = requests.max(1);
        self
    }

    /// Sets how many requests may wait in memory: at least sixteen.
    ///
    /// Below half of the capacity, every request is recorded. From half on, every second one is; from three quarters
    /// on, every fourth; from seven eighths on, every sixteenth; and none when the queue is full.
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

/// Records activity. Clones share one log.
///
/// Set it as the authenticator's [`ActivitySink`], or [record](ActivityLog::record) requests yourself.
///
/// A write whose answer is lost is repeated, so that a request may be in the log twice.
#[derive(Clone)]
pub struct ActivityLog(Arc<Writer<Recorded>>);

/// The activity that was recorded and not yet written.
struct Recorded {
    store: Arc<dyn KeyStore>,
    settings: ActivitySettings,
    queue: Mutex<Queue>,
    is_batch_ready: Notify,
}

impl ActivityLog {
    /// Spawns the task that writes.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub(crate) fn start(store: Arc<dyn KeyStore>, settings: ActivitySettings) -> Self {
        let queue = Mutex::new(Queue::new(settings.capacity));
        ActivityLog(Arc::new(Writer::start(Recorded { store, settings, queue, is_batch_ready: Notify::new() })))
    }

    /// Records one request, or omits it. Never waits.
    pub fn record(&self, activity: Activity) {
        self.0.outbox().offer(|| Some(activity));
    }

    /// Returns the number of omitted requests since the log was opened.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.0.outbox().queue().left_out()
    }

    /// Writes everything that was recorded before the call.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        self.0.flush().await
    }

    /// Stops the task and writes the rest.
    pub(crate) async fn shutdown(&self) {
        self.0.shutdown().await;
    }
}

impl ActivitySink for ActivityLog {
    /// Ignores keys without an organization: they are not the manager's.
    fn record(&self, key: &AuthenticatedKey, request: &RequestReport<'_>) {
        self.0.outbox().offer(|| {
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

/// Truncates `text`, and removes control characters.
fn shortened(text: &str) -> String {
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text[..end].chars().filter(|c| !c.is_control()).collect()
}

impl Recorded {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `activity` only if there is room for the request.
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
}

impl Outbox for Recorded {
    const NAME: &'static str = "activity";

    fn interval(&self) -> Duration {
        self.settings.interval
    }

    fn grows(&self) -> impl Future<Output = ()> + Send {
        self.is_batch_ready.notified()
    }

    fn collect(&self) {
        let requests = self.queue().newly_left_out();
        if requests > 0 {
            tracing::warn!(target: "apikey", requests, "the store is too slow for all activity; some was omitted");
        }
    }

    fn is_filling(&self) -> bool {
        self.queue().len() >= self.settings.batch_size
    }

    fn waiting(&self) -> u64 {
        self.queue().len() as u64
    }

    async fn write(&self) -> Result<(), StoreError> {
        let mut left = self.queue().len();
        while left > 0 {
            let batch = self.queue().first(self.settings.batch_size.min(left));
            attempt(async { self.store.add_activity(&batch).await }).await?;
            let written = self.queue().remove_first(batch.len());
            drop(written);
            left -= batch.len();
        }
        Ok(())
    }
}

impl fmt::Debug for ActivityLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityLog").field("settings", &self.0.outbox().settings).finish_non_exhaustive()
    }
}
