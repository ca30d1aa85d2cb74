//! A store whose answers a test delays, and the shortest way to send a key.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use apikey_core::{
    Authenticator, BoxError, Claims, KeyFormat, KeyId, PresentedKey, Resolution, Resolver,
    adapter::{Authentication, Decision, Header, HeaderLines, Loading, RequestView},
};
use tokio::sync::Semaphore;

/// A request with a key.
pub(crate) struct Bearer(String);

impl Bearer {
    pub(crate) fn new(key: &str) -> Self {
        Bearer(format!("Bearer {key}"))
    }
}

impl RequestView for Bearer {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => HeaderLines::One(self.0.as_bytes()),
            Header::Extra(_) => HeaderLines::Absent,
        }
    }
}

/// Sends `key` and waits for the decision.
pub(crate) async fn decide(authenticator: &Authenticator, key: &str) -> Decision {
    match authenticator.authenticate(&Bearer::new(key)) {
        Authentication::Done(decision) => decision,
        Authentication::Loading(loading) => loading.await,
    }
}

/// Sends a key that is not cached.
pub(crate) fn load(authenticator: &Authenticator, key: &str) -> Loading {
    match authenticator.authenticate(&Bearer::new(key)) {
        Authentication::Loading(loading) => loading,
        Authentication::Done(decision) => panic!("{key} was decided at once: {decision:?}"),
    }
}

/// Polls once, outside the budget with which tokio makes a busy task yield.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::pin!(tokio::task::unconstrained(future)).poll(&mut Context::from_waker(Waker::noop()))
}

pub(crate) fn format() -> KeyFormat {
    KeyFormat::builder("fire").build().unwrap()
}

/// Returns new well-formed keys that no store knows.
pub(crate) fn unknown_keys(count: usize) -> Vec<String> {
    let format = format();
    (0..count).map(|_| format.generate().unwrap().expose_secret().to_owned()).collect()
}

/// A store that counts its calls, and waits for `gate` before it answers.
pub(crate) struct Gated {
    pub(crate) gate: Semaphore,
    pub(crate) fails: AtomicBool,
    pub(crate) calls: AtomicUsize,
    pub(crate) running: AtomicUsize,
    pub(crate) most_running: AtomicUsize,
    /// The existing keys; all others are unknown.
    good: Vec<String>,
}

impl Gated {
    /// Creates a store that delays its answers.
    pub(crate) fn closed(good: &[String]) -> Arc<Self> {
        Arc::new(Gated {
            gate: Semaphore::new(0),
            fails: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            good: good.to_vec(),
        })
    }

    /// Creates a store that answers.
    pub(crate) fn open(good: &[String]) -> Arc<Self> {
        let store = Gated::closed(good);
        store.let_through();
        store
    }

    pub(crate) fn let_through(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    pub(crate) fn hold_back(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// Counts a call as running until it ends in any way.
struct Running<'s>(&'s Gated);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Resolver for Gated {
    type Error = BoxError;

    async fn resolve(&self, key: &PresentedKey) -> Result<Option<Resolution>, BoxError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(self);
        self.most_running.fetch_max(running, Ordering::SeqCst);
        drop(self.gate.acquire().await?);
        if self.fails.load(Ordering::SeqCst) {
            return Err("the store is down".into());
        }
        let found = self.good.iter().position(|good| good == key.plaintext().expose_secret());
        let record =
            |n| Ok::<_, BoxError>(Resolution::new(key.digest().clone(), Claims::new(KeyId::new(format!("k{n}"))?)));
        found.map(record).transpose()
    }
}
