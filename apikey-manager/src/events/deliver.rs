//! Delivers events to the host's handler. Operations never wait for it.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::Event;

/// The most events that wait for the handler. Further events are dropped.
const WAITING: usize = 4_096;

/// The longest time that the handler may take for one event.
const PATIENCE: Duration = Duration::from_secs(60);

type Handler = dyn Fn(Event) -> BoxFuture<'static, ()> + Send + Sync;

/// The queue of events for the host's handler, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Arc<Delivery>>);

struct Delivery {
    handler: Arc<Handler>,
    queue: mpsc::Sender<Message>,
}

enum Message {
    Event(Event),
    /// A request to be told when all earlier events have been handled.
    Flushed(oneshot::Sender<()>),
}

impl Events {
    /// Spawns the task that calls `handler` with one event after another. It ends when all clones are dropped and their
    /// events have been handled.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub(crate) fn start<F, R>(handler: F) -> Self
    where
        F: Fn(Event) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler: Arc<Handler> = Arc::new(move |event| handler(event).boxed());
        let (queue, mut waiting) = mpsc::channel(WAITING);
        let own = Arc::clone(&handler);
        tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                match message {
                    Message::Event(event) => handle(&*own, event).await,
                    Message::Flushed(done) => drop(done.send(())),
                }
            }
        });
        Events(Some(Arc::new(Delivery { handler, queue })))
    }

    /// Returns `true` if there is a handler.
    pub(crate) fn are_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Queues an event for the handler. Never waits.
    pub(crate) fn emit(&self, event: Event) {
        if let Some(delivery) = &self.0
            && let Err(error) = delivery.queue.try_send(Message::Event(event))
            && let Message::Event(event) = error.into_inner()
        {
            let (event, key_id) = (event.name(), event.key().id.as_str());
            tracing::warn!(target: "apikey", event, key_id, "the host's event handler is too slow; an event was dropped");
        }
    }

    /// Hands an event to the handler, and waits until it is done.
    pub(super) async fn deliver(&self, event: Event) {
        if let Some(delivery) = &self.0 {
            handle(&*delivery.handler, event).await;
        }
    }

    /// Waits until all queued events have been handled.
    pub(crate) async fn flush(&self) {
        if let Some(delivery) = &self.0 {
            let (done, flushed) = oneshot::channel();
            if delivery.queue.send(Message::Flushed(done)).await.is_ok() {
                let _ = flushed.await;
            }
        }
    }
}

/// Catches panics of the handler and of its future.
async fn handle(handler: &Handler, event: Event) {
    let name = event.name();
    let called = catch_unwind(AssertUnwindSafe(|| handler(event)));
    let handled = match called {
        Ok(handling) => timeout(PATIENCE, AssertUnwindSafe(handling).catch_unwind()).await,
        Err(panic) => Ok(Err(panic)),
    };
    match handled {
        Ok(Ok(())) => {}
        Ok(Err(_)) => tracing::error!(target: "apikey", event = name, "the host's event handler panicked"),
        Err(_) => tracing::error!(target: "apikey", event = name, "the host's event handler took too long"),
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("are_heard", &self.are_heard()).finish()
    }
}
