//! The background writer of usage and activity. One task writes at an interval, waits longer after each failure, and
//! makes a few last attempts at shutdown.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    backoff::Backoff,
    chance::{self, shortened},
    store::StoreError,
};

/// The longest time of a write. The outcome of a longer one is unknown, and the write is repeated.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time between a collection that no write was due for and the write. It is drawn at random, because all
/// processes collect at the end of an hour.
pub(crate) const COLLECTED_FOR: Duration = Duration::from_secs(45);
/// The number of attempts at shutdown.
const LAST_ATTEMPTS: usize = 4;

/// The data that waits for a [`Writer`]. It limits itself.
pub(crate) trait Outbox: Send + Sync + 'static {
    /// The name of the data in the log.
    const NAME: &'static str;

    /// Returns the longest time until the next write.
    fn interval(&self) -> Duration;

    /// Returns the time until data must be collected although no write is due. It is written [soon after](COLLECTED_FOR).
    fn collected_within(&self) -> Option<Duration> {
        None
    }

    /// Completes when the writer should wake early.
    fn grows(&self) -> impl Future<Output = ()> + Send;

    /// Collects data. It is called whenever the writer wakes and before each flush, even while the store fails.
    fn collect(&self);

    /// Returns `true` if enough data waits to write early.
    fn is_filling(&self) -> bool;

    /// Returns the number of requests that wait to be written.
    fn waiting(&self) -> u64;

    /// Writes the data that waited at the call. Calls don't overlap, and may be dropped at any point.
    fn write(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Writes the data of an [`Outbox`], until it is shut down or dropped.
pub(crate) struct Writer<O> {
    shared: Arc<Shared<O>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<O> {
    outbox: O,
    /// Held during a write, so that batches are written one after another.
    turn: tokio::sync::Mutex<()>,
}

impl<O: Outbox> Writer<O> {
    /// Spawns the task that writes.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub(crate) fn start(outbox: O) -> Self {
        let shared = Arc::new(Shared { outbox, turn: tokio::sync::Mutex::new(()) });
        let task = tokio::spawn(run(Arc::clone(&shared)));
        Writer { shared, task: Mutex::new(Some(task)) }
    }

    pub(crate) fn outbox(&self) -> &O {
        &self.shared.outbox
    }

    /// Writes everything that was recorded before the call. If it is dropped, the data is written again.
    ///
    /// # Errors
    ///
    /// Returns the store's error. Nothing is lost then, and the task tries again.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        self.shared.outbox.collect();
        self.shared.write().await
    }

    /// Stops the task and writes the rest. Call it when no request is in progress: data that is recorded later stays in
    /// memory until a [`flush`](Writer::flush).
    pub(crate) async fn shutdown(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // Not in the middle of a write, which may hold and would be repeated.
            let _turn = self.shared.turn.lock().await;
            task.abort();
            let _ = task.await;
        }
        let mut backoff = Backoff::default();
        for attempt in 1..=LAST_ATTEMPTS {
            match self.flush().await {
                Ok(()) => return,
                Err(error) if attempt == LAST_ATTEMPTS => {
                    let requests = self.outbox().waiting();
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(target: "apikey", requests, error, "{} could not be written before shutdown", O::NAME);
                }
                Err(_) => sleep(backoff.next()).await,
            }
        }
    }
}

impl<O> Drop for Writer<O> {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

async fn run<O: Outbox>(shared: Arc<Shared<O>>) {
    let outbox = &shared.outbox;
    let mut backoff = Backoff::default();
    // Shortened at random, so that processes that started together don't write together.
    let mut next = Instant::now() + shortened(outbox.interval());
    let mut not_before = Instant::now();
    loop {
        let collected_at = outbox.collected_within().map(|within| Instant::now() + within);
        tokio::select! {
            () = sleep_until(collected_at.map_or(next, |at| next.min(at))) => {}
            () = outbox.grows() => {}
        }
        outbox.collect();
        let now = Instant::now();
        let is_due = now >= next;
        if !is_due && collected_at.is_some_and(|at| at <= now) {
            next = next.min(now + COLLECTED_FOR.mul_f64(chance::part()));
        }
        if is_due {
            next = now + shortened(outbox.interval());
            next = if not_before > now { next.min(not_before) } else { next };
        }
        if now < not_before || !(is_due || outbox.is_filling()) {
            continue;
        }
        match shared.write().await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                let wait = backoff.next();
                not_before = Instant::now() + wait;
                next = next.min(not_before);
                let (requests, error) = (outbox.waiting(), &error as &dyn std::error::Error);
                tracing::warn!(target: "apikey", requests, ?wait, error, "{} was not written", O::NAME);
            }
        }
    }
}

impl<O: Outbox> Shared<O> {
    async fn write(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.outbox.write().await
    }
}

/// Calls the store, and turns a panic or a timeout into an error.
pub(crate) async fn attempt<T>(write: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match timeout(WRITE_TIMEOUT, AssertUnwindSafe(write).catch_unwind()).await {
        Ok(Ok(written)) => written,
        Ok(Err(_)) => Err(StoreError::unknown("the store panicked")),
        Err(elapsed) => Err(StoreError::unknown(elapsed)),
    }
}
