//! Delivers what is in the outbox, to the host's handler and to webhooks. Changes never wait for it.
//!
//! Every process with a receiver claims deliveries that are due, each for a little longer than an attempt may take. If it
//! dies, the claim ends and another process makes the attempt again. A webhook gets a few deliveries at a time, and all that
//! are slow share half of the places, so that they hold up no other. The host's handler gets one after another.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use apikey_core::{BoxError, Clock, KeyId, OrganizationId, Timestamp};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use serde_json::{Map, Value};
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};

use crate::{
    alerts::{Alert, Claim, Claimed, Receiver, WebhookAnswer, WebhookMessage, WebhookSender},
    backoff::Backoff,
    store::{KeyStore, StoreError},
};

/// How often the outbox is looked at for what other processes wrote, and for what is due again.
const LOOKS_EVERY: Duration = Duration::from_secs(1);
/// The most deliveries under way.
const MOST: usize = 256;
/// The most deliveries under way to one webhook.
const MOST_TO_ONE: usize = 4;
/// The most deliveries under way to all webhooks together that are slow.
const MOST_TO_SLOW: usize = MOST / 2;
/// A webhook is slow if its last attempt took longer, or failed.
const SLOW: Duration = Duration::from_secs(1);
/// The longest time that the host's handler may take for one alert.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much longer than an attempt a claim lasts.
const LEEWAY: Duration = Duration::from_secs(5);
/// How long a shutdown waits for what is due.
const LAST: Duration = Duration::from_secs(5);

pub(crate) type Handler = dyn Fn(Alert) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync;

/// What receives alerts, apart from the organizations' webhooks.
#[derive(Clone, Default)]
pub(crate) struct Outlets {
    pub(crate) host: Option<Arc<Handler>>,
    pub(crate) sender: Option<Arc<dyn WebhookSender>>,
}

impl Outlets {
    /// Returns `true` if anybody may receive alerts.
    pub(crate) fn are_any(&self) -> bool {
        self.host.is_some() || self.sender.is_some()
    }
}

/// The task that delivers, until it is shut down or dropped.
pub(crate) struct Courier {
    outlets: Outlets,
    wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Courier {
    /// Spawns the task, if anybody may receive alerts.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub(crate) fn start(store: Arc<dyn KeyStore>, clock: Clock, outlets: Outlets) -> Self {
        let (stop, stopped) = watch::channel(false);
        let wake = Arc::new(Notify::new());
        let round = Round::new(store, clock, outlets.clone());
        let task = outlets.are_any().then(|| tokio::spawn(round.run(Arc::clone(&wake), stopped)));
        Courier { outlets, wake, stop, task: Mutex::new(task) }
    }

    pub(crate) fn outlets(&self) -> &Outlets {
        &self.outlets
    }

    /// Has the outbox looked at now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Delivers what is due, for a few seconds, and leaves the rest to other processes and to the next start.
    pub(crate) async fn shutdown(&self) {
        let _ = self.stop.send(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}

/// How an attempt ended.
struct Ended {
    receiver: Receiver,
    claim: String,
    was_slow: bool,
}

struct Round {
    store: Arc<dyn KeyStore>,
    clock: Clock,
    outlets: Outlets,
    name: String,
    claims: AtomicU64,
    /// The number of deliveries under way to each receiver.
    busy: HashMap<Receiver, usize>,
    /// The webhooks that are slow, as far as this process knows.
    slow: HashSet<Receiver>,
    under_way: JoinSet<Ended>,
    /// The claims of what is under way, with their numbers of deliveries.
    held: HashMap<String, usize>,
}

impl Round {
    fn new(store: Arc<dyn KeyStore>, clock: Clock, outlets: Outlets) -> Self {
        // The name only has to differ from other processes'.
        let now = clock.wall();
        let name = KeyId::generate(now).map_or_else(|_| format!("at_{}", now.as_millis()), |id| id.to_string());
        let (busy, slow, under_way, held) = (HashMap::new(), HashSet::new(), JoinSet::new(), HashMap::new());
        Round { store, clock, outlets, name, claims: AtomicU64::new(0), busy, slow, under_way, held }
    }

    async fn run(mut self, wake: Arc<Notify>, mut stopped: watch::Receiver<bool>) {
        let mut backoff = Backoff::default();
        while !*stopped.borrow() {
            let looked_at = Instant::now();
            let begun = AssertUnwindSafe(self.begin_what_is_due()).catch_unwind().await;
            let begun = begun.unwrap_or_else(|_| Err(StoreError::unknown("the store panicked")));
            if let Ok(false) = begun {
                // Looks may have to step over all that waits for receivers that have enough. They take a fifth of the time
                // at most, however much that is, and however often an attempt ends.
                sleep(looked_at.elapsed() * 4).await;
            }
            let pause = match begun {
                Ok(_) => {
                    backoff.reset();
                    LOOKS_EVERY
                }
                Err(error) => {
                    tracing::warn!(target: "apikey", error = &error as &dyn std::error::Error, "alerts can't be delivered");
                    backoff.next()
                }
            };
            tokio::select! {
                () = wake.notified() => {}
                () = sleep(pause) => {}
                Some(done) = self.under_way.join_next() => self.has_ended(done.ok()),
                _ = stopped.changed() => {}
            }
            while let Some(done) = self.under_way.try_join_next() {
                self.has_ended(done.ok());
            }
        }
        self.finish().await;
    }

    /// Delivers what is due, until nothing is or the time is over.
    async fn finish(mut self) {
        let ends = Instant::now() + LAST;
        let rest = async {
            while matches!(self.begin_what_is_due().await, Ok(true)) || !self.under_way.is_empty() {
                if let Some(done) = self.under_way.join_next().await {
                    self.has_ended(done.ok());
                }
            }
        };
        if tokio::time::timeout_at(ends, rest).await.is_err() {
            self.under_way.shutdown().await;
            let release = self.held.keys().map(|claim| self.store.alerts().release(claim));
            let _ = timeout(LAST, join_all(release)).await;
        }
    }

    fn has_ended(&mut self, done: Option<Ended>) {
        let Some(Ended { receiver, claim, was_slow }) = done else { return };
        for_one_less(&mut self.busy, &receiver);
        for_one_less(&mut self.held, &claim);
        if was_slow {
            self.slow.insert(receiver);
        } else {
            self.slow.remove(&receiver);
        }
    }

    /// Claims what is due and begins to deliver it. Returns `true` if there was any.
    async fn begin_what_is_due(&mut self) -> Result<bool, StoreError> {
        let mut began = false;
        if let Some(handler) = self.outlets.host.clone()
            && !self.busy.contains_key(&Receiver::Host)
        {
            for claimed in self.claim(true, PATIENCE, 1).await? {
                let (handler, alert) = (Arc::clone(&handler), claimed.1.alert.clone());
                self.begin(claimed, async move { handle(&*handler, alert).await });
                began = true;
            }
        }
        if let Some(sender) = self.outlets.sender.clone() {
            loop {
                // A claim takes few, and none of a receiver that has enough, so that one with many holds up no other.
                let most_busy = self.busy.values().filter(|count| **count < MOST_TO_ONE).max().unwrap_or(&0);
                let free = MOST.saturating_sub(self.under_way.len()).min(MOST_TO_ONE - most_busy);
                let all = self.claim(false, sender.patience(), free).await?;
                if all.is_empty() {
                    break;
                }
                for claimed in all {
                    let (sender, clock, work) = (Arc::clone(&sender), self.clock.clone(), claimed.1.clone());
                    self.begin(claimed, async move {
                        // The sender has a time limit itself; one that hangs all the same would keep its place for ever.
                        let sent = timeout(sender.patience() + LEEWAY, send(&*sender, &work, clock.wall()));
                        sent.await.unwrap_or_else(|_| WebhookAnswer::failed("the sender took too long"))
                    });
                }
                began = true;
            }
        }
        Ok(began)
    }

    async fn claim(
        &self,
        for_host: bool,
        patience: Duration,
        limit: usize,
    ) -> Result<Vec<(String, Claimed)>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let by = format!("{}_{}", self.name, self.claims.fetch_add(1, Ordering::Relaxed));
        let now = self.clock.wall();
        let to_slow: usize = self.slow.iter().filter_map(|receiver| self.busy.get(receiver)).sum();
        let slow = self.slow.iter().filter(|_| to_slow >= MOST_TO_SLOW);
        let busy = self.busy.iter().filter(|(_, count)| **count >= MOST_TO_ONE).map(|(receiver, _)| receiver);
        let except = slow.chain(busy).cloned().collect();
        let claim = Claim { by: by.clone(), now, until: now + patience + LEEWAY, for_host, except, limit };
        Ok(self.store.alerts().claim(&claim).await?.into_iter().map(|claimed| (by.clone(), claimed)).collect())
    }

    fn begin(&mut self, (by, claimed): (String, Claimed), work: impl Future<Output = WebhookAnswer> + Send + 'static) {
        let Claimed { delivery, .. } = claimed;
        let (store, clock, receiver) = (Arc::clone(&self.store), self.clock.clone(), delivery.receiver.clone());
        *self.busy.entry(receiver.clone()).or_default() += 1;
        *self.held.entry(by.clone()).or_default() += 1;
        self.under_way.spawn(async move {
            let began = Instant::now();
            let answer = match AssertUnwindSafe(work).catch_unwind().await {
                Ok(answer) => answer,
                Err(_) => WebhookAnswer::failed("the receiver panicked"),
            };
            let was_slow = !answer.is_accepted() || began.elapsed() > SLOW;
            let settled = delivery.after(answer, clock.wall());
            if !settled.answer.is_accepted() {
                let (error, status) = (settled.answer.error.as_deref(), settled.answer.status);
                let (event, state) = (delivery.event.as_str(), settled.state.as_str());
                let receiver = receiver.as_str();
                tracing::warn!(target: "apikey", receiver, event, state, error, status, "an alert was not accepted");
            }
            // If this fails, the claim ends by itself, and the alert is delivered again.
            let settling = AssertUnwindSafe(store.alerts().settle(delivery.id, &by, &settled)).catch_unwind().await;
            if let Err(error) = settling.unwrap_or_else(|_| Err(StoreError::unknown("the store panicked"))) {
                tracing::warn!(target: "apikey", error = &error as &dyn std::error::Error, "a delivery was not recorded");
            }
            Ended { receiver, claim: by, was_slow }
        });
    }
}

fn for_one_less<K: Clone + Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, of: &K) {
    if let Some(count) = counts.get_mut(of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(of);
        }
    }
}

/// Calls the host's handler. A panic counts as a failure.
async fn handle(handler: &Handler, alert: Alert) -> WebhookAnswer {
    match timeout(PATIENCE, async { handler(alert).await }).await {
        Ok(Ok(())) => WebhookAnswer::status(200),
        Ok(Err(error)) => WebhookAnswer::failed(error.to_string()),
        Err(_) => WebhookAnswer::failed("the handler took too long"),
    }
}

async fn send(sender: &dyn WebhookSender, claimed: &Claimed, now: Timestamp) -> WebhookAnswer {
    let Some(webhook) = claimed.webhook.as_ref().filter(|webhook| !webhook.is_disabled) else {
        return WebhookAnswer::failed("the webhook is disabled");
    };
    let Claimed { alert, .. } = claimed;
    let mut data = match serde_json::to_value(&alert.event) {
        Ok(Value::Object(data)) => data,
        _ => Map::new(),
    };
    data.remove("event");
    data.insert("sequence".to_owned(), alert.sequence().into());
    let body = message(alert.event.name(), alert.at, &webhook.organization, data);
    let message = WebhookMessage::new(&*webhook.url, alert.id.to_string(), now, body, webhook.secrets(now));
    sender.send(&message).await
}

/// Returns the body of a message.
pub(crate) fn message(
    event: &str,
    at: Timestamp,
    organization: &OrganizationId,
    mut data: Map<String, Value>,
) -> String {
    data.insert("organization".to_owned(), organization.as_str().into());
    let message = [("type", event.into()), ("timestamp", at.to_string().into()), ("data", Value::Object(data))];
    Value::Object(message.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).to_string()
}
