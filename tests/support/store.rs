//! A store of keys that counts its calls and fails on request.

use std::{
    collections::HashMap,
    fmt,
    future::{Future, pending},
    io,
    panic::resume_unwind,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use apikey_core::{KeyDigest, KeyId, PresentedKey, Resolution, Resolver};
use tokio::sync::Semaphore;

/// Longer than any call takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(10);

/// The outcome of a call of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// The record, if there is one.
    #[default]
    Answer,
    /// An error.
    Fail,
    /// A panic while it is polled.
    Panic,
    /// A panic before there is a future.
    PanicAtOnce,
    /// No answer.
    Hang,
    /// The record as it was at the call, once [`Store::release`] allows it.
    Hold,
    /// The record of another key.
    Mistake,
}

/// A resolver for records in memory.
pub struct Store {
    records: Mutex<HashMap<KeyDigest, (KeyId, Resolution)>>,
    behaviour: Mutex<Behaviour>,
    calls: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    entered: Semaphore,
    released: Semaphore,
}

impl Default for Store {
    fn default() -> Self {
        Store {
            records: Mutex::default(),
            behaviour: Mutex::default(),
            calls: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            entered: Semaphore::new(0),
            released: Semaphore::new(0),
        }
    }
}

impl Store {
    /// Adds a secret of `key`, or replaces its record, without notification.
    pub fn insert(&self, digest: KeyDigest, key: KeyId, record: Resolution) {
        self.records().insert(digest, (key, record));
    }

    /// Sets the outcome of calls from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.behaviour) = behaviour;
    }

    /// Returns the number of calls.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Returns the largest number of concurrent calls.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    /// Waits until a delayed call has begun; each counts once.
    ///
    /// # Panics
    ///
    /// Panics if no call arrives.
    pub async fn entered(&self) {
        let entered = tokio::time::timeout(PATIENCE, self.entered.acquire()).await;
        entered.expect("the store should have been called").unwrap().forget();
    }

    /// Releases `calls` of the delayed calls.
    pub fn release(&self, calls: usize) {
        self.released.add_permits(calls);
    }

    fn records(&self) -> MutexGuard<'_, HashMap<KeyDigest, (KeyId, Resolution)>> {
        lock(&self.records)
    }

    fn find(&self, key: &PresentedKey, behaviour: Behaviour) -> Option<Resolution> {
        let records = self.records();
        let own = key.digests().iter().find_map(|digest| records.get(digest));
        let found = match behaviour {
            Behaviour::Mistake => records.values().find(|(id, _)| own.is_none_or(|(own, _)| own != id)),
            _ => own,
        };
        found.map(|(_, record)| record.clone())
    }
}

impl Resolver for Store {
    type Error = io::Error;

    fn resolve(&self, key: &PresentedKey) -> impl Future<Output = io::Result<Option<Resolution>>> + Send {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let behaviour = *lock(&self.behaviour);
        if behaviour == Behaviour::PanicAtOnce {
            panic_with(key);
        }
        let found = self.find(key, behaviour);
        let key = key.clone();
        async move {
            let _under_way = UnderWay::begin(self);
            match behaviour {
                Behaviour::Fail => return Err(io::Error::other("the store is down, as told")),
                Behaviour::Panic => panic_with(&key),
                Behaviour::Hang => pending().await,
                Behaviour::Hold => {
                    self.entered.add_permits(1);
                    self.released.acquire().await.unwrap().forget();
                }
                Behaviour::Answer | Behaviour::PanicAtOnce | Behaviour::Mistake => {}
            }
            Ok(found)
        }
    }
}

/// Panics with the key in the payload, which nothing may read. It bypasses the hook, which would print it.
fn panic_with(key: &PresentedKey) -> ! {
    resume_unwind(Box::new(format!("the store panics, as told, with {}", key.plaintext().expose_secret())))
}

/// A call in progress, until it is dropped.
struct UnderWay<'a>(&'a Store);

impl<'a> UnderWay<'a> {
    fn begin(store: &'a Store) -> Self {
        let now = store.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        store.most_at_once.fetch_max(now, Ordering::SeqCst);
        UnderWay(store)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("calls", &self.calls()).finish_non_exhaustive()
    }
}
