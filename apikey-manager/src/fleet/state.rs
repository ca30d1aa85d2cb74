//! What requests see of a node: whether it has a lease, and how old an answer of the store may be.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use apikey_core::TrustGate;
use apikey_fleet::{Arrival, Lease, Moment, NodeId, Revision};
use tokio::sync::{Notify, watch};

use super::clock;
use crate::floor::Floor;

/// Shared by requests, changes and the thread that renews.
pub(crate) struct State {
    lease: AtomicU64,
    floor: Arc<Floor>,
    /// How many processes there were when this one looked last.
    nodes: AtomicUsize,
    shared: Mutex<Shared>,
    /// The last renewal that succeeded or failed.
    renewed: watch::Sender<Renewed>,
    is_stopped: watch::Sender<bool>,
    has_left: watch::Sender<bool>,
    /// Wakes the thread that renews.
    wake: Notify,
}

struct Shared {
    /// The latest request that waits for a renewal.
    wanted: Option<Arrival>,
    own: Option<NodeId>,
    /// Why there is no lease.
    failure: String,
}

#[derive(Clone, Copy)]
struct Renewed {
    began: Moment,
    counts: bool,
}

impl State {
    /// A process that has not joined.
    pub(crate) fn new(floor: Arc<Floor>) -> Arc<Self> {
        Arc::new(State {
            floor,
            lease: AtomicU64::new(Lease::NONE.to_bits()),
            nodes: AtomicUsize::new(1),
            shared: Mutex::new(Shared {
                wanted: None,
                own: None,
                failure: "this process has not joined the others yet".to_owned(),
            }),
            renewed: watch::Sender::new(Renewed { began: Moment::from_nanos(0), counts: false }),
            is_stopped: watch::Sender::new(false),
            has_left: watch::Sender::new(false),
            wake: Notify::new(),
        })
    }

    /// Opens a process that needs no lease.
    pub(super) fn open_for_ever(&self) {
        self.floor.join(Revision::ZERO);
        self.hold(Lease::until(Moment::from_nanos(u64::MAX)));
        self.release(clock::now());
    }

    /// `now` is read before this is called.
    pub(super) fn is_open(&self, now: Moment) -> bool {
        Lease::from_bits(self.lease.load(Ordering::Acquire)).covers(now)
    }

    pub(super) fn floor(&self) -> &Floor {
        &self.floor
    }

    /// Waits for a renewal that begins from now on. Returns `false` if it fails.
    pub(super) async fn regain(&self) -> bool {
        let arrival = Arrival::at(clock::now());
        let mut renewed = self.renewed.subscribe();
        {
            let mut shared = self.lock();
            if self.is_stopped() {
                return false;
            }
            shared.wanted = shared.wanted.max(Some(arrival));
        }
        self.wake.notify_one();
        loop {
            let Renewed { began, counts } = *renewed.borrow_and_update();
            if arrival.is_released_by(began) {
                return counts;
            }
            if renewed.changed().await.is_err() {
                return false;
            }
        }
    }

    pub(super) fn why_closed(&self) -> String {
        self.lock().failure.clone()
    }

    /// Returns this process's node.
    pub(super) fn own(&self) -> Option<NodeId> {
        self.lock().own
    }

    pub(super) fn set_own(&self, own: NodeId) {
        self.lock().own = Some(own);
    }

    pub(super) fn take_wanted(&self) -> Option<Arrival> {
        self.lock().wanted.take()
    }

    /// Returns how many processes there are, as far as this one knows.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_nodes(&self, nodes: usize) {
        self.nodes.store(nodes, Ordering::Relaxed);
    }

    /// Waits until a request wants a renewal, or this process is to leave.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.is_stopped.borrow()
    }

    /// Waits until this process is to leave.
    pub(super) async fn stopped(&self) {
        // The sender is this state's own.
        let _ = self.is_stopped.subscribe().wait_for(|is_stopped| *is_stopped).await;
    }

    pub(super) fn withdraw(&self) {
        self.lease.store(Lease::NONE.to_bits(), Ordering::Release);
    }

    pub(super) fn hold(&self, lease: Lease) {
        // After a stop, there is no lease again.
        let _shared = self.lock();
        if !self.is_stopped() {
            self.lease.store(lease.to_bits(), Ordering::Release);
        }
    }

    pub(super) fn release(&self, began: Moment) {
        self.renewed.send_replace(Renewed { began, counts: true });
    }

    /// Requests that wait for this renewal, or an earlier one, are refused.
    pub(super) fn fail(&self, began: Moment, why: String) {
        self.lock().failure = why;
        self.renewed.send_replace(Renewed { began, counts: false });
    }

    /// Ends the lease for ever.
    pub(super) fn stop(&self) {
        {
            let mut shared = self.lock();
            self.is_stopped.send_replace(true);
            shared.failure = "this process has left the others".to_owned();
            self.withdraw();
        }
        self.renewed.send_replace(Renewed { began: Moment::from_nanos(u64::MAX), counts: false });
        self.wake.notify_one();
    }

    /// Tells those who wait for the end of the thread.
    pub(super) fn leave(&self) {
        self.has_left.send_replace(true);
    }

    pub(super) async fn has_left(&self) {
        // The sender is this state's own.
        let _ = self.has_left.subscribe().wait_for(|has_left| *has_left).await;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("is_open", &self.is_open(clock::now())).finish_non_exhaustive()
    }
}

/// The authenticator's gate. Its end is the end of the node, too.
pub(crate) struct Gate(pub(crate) Arc<State>);

impl TrustGate for Gate {
    #[inline]
    fn trusts_cache(&self) -> bool {
        self.0.is_open(clock::now())
    }

    fn regain(&self) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let state = Arc::clone(&self.0);
        // Its arrival is read at the first poll, which is after the request came. That is only stricter.
        Box::pin(async move { state.regain().await })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.stop();
    }
}
