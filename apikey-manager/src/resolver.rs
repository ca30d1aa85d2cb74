//! The read path: what the store says of a presented key, asked for many at once where many wait.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use apikey_core::{BoxError, Claims, KeyDigest, KeyStatus, Presented, Resolution, Resolver};
use tokio::{sync::oneshot, time::timeout};

use crate::store::{FoundKey, KeyStore, StoreError};

/// How many statements are under way at once, and how many keys one of them asks for at most.
const STATEMENTS: usize = 4;
const BATCH: usize = 256;
const LONGEST_STATEMENT: Duration = Duration::from_secs(30);

/// Looks keys up in a store. Look-ups that come while all statements are under way go together into the next.
pub(crate) struct StoreResolver {
    store: Arc<dyn KeyStore>,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    under_way: usize,
}

struct Waiting {
    digests: Vec<KeyDigest>,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Option<Box<FoundKey>>, Arc<StoreError>>;

impl StoreResolver {
    pub(crate) fn new(store: Arc<dyn KeyStore>) -> Self {
        StoreResolver { store, queue: Arc::default() }
    }

    /// Puts a look-up into the queue, and has a task empty it if there is not enough of them.
    fn ask(&self, digests: Vec<KeyDigest>) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        let starts = {
            let mut queue = lock(&self.queue);
            queue.waiting.push(Waiting { digests, answer });
            let starts = queue.under_way < STATEMENTS;
            queue.under_way += usize::from(starts);
            starts
        };
        if starts {
            let turn = Turn { queue: Arc::clone(&self.queue), is_over: false };
            let store = Arc::clone(&self.store);
            tokio::spawn(async move { turn.work(store.as_ref()).await });
        }
        answered
    }
}

/// One of the statements' places.
struct Turn {
    queue: Arc<Mutex<Queue>>,
    is_over: bool,
}

impl Turn {
    async fn work(mut self, store: &dyn KeyStore) {
        while let Some(batch) = self.next() {
            let digests: Vec<KeyDigest> = batch.iter().flat_map(|waiting| waiting.digests.iter().cloned()).collect();
            // A store that hangs must not keep the place when it is well again.
            let found = match timeout(LONGEST_STATEMENT, store.find(&digests)).await {
                Ok(found) => found,
                Err(late) => Err(StoreError::unavailable(late)),
            };
            match found {
                Ok(found) => {
                    let found: HashMap<KeyDigest, FoundKey> =
                        found.into_iter().map(|found| (found.digest.clone(), found)).collect();
                    for Waiting { digests, answer } in batch {
                        let own = digests.iter().find_map(|digest| found.get(digest)).cloned();
                        // Whoever asked may be gone.
                        let _ = answer.send(Ok(own.map(Box::new)));
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    for waiting in batch {
                        let _ = waiting.answer.send(Err(Arc::clone(&error)));
                    }
                }
            }
        }
    }

    /// Who waits now. If nobody does, the place is given back in the same step: whoever comes next finds it free.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut queue = lock(&self.queue);
        queue.waiting.retain(|waiting| !waiting.answer.is_closed());
        if queue.waiting.is_empty() {
            queue.under_way -= 1;
            self.is_over = true;
            return None;
        }
        let taken = queue.waiting.len().min(BATCH);
        let rest = queue.waiting.split_off(taken);
        Some(mem::replace(&mut queue.waiting, rest))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // The store panicked, or the runtime is going down: nobody is left to wait for a turn that may not come.
        let mut queue = lock(&self.queue);
        queue.under_way -= 1;
        let left = mem::take(&mut queue.waiting);
        drop(queue);
        drop(left);
    }
}

fn lock(queue: &Mutex<Queue>) -> std::sync::MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resolver for StoreResolver {
    type Error = BoxError;

    async fn resolve(&self, key: &Presented) -> Result<Option<Resolution>, BoxError> {
        match self.ask(key.digests().to_vec()).await {
            Ok(Ok(found)) => Ok(found.map(|found| resolution_of(*found))),
            Ok(Err(error)) => Err(Box::new(Shared(error))),
            Err(_) => Err("the store's look-up was given up".into()),
        }
    }
}

/// What a found key comes to. Whether its windows are open is for the authenticator to say.
fn resolution_of(found: FoundKey) -> Resolution {
    let FoundKey { digest, secret, key, is_account_disabled, is_organization_suspended, .. } = found;
    let status = if key.revoked.is_some() {
        KeyStatus::Revoked
    } else if key.disabled.is_some() || is_account_disabled || is_organization_suspended {
        KeyStatus::Disabled
    } else {
        KeyStatus::Active
    };
    let mut claims =
        Claims::new(key.id).with_name(key.name).with_scopes(key.scopes).with_organization(key.organization.as_str());
    if let Some(account) = &key.service_account {
        claims = claims.with_service_account(account.as_str());
    }
    if let Some(environment) = key.environment {
        claims = claims.with_environment(environment);
    }
    if let Some(expires_at) = key.expires_at {
        claims = claims.with_expiry(expires_at);
    }
    if !key.metadata.is_empty() {
        claims = claims.with_metadata(key.metadata);
    }
    let mut resolution = Resolution::new(digest, claims).with_status(status);
    if let Some(not_before) = key.not_before {
        resolution = resolution.with_not_before(not_before);
    }
    match secret.ends_at {
        Some(ends_at) => resolution.with_secret_end(ends_at),
        None => resolution,
    }
}

/// One failure, told to all who waited for the statement.
#[derive(Debug)]
struct Shared(Arc<StoreError>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Debug for StoreResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreResolver").field("store", &self.store).finish_non_exhaustive()
    }
}
