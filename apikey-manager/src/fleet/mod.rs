//! Several processes on one database: this one's lease, what it hears of others, and what it waits for.
//!
//! `apikey-fleet` is the protocol. A thread of its own [renews](node), so that a stalled runtime of the host's costs no
//! lease. The [state](state) is what requests see of it. A change waits for its [receipt](receipts). The
//! [status](status) is for operators.

mod alone;
mod clock;
#[cfg(test)]
mod elsewhere;
mod node;
mod receipts;
mod recheck;
mod state;
mod status;
mod telemetry;

use std::{sync::Arc, time::Duration};

use apikey_core::{Authenticator, Clock};
use apikey_fleet::{InvalidLease, Settings};
use tokio::runtime::Handle;

use crate::{
    resolver::StoreResolver,
    store::{KeyStore, StoreError},
};

pub(crate) use self::state::{Gate, State};
pub use self::{
    receipts::{Receipt, Receipts},
    status::{FleetNode, FleetStatus, FleetWait},
};
use self::{recheck::Recheck, status::Waits};

/// How a process keeps in step with others on its database.
///
/// Every process renews a lease, and accepts cached keys only while it has one. A revocation returns once each process
/// has heard of it, has left, or can have no lease any more.
///
/// ```
/// use std::time::Duration;
/// use apikey_manager::{Fleet, OnStoreLoss};
///
/// // Accepts cached keys for up to ten more minutes while the database is down. A revocation waits as long for a process
/// // that was killed.
/// let fleet = Fleet::new().on_store_loss(OnStoreLoss::ServeStale(Duration::from_secs(600)));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Fleet {
    lease: Option<Duration>,
    on_store_loss: OnStoreLoss,
}

/// What becomes of requests whose keys are cached when the database doesn't answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreLoss {
    /// They are answered 503 once the lease has ended.
    #[default]
    Refuse,
    /// They are accepted for that much longer: up to a day, in whole milliseconds. Every process knows of it, and a
    /// revocation waits as long for this one if it doesn't answer.
    ///
    /// A key is cached for the [time to live](apikey_core::AuthenticatorBuilder::cache_ttl), a minute by default, and looked
    /// up after that, which fails. Raise it to at least this.
    ServeStale(Duration),
}

impl Fleet {
    /// Creates the defaults: a lease of ten seconds, and no requests without one.
    pub fn new() -> Self {
        Fleet::default()
    }

    /// Sets how long a lease lasts: 2 to 300 seconds, in whole milliseconds. It is renewed every fifth of this.
    ///
    /// A longer one survives a longer outage of the database. With a shorter one, a revocation waits for less time for
    /// a process that was killed.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sets what becomes of requests when the database doesn't answer.
    pub fn on_store_loss(mut self, on_store_loss: OnStoreLoss) -> Self {
        self.on_store_loss = on_store_loss;
        self
    }

    fn settings(&self) -> Result<Settings, InvalidLease> {
        let settings = self.lease.map_or(Ok(Settings::new()), |lease| Settings::new().lease(lease))?;
        match self.on_store_loss {
            OnStoreLoss::Refuse => Ok(settings),
            OnStoreLoss::ServeStale(longer) => settings.outlast(longer),
        }
    }
}

/// The part that a manager takes among the processes on its database.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// It serves requests, and others know of it.
    Member(Settings),
    /// It is the only process.
    Alone,
    /// It serves no requests.
    Visitor,
    /// Nobody else can open the store.
    Only,
}

impl Part {
    pub(crate) fn member(fleet: &Fleet) -> Result<Self, InvalidLease> {
        fleet.settings().map(Part::Member)
    }
}

/// A manager's part, under way.
pub(crate) struct Membership {
    part: Part,
    state: Arc<State>,
    store: Arc<dyn KeyStore>,
    clock: Clock,
    waits: Waits,
}

impl Membership {
    /// Begins the part. The authenticator has the state's [`Gate`].
    pub(crate) fn begin(
        part: Part,
        state: Arc<State>,
        store: Arc<dyn KeyStore>,
        resolver: Arc<StoreResolver>,
        (authenticator, clock): (&Authenticator, Clock),
        runtime: &Handle,
    ) -> Result<Self, StoreError> {
        match &part {
            Part::Member(settings) => node::spawn(node::Served {
                settings: *settings,
                state: Arc::clone(&state),
                store: Arc::clone(&store),
                resolver,
                authenticator: authenticator.downgrade(),
                clock: clock.clone(),
                runtime: runtime.clone(),
            })?,
            Part::Alone => alone::spawn(alone::Served {
                state: Arc::clone(&state),
                store: Arc::clone(&store),
                recheck: Recheck::new(resolver, authenticator.downgrade(), runtime.clone()),
                authenticator: authenticator.downgrade(),
                runtime: runtime.clone(),
            }),
            Part::Visitor | Part::Only => {}
        }
        Ok(Membership { part, state, store, clock, waits: Waits::default() })
    }

    /// Tells that this process has committed the change with this revision, before its effects are applied here.
    pub(crate) fn has_committed(&self, revision: u64) {
        self.state.floor().raise(apikey_fleet::Revision::new(revision));
    }

    /// Checks whether requests with cached keys are accepted, and waits for a moment if they are not yet.
    pub(crate) async fn readiness(&self) -> Result<(), StoreError> {
        let regained = match self.part {
            Part::Member(_) | Part::Alone if !self.state.is_open(clock::now()) => {
                tokio::time::timeout(READY_WITHIN, self.state.regain()).await.unwrap_or(false)
            }
            _ => true,
        };
        match regained {
            true => Ok(()),
            false => Err(StoreError::unavailable(self.state.why_closed())),
        }
    }

    /// Leaves, so that nobody waits for this process any more. No request is accepted afterwards.
    pub(crate) async fn leave(&self) {
        if matches!(self.part, Part::Member(_) | Part::Alone) {
            self.state.stop();
            // A store that hangs must not hold up the end of a process; the others wait for its lease then.
            let _ = tokio::time::timeout(LEFT_WITHIN, self.state.has_left()).await;
        }
    }
}

const READY_WITHIN: Duration = Duration::from_secs(2);
const LEFT_WITHIN: Duration = Duration::from_secs(5);
