//! What is recorded beside the requests, on its way to the store: one task writes it at an interval, waits longer after each
//! failure, and is followed by a last few attempts at shutdown.

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

use crate::{backoff::Backoff, store::StoreError};

/// A write that takes longer than this is given up; whether it was made is then not known, and it is made again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a shutdown tries.
const LAST_ATTEMPTS: usize = 4;

/// What waits for a [`Writer`], within bounds of its own.
pub(crate) trait Outbox: Send + Sync + 'static {
    /// What it holds, as the log names it.
    const NAME: &'static str;

    /// How long to wait from now for the next write.
    fn interval(&self) -> Duration;

    /// Completes when the writer should wake before its time.
    fn grows(&self) -> impl Future<Output = ()> + Send;

    /// Called whenever the writer wakes, and before each flush, even while the store fails.
    fn collect(&self);

    /// Returns `true` if so much waits that it should be written before its time.
    fn is_filling(&self) -> bool;

    /// Returns how many requests wait to be written.
    fn waiting(&self) -> u64;

    /// Writes all that waited when it was called. One call at a time; it may be dropped at any point.
    fn write(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Writes what an [`Outbox`] holds, until it is shut down or dropped.
pub(crate) struct Writer<O> {
    shared: Arc<Shared<O>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<O> {
    outbox: O,
    /// Whoever writes holds it, so that batches go one after another.
    turn: tokio::sync::Mutex<()>,
}

impl<O: Outbox> Writer<O> {
    /// Spawns the task that writes.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub(crate) fn start(outbox: O) -> Self {
        let shared = Arc::new(Shared { outbox, turn: tokio::sync::Mutex::new(()) });
        let task = tokio::spawn(run(Arc::clone(&shared)));
        Writer { shared, task: Mutex::new(Some(task)) }
    }

    pub(crate) fn outbox(&self) -> &O {
        &self.shared.outbox
    }

    /// Writes all that was recorded before the call. Dropping it is safe: what it was writing is written again.
    ///
    /// # Errors
    ///
    /// The store's. Nothing is lost then, and the task tries again.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        self.shared.outbox.collect();
        self.shared.write().await
    }

    /// Stops the task and writes what is left. To be called once no request is under way: what is recorded later stays in
    /// memory, for a [`flush`](Writer::flush).
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
                    let requests = self.outbox().waiting();
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(target: "apikey", requests, error, "{} could not be written before the end", O::NAME);
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
    let mut next = Instant::now() + outbox.interval();
    let mut not_before = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(next) => {}
            () = outbox.grows() => {}
        }
        outbox.collect();
        let now = Instant::now();
        let is_due = now >= next;
        if is_due {
            next = now + outbox.interval();
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

/// Asks the store, and takes neither a panic nor too long for an answer.
pub(crate) async fn attempt<T>(write: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match timeout(WRITE_TIMEOUT, AssertUnwindSafe(write).catch_unwind()).await {
        Ok(Ok(written)) => written,
        Ok(Err(_)) => Err(StoreError::unknown("the store panicked")),
        Err(elapsed) => Err(StoreError::unknown(elapsed)),
    }
}
