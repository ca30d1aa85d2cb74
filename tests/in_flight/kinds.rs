//! The servers' handlers, by the last part of the path, and what the tests see of them.
//!
//! | kind | what it does |
//! |---|---|
//! | `ready` | answers immediately |
//! | `waits` | answers when it is released |
//! | `revokes` | revokes its own key, waits, and answers |
//! | `revokes-last` | waits, revokes its own key, and answers without waiting again |
//! | `stream` | sends "one", and then chunks from the test |
//! | `sized` | the same, with a declared length of 1,000 bytes |
//! | `events` | the same, with a last frame |
//! | `flood` | sends without end |

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use apikey_core::{AuthenticatedKey, LastFrame};
use bytes::Bytes;
use futures_util::Stream;
use support::stand::{Setting, Stand};
use tokio::sync::{Semaphore, mpsc};

/// Longer than any answer takes, so that a test fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const LAST_EVENT: &str = "event: revoked\ndata:\n\n";

/// The servers' shared state, which tests inspect.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) stand: Stand,
    /// A permit for each handler that has begun to wait.
    entered: Semaphore,
    /// A permit for each handler that may continue.
    released: Semaphore,
    /// Waiting handlers, and bodies that are not dropped.
    open: Arc<AtomicUsize>,
    produced: Arc<AtomicUsize>,
    feeds: Mutex<Vec<mpsc::UnboundedSender<Bytes>>>,
}

pub(crate) enum Reply {
    Text(&'static str),
    Body { source: Source, length: Option<u64>, last: Option<LastFrame> },
}

impl World {
    pub(crate) fn new() -> Self {
        World(Arc::new(Shared {
            stand: Stand::new(Setting::Plain),
            entered: Semaphore::new(0),
            released: Semaphore::new(0),
            open: Arc::default(),
            produced: Arc::default(),
            feeds: Mutex::default(),
        }))
    }

    pub(crate) async fn handle(self, path: String, key: AuthenticatedKey) -> Reply {
        let body = |length, last: Option<&str>, then| Reply::Body {
            source: self.source(then),
            length,
            last: last.map(LastFrame::new),
        };
        match path.rsplit('/').next().unwrap() {
            "ready" => Reply::Text("ready"),
            "waits" => {
                let _open = Open::new(&self.0.open);
                self.wait().await;
                Reply::Text("waited")
            }
            "revokes" => {
                self.stand.authenticator.revoke(key.key_id());
                tokio::task::yield_now().await;
                Reply::Text("revoked")
            }
            "revokes-last" => {
                tokio::task::yield_now().await;
                self.stand.authenticator.revoke(key.key_id());
                Reply::Text("revoked")
            }
            "stream" => body(None, None, Then::Feed),
            "sized" => body(Some(1_000), None, Then::Feed),
            "events" => body(None, Some(LAST_EVENT), Then::Feed),
            "flood" => body(None, None, Then::Flood),
            kind => panic!("there is no handler {kind}"),
        }
    }

    async fn wait(&self) {
        self.entered.add_permits(1);
        self.released.acquire().await.unwrap().forget();
    }

    fn source(&self, then: Then) -> Source {
        let (feed, fed) = mpsc::unbounded_channel();
        feed.send(Bytes::from_static(b"one")).unwrap();
        self.feeds.lock().unwrap().push(feed);
        Source { fed, then, produced: Arc::clone(&self.produced), _open: Open::new(&self.open) }
    }

    /// Waits until a handler waits; each counts once.
    pub(crate) async fn entered(&self) {
        let entered = tokio::time::timeout(PATIENCE, self.entered.acquire()).await;
        entered.expect("a handler should have been entered").unwrap().forget();
    }

    /// Releases one waiting handler.
    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }

    /// Gives every stream another chunk.
    pub(crate) fn feed(&self, chunk: &'static str) {
        self.feeds.lock().unwrap().retain(|feed| feed.send(Bytes::from_static(chunk.as_bytes())).is_ok());
    }

    /// Ends every stream.
    pub(crate) fn end(&self) {
        self.feeds.lock().unwrap().clear();
    }

    /// Returns the number of waiting handlers and of bodies that are not dropped.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Returns the number of chunks sent.
    pub(crate) fn produced(&self) -> usize {
        self.produced.load(Ordering::SeqCst)
    }

    /// Waits until this many handlers and bodies are left.
    pub(crate) async fn until_open(&self, count: usize) {
        let is_so = async {
            while self.open() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, is_so).await;
        assert!(waited.is_ok(), "{} are left, and not {count}", self.open());
    }
}

impl std::ops::Deref for World {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Counts as open until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Open(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A body's chunks.
pub(crate) struct Source {
    fed: mpsc::UnboundedReceiver<Bytes>,
    then: Then,
    produced: Arc<AtomicUsize>,
    _open: Open,
}

enum Then {
    Feed,
    Flood,
}

impl Stream for Source {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = match self.then {
            Then::Feed => self.fed.poll_recv(cx),
            Then::Flood => Poll::Ready(Some(Bytes::from_static(&[b'x'; 16 * 1_024]))),
        };
        if polled.is_ready() {
            self.produced.fetch_add(1, Ordering::SeqCst);
        }
        polled.map(|chunk| chunk.map(Ok))
    }
}
