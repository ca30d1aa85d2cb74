//! The read path: looks presented keys up in the store, in batches under load.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use apikey_core::{BoxError, Claims, KeyDigest, PresentedKey, Resolution, Resolver};
use apikey_fleet::{Load, Revision};
use async_trait::async_trait;
use tokio::{runtime::Handle, sync::oneshot, task::yield_now, time::timeout};

use crate::{
    floor::Floor,
    store::{Found, FoundKey, KeyStore, Lookup, StoreError},
};

/// The number of concurrent statements, and the most keys in one statement.
const STATEMENTS: usize = 4;
const BATCH: usize = 256;
/// The number of concurrent lookups. More would not fill any statement.
pub(crate) const LOOKUPS: usize = STATEMENTS * BATCH;
const LONGEST_STATEMENT: Duration = Duration::from_secs(30);

/// Looks keys up in a store. Lookups that arrive while all statements are busy share the next one.
pub(crate) struct StoreResolver<S = dyn KeyStore>
where
    S: ?Sized,
{
    store: Arc<S>,
    /// Tells how old an answer may be.
    floor: Arc<Floor>,
    queue: Arc<Mutex<Queue>>,
    /// The runtime of statements. The caller's may end before a connection that was opened on it.
    runtime: Handle,
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

/// The revision of the answer, and the key.
type Answer = Result<(u64, Option<Box<FoundKey>>), Arc<StoreError>>;

/// The part of a store that this module uses.
#[async_trait]
pub(crate) trait Find: fmt::Debug + Send + Sync + 'static {
    async fn find(&self, digests: &[KeyDigest]) -> Result<Lookup, StoreError>;
}

#[async_trait]
impl Find for dyn KeyStore {
    async fn find(&self, digests: &[KeyDigest]) -> Result<Lookup, StoreError> {
        KeyStore::find(self, digests).await
    }
}

impl<S: Find + ?Sized> StoreResolver<S> {
    /// Runs its statements on `runtime`.
    pub(crate) fn new(store: Arc<S>, floor: Arc<Floor>, runtime: Handle) -> Self {
        StoreResolver { store, floor, queue: Arc::default(), runtime }
    }

    /// Looks up secrets of requests under way. A server that has fallen behind is an error.
    pub(crate) async fn look_up(&self, digests: &[KeyDigest]) -> Result<Vec<Found>, BoxError> {
        let load = self.begin_load()?;
        let Lookup { revision, found } = self.store.find(digests).await?;
        refuse_stale(load, revision)?;
        Ok(found)
    }

    fn begin_load(&self) -> Result<Load, BoxError> {
        self.floor.begin_load().ok_or_else(|| "this process does not know what others have changed".into())
    }

    /// Queues a lookup, and spawns a task for the queue if there is a free statement.
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
            self.runtime.spawn(async move { turn.work(store.as_ref()).await });
        }
        answered
    }
}

fn refuse_stale(load: Load, revision: u64) -> Result<(), BoxError> {
    match load.accepts(Revision::new(revision)) {
        true => Ok(()),
        false => Err("a server that has fallen behind answered".into()),
    }
}

/// The result for a digest, and the number of its waiters.
struct OneFound {
    answer: Result<Option<Box<FoundKey>>, Arc<StoreError>>,
    wanted: usize,
}

impl OneFound {
    fn new(found: Found) -> (KeyDigest, Self) {
        let (digest, answer) = match found {
            Found::Key(key) => (key.digest.clone(), Ok(Some(key))),
            // A corrupt row affects no other key, and doesn't pass for an unknown key.
            Found::Corrupt { digest, error } => (digest, Err(Arc::new(error))),
        };
        (digest, OneFound { answer, wanted: 0 })
    }

    /// Moves the result to the last waiter, and clones it for the others.
    fn hand_out(&mut self) -> Result<Option<Box<FoundKey>>, Arc<StoreError>> {
        self.wanted -= 1;
        match (self.wanted, &mut self.answer) {
            (0, Ok(key)) => Ok(key.take()),
            (_, answer) => answer.clone(),
        }
    }
}

/// The permit of a statement.
struct Turn {
    queue: Arc<Mutex<Queue>>,
    is_over: bool,
}

impl Turn {
    async fn work<S: Find + ?Sized>(mut self, store: &S) {
        loop {
            // Callers that were just answered may ask again: yielding lets them share one statement.
            yield_now().await;
            let Some(batch) = self.next() else { return };
            let digests: Vec<KeyDigest> = batch.iter().flat_map(|waiting| waiting.digests.iter().cloned()).collect();
            // A store that hangs must not keep the permit after it recovers.
            let found = match timeout(LONGEST_STATEMENT, store.find(&digests)).await {
                Ok(found) => found,
                Err(late) => Err(StoreError::unavailable(late)),
            };
            match found {
                Ok(Lookup { revision, found }) => {
                    let mut found: HashMap<KeyDigest, OneFound> = found.into_iter().map(OneFound::new).collect();
                    for digest in &digests {
                        if let Some(found) = found.get_mut(digest) {
                            found.wanted += 1;
                        }
                    }
                    for Waiting { digests, answer } in batch {
                        let mut own = Ok(None);
                        for digest in &digests {
                            if let Some(found) = found.get_mut(digest) {
                                let found = found.hand_out();
                                if matches!(own, Ok(None)) {
                                    own = found;
                                }
                            }
                        }
                        // The caller may be gone.
                        let _ = answer.send(own.map(|found| (revision, found)));
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

    /// Returns the waiting lookups. If there are none, the permit is released in the same step, so the next lookup
    /// finds it.
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
        // The store panicked or the runtime is shutting down: fail all waiters.
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

impl<S: Find + ?Sized> Resolver for StoreResolver<S> {
    type Error = BoxError;

    async fn resolve(&self, key: &PresentedKey) -> Result<Option<Resolution>, BoxError> {
        // The order matters: the floor, then the question.
        let load = self.begin_load()?;
        match self.ask(key.digests().to_vec()).await {
            Ok(Ok((revision, found))) => {
                refuse_stale(load, revision)?;
                Ok(found.map(|found| resolution_of(*found)))
            }
            Ok(Err(error)) => Err(Box::new(Shared(error))),
            Err(_) => Err("the store's lookup was cancelled".into()),
        }
    }
}

/// Converts a found key. The authenticator checks its validity.
fn resolution_of(found: FoundKey) -> Resolution {
    let status = found.status();
    let mut claims =
        Claims::new(found.id).with_name(found.name).with_scopes(found.scopes).with_organization(found.organization);
    if let Some(account) = found.service_account {
        claims = claims.with_service_account(account);
    }
    if let Some(environment) = found.environment {
        claims = claims.with_environment(environment);
    }
    if let Some(expires_at) = found.expires_at {
        claims = claims.with_expiry(expires_at);
    }
    if !found.metadata.is_empty() {
        claims = claims.with_metadata(found.metadata);
    }
    let mut resolution = Resolution::new(found.digest, claims).with_status(status);
    if let Some(not_before) = found.not_before {
        resolution = resolution.with_not_before(not_before);
    }
    match found.secret_ends_at {
        Some(ends_at) => resolution.with_secret_end(ends_at),
        None => resolution,
    }
}

/// One failure, shared by all waiters of a statement.
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

impl<S: Find + ?Sized> fmt::Debug for StoreResolver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreResolver").field("store", &&*self.store).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use apikey_core::{ActorId, KeyId, OrganizationId};
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::record::KeyRecord;

    /// Answers or panics only after a release, and records how many digests each call had.
    #[derive(Debug)]
    struct Slow {
        turns: Semaphore,
        asked: Mutex<Vec<usize>>,
        panics: AtomicUsize,
    }

    #[async_trait]
    impl Find for Slow {
        async fn find(&self, digests: &[KeyDigest]) -> Result<Lookup, StoreError> {
            self.asked.lock().unwrap().push(digests.len());
            self.turns.acquire().await.unwrap().forget();
            if self.panics.load(Ordering::SeqCst) > 0 {
                self.panics.fetch_sub(1, Ordering::SeqCst);
                panic!("as the test asked");
            }
            let known = digests.iter().filter(|digest| digest.as_bytes()[0] != 0);
            let found = known.map(|digest| match digest.as_bytes()[0] {
                1 => Found::Key(Box::new(found(digest))),
                _ => Found::Corrupt { digest: digest.clone(), error: StoreError::corrupt("as the test asked") },
            });
            Ok(Lookup { revision: 1, found: found.collect() })
        }
    }

    fn slow(turns: usize) -> (Arc<Slow>, StoreResolver<Slow>) {
        let store =
            Arc::new(Slow { turns: Semaphore::new(turns), asked: Mutex::default(), panics: AtomicUsize::new(0) });
        (Arc::clone(&store), StoreResolver::new(store, Floor::only(), Handle::current()))
    }

    fn found(digest: &KeyDigest) -> FoundKey {
        let moment = apikey_core::Timestamp::UNIX_EPOCH;
        let id = KeyId::new(format!("k{}", digest.as_bytes()[1])).unwrap();
        let organization = OrganizationId::new("acme").unwrap();
        let record = KeyRecord::new(id, organization, digest.clone(), moment, ActorId::new("test").unwrap());
        FoundKey::of(&record, &record.secrets[0])
    }

    fn digest(known: bool, number: u8) -> KeyDigest {
        let mut bytes = [0; 32];
        (bytes[0], bytes[1]) = (u8::from(known), number);
        KeyDigest::sha256_from_bytes(bytes)
    }

    /// Occupies every statement.
    async fn occupy(store: &Slow, resolver: &StoreResolver<Slow>) -> Vec<oneshot::Receiver<Answer>> {
        let mut asked = Vec::new();
        for number in 0..STATEMENTS {
            asked.push(resolver.ask(vec![digest(true, number as u8)]));
            while store.asked.lock().unwrap().len() <= number {
                yield_now().await;
            }
        }
        asked
    }

    #[tokio::test]
    async fn given_many_who_ask_while_statements_are_under_way_then_one_statement_asks_for_the_rest() {
        let (store, resolver) = slow(0);
        let first = occupy(&store, &resolver).await;
        let asked: Vec<_> = (0..100).map(|number| resolver.ask(vec![digest(number % 2 == 1, number)])).collect();
        store.turns.add_permits(1_000);
        for (number, answer) in join_all(asked).await.into_iter().enumerate() {
            let (_, found) = answer.unwrap().unwrap();
            assert_eq!(found.map(|found| found.id.to_string()), (number % 2 == 1).then(|| format!("k{number}")));
        }
        assert!(join_all(first).await.into_iter().all(|answer| answer.is_ok()));
        assert_eq!(*store.asked.lock().unwrap(), [1, 1, 1, 1, 100]);
    }

    #[tokio::test]
    async fn given_an_answer_of_a_server_that_has_fallen_behind_when_looked_up_then_it_is_an_error_found_or_not() {
        let store = Arc::new(Slow { turns: Semaphore::new(100), asked: Mutex::default(), panics: AtomicUsize::new(0) });
        let floor = Arc::<Floor>::default();
        let resolver = StoreResolver::new(store, Arc::clone(&floor), Handle::current());
        let key = [digest(true, 1)];
        assert!(resolver.look_up(&key).await.is_err(), "it has not joined");
        // The store answers at revision 1.
        floor.join(Revision::new(1));
        assert_eq!(resolver.look_up(&key).await.unwrap().len(), 1);
        floor.raise(Revision::new(2));
        for digests in [key, [digest(false, 1)]] {
            let error = resolver.look_up(&digests).await.unwrap_err();
            assert!(error.to_string().contains("fallen behind"), "{error}");
        }
        floor.forget();
        assert!(resolver.look_up(&[digest(true, 1)]).await.is_err(), "it has lost its place");
    }

    #[tokio::test]
    async fn given_a_row_that_cannot_be_read_when_others_are_in_its_batch_then_it_fails_alone() {
        let (store, resolver) = slow(0);
        let first = occupy(&store, &resolver).await;
        let corrupt = KeyDigest::sha256_from_bytes([2; 32]);
        let asked: Vec<_> = (0..6)
            .map(|n| {
                resolver.ask(if n % 2 == 0 { vec![corrupt.clone()] } else { vec![digest(false, n), digest(true, n)] })
            })
            .collect();
        store.turns.add_permits(1_000);
        for (n, answer) in join_all(asked).await.into_iter().enumerate() {
            match answer.unwrap() {
                Err(error) => assert!(n % 2 == 0 && error.is_corrupt()),
                Ok((_, found)) => assert_eq!((n % 2, found.unwrap().id.to_string()), (1, format!("k{n}"))),
            }
        }
        drop(first);
        assert_eq!(store.asked.lock().unwrap()[4..], [9]);
    }

    #[tokio::test]
    async fn given_a_store_that_panics_when_asked_again_then_it_is_asked_and_nobody_waits_for_ever() {
        let (store, resolver) = slow(0);
        store.panics.store(STATEMENTS, Ordering::SeqCst);
        let mut asked = occupy(&store, &resolver).await;
        asked.extend((0..20).map(|number| resolver.ask(vec![digest(true, number)])));
        store.turns.add_permits(1_000);
        assert!(join_all(asked).await.into_iter().all(|answer| answer.is_err()));
        for number in 0..20 {
            assert!(resolver.ask(vec![digest(true, number)]).await.unwrap().unwrap().1.is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_store_that_hangs_when_time_passes_then_its_places_are_free_again() {
        let (store, resolver) = slow(0);
        let hung: Vec<_> = (0..8).map(|number| resolver.ask(vec![digest(true, number)])).collect();
        let answers = join_all(hung).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap().is_err_and(|error| error.is_unavailable())));
        store.turns.add_permits(1_000);
        assert!(resolver.ask(vec![digest(true, 1)]).await.unwrap().unwrap().1.is_some());
    }

    #[tokio::test]
    async fn given_askers_that_hang_up_when_a_statement_begins_then_it_does_not_ask_for_them() {
        let (store, resolver) = slow(0);
        let first = occupy(&store, &resolver).await;
        for number in 0..50 {
            drop(resolver.ask(vec![digest(true, 100 + number)]));
        }
        let last = resolver.ask(vec![digest(true, 99)]);
        store.turns.add_permits(1_000);
        join_all(first).await;
        assert!(last.await.unwrap().unwrap().1.is_some());
        assert_eq!(store.asked.lock().unwrap().iter().sum::<usize>(), STATEMENTS + 1);
    }
}
