//! A store whose process stops itself with SIGSTOP at a named point of the protocol, and that remembers what it has read.

use std::{
    collections::VecDeque,
    fmt::Debug,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use apikey_core::{KeyDigest, Timestamp};
use apikey_fleet::{Beat, Mark, NodeId, NodeRow, Revision, Sweep};
use apikey_manager::{
    AccountQuery, Activity, ActivityQuery, Alert, AlertId, AlertSettings, AlertStore, AuditEvent, AuditQuery, Changes,
    Counts, Cursor, Delivery, DeliveryId, FleetStore, KeyFilter, KeyHead, KeyId, KeyQuery, KeyRecord, KeyStore, Lookup,
    OrganizationId, OrganizationRecord, Prune, Pruned, Reach, ReachQuery, Remembered, SeenNode, ServiceAccount,
    ServiceAccountId, StoreError, StoreState, Transaction, UsageBatch, UsageBucket, UsageQuery, Webhook,
};
use apikey_sqlx::SqlStore;
use async_trait::async_trait;

/// The points, in the order of a change and of a renewal.
pub(crate) const POINTS: [&str; 11] = [
    "before the commit",
    "after the commit",
    "before the receipt",
    "before the beat",
    "after the beat",
    "before the snapshot",
    "after the snapshot",
    "before the acknowledgement",
    "after the acknowledgement",
    "before a lookup",
    "after a lookup",
];

/// How many answers a process remembers.
const REMEMBERED: usize = 20_000;

/// The point at which this process stops once.
static NEXT: Mutex<Option<&str>> = Mutex::new(None);

/// The id of this process's node, as it writes it.
static OWN: Mutex<Option<NodeId>> = Mutex::new(None);

/// What the store answered, and when.
static READ: Mutex<VecDeque<(Duration, &str, String)>> = Mutex::new(VecDeque::new());

/// Stops this process when it gets to the point with this number, or nowhere from now on if there is no such point. Once this
/// has returned, no thread is about to stop the process at an earlier one.
pub(crate) fn stop_at(point: usize) {
    *NEXT.lock().unwrap() = POINTS.get(point).copied();
}

/// Returns the answers so far, of lookups only those that name the key.
pub(crate) fn read_so_far(key: &str) -> String {
    let read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let told = read.iter().filter(|(_, what, answer)| *what != FOUND || answer.contains(key));
    told.map(|(at, what, answer)| format!("{:>9} {what}: {answer}\n", at.as_millis())).collect()
}

const FOUND: &str = "found";

fn remember(what: &'static str, answer: &impl Debug) {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if read.len() == REMEMBERED {
        read.pop_front();
    }
    read.push_back((uptime(), what, format!("{answer:?}")));
}

/// A time that all processes of the machine agree on.
pub(crate) fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.try_into().unwrap())
}

pub(crate) fn own_id() -> String {
    OWN.lock().unwrap().map_or_else(String::new, |id| format!("{:032x}", id.get()))
}

fn reached(point: &str) {
    // Held until the signal is sent, so that whoever sends the process on afterwards sends no signal too early.
    let mut next = NEXT.lock().unwrap();
    if next.take_if(|next| *next == point).is_some() {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP).unwrap();
        // The signal is for the whole process. This thread doesn't run on until it has arrived.
        thread::sleep(Duration::from_millis(10));
    }
}

#[derive(Debug)]
pub(crate) struct Stopping<S>(pub(crate) S);

struct StoppingTransaction(Box<dyn Transaction>);

/// What has the statements of the fleet.
pub(crate) trait Statements: Debug + Send + Sync + 'static {
    fn of(&self) -> &dyn FleetStore;
}

impl Statements for SqlStore {
    fn of(&self) -> &dyn FleetStore {
        self.fleet()
    }
}

impl Statements for Box<dyn FleetStore> {
    fn of(&self) -> &dyn FleetStore {
        self.as_ref()
    }
}

/// Implements a trait by the methods in braces, and passes the others on to the field.
macro_rules! pass_on {
    (impl $trait:ident for $type:ty { $($own:tt)* } $(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl $trait for $type {
            $($own)*
            $(async fn $name(&self, $($argument: $kind),*) -> Result<$result, StoreError> {
                self.0.$name($($argument),*).await
            })*
        }
    };
    (impl mut $trait:ident for $type:ty { $($own:tt)* } $(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl $trait for $type {
            $($own)*
            $(async fn $name(&mut self, $($argument: $kind),*) -> Result<$result, StoreError> {
                self.0.$name($($argument),*).await
            })*
        }
    };
}

pass_on! {
    impl KeyStore for Stopping<SqlStore> {
        async fn begin(&self, organization: &OrganizationId) -> Result<Box<dyn Transaction>, StoreError> {
            Ok(Box::new(StoppingTransaction(self.0.begin(organization).await?)))
        }

        async fn find(&self, digests: &[KeyDigest]) -> Result<Lookup, StoreError> {
            reached("before a lookup");
            let found = self.0.find(digests).await;
            remember(FOUND, &found);
            reached("after a lookup");
            found
        }

        fn fleet(&self) -> &dyn FleetStore {
            self
        }

        fn alerts(&self) -> &dyn AlertStore {
            self.0.alerts()
        }

        async fn close(&self) {
            self.0.close().await;
        }
    }
    fn key(organization: &OrganizationId, id: &KeyId) -> Option<KeyRecord>;
    fn keys(query: &KeyQuery) -> Vec<KeyRecord>;
    fn place(organization: &OrganizationId, after: Option<&Cursor>, count: usize) -> Option<Cursor>;
    fn reach(query: &ReachQuery) -> Reach;
    fn account(organization: &OrganizationId, id: &ServiceAccountId) -> Option<ServiceAccount>;
    fn accounts(query: &AccountQuery) -> Vec<ServiceAccount>;
    fn organization(id: &OrganizationId) -> OrganizationRecord;
    fn counts(organization: &OrganizationId, now: Timestamp) -> Counts;
    fn audit(query: &AuditQuery) -> Vec<AuditEvent>;
    fn add_usage(batch: &UsageBatch) -> bool;
    fn usage(query: &UsageQuery) -> Vec<UsageBucket>;
    fn add_activity(activity: &[Activity]) -> ();
    fn activity(query: &ActivityQuery) -> Vec<(String, Activity)>;
    fn prune(prune: &Prune, now: Timestamp) -> Pruned;
    fn expiring(from: Timestamp, to: Timestamp, limit: usize) -> Vec<KeyRecord>;
    fn scan(after: Option<&KeyId>, limit: usize) -> Vec<KeyRecord>;
    fn revision() -> u64;
    fn marker(name: &str) -> Option<String>;
    fn advance_marker(name: &str, from: Option<&str>, to: &str) -> bool;
    fn check() -> ();
}

pass_on! {
    impl mut Transaction for StoppingTransaction {
        async fn commit(self: Box<Self>, changes: Changes) -> Result<Option<u64>, StoreError> {
            reached("before the commit");
            let told = format!("{:?}", changes.invalidations);
            let committed = self.0.commit(changes).await;
            remember("committed", &(&committed, told));
            reached("after the commit");
            committed
        }
    }
    fn organization() -> OrganizationRecord;
    fn key(id: &KeyId) -> Option<KeyRecord>;
    fn ids(filter: &KeyFilter, now: Timestamp) -> Vec<KeyId>;
    fn heads(ids: &[KeyId]) -> Vec<KeyHead>;
    fn reach(query: &ReachQuery) -> Reach;
    fn account(id: &ServiceAccountId) -> Option<ServiceAccount>;
    fn counts(now: Timestamp) -> Counts;
    fn taken(digests: &[KeyDigest]) -> Vec<KeyDigest>;
    fn taken_ids(ids: &[KeyId]) -> Vec<KeyId>;
    fn has_made(actor: &apikey_core::ActorId, presented: &KeyDigest, secret: &KeyDigest) -> bool;
    fn marker(name: &str) -> Option<String>;
    fn alert_settings() -> Option<AlertSettings>;
    fn alert(id: AlertId) -> Option<Alert>;
    fn webhooks() -> Vec<Webhook>;
    fn delivery(id: DeliveryId) -> Option<Delivery>;
    fn remembered(request: &str) -> Option<Remembered>;
}

#[async_trait]
impl<S: Statements> FleetStore for Stopping<S> {
    async fn beat(&self, id: NodeId, lease: Duration, beat: Beat, replaces: Option<NodeId>) -> Result<(), StoreError> {
        *OWN.lock().unwrap() = Some(id);
        reached("before the beat");
        let beaten = self.0.of().beat(id, lease, beat, replaces).await;
        remember("beaten", &(id, beat, &beaten));
        reached("after the beat");
        beaten
    }

    async fn snapshot(&self, id: NodeId, since: Option<Revision>) -> Result<StoreState, StoreError> {
        reached("before the snapshot");
        let snapshot = self.0.of().snapshot(id, since).await;
        remember("snapshot", &snapshot);
        reached("after the snapshot");
        snapshot
    }

    async fn acknowledge(&self, id: NodeId, applied: Mark) -> Result<(), StoreError> {
        reached("before the acknowledgement");
        let acknowledged = self.0.of().acknowledge(id, applied).await;
        reached("after the acknowledgement");
        acknowledged
    }

    async fn leave(&self, id: NodeId) -> Result<(), StoreError> {
        self.0.of().leave(id).await
    }

    async fn nodes(&self) -> Result<(Revision, Vec<NodeRow>), StoreError> {
        reached("before the receipt");
        let nodes = self.0.of().nodes().await;
        remember("nodes", &nodes);
        nodes
    }

    async fn roster(&self) -> Result<(Revision, Vec<SeenNode>), StoreError> {
        self.0.of().roster().await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<bool, StoreError> {
        self.0.of().sweep(sweep).await
    }

    fn is_shared(&self) -> bool {
        self.0.of().is_shared()
    }

    async fn changed(&self, known: Revision) {
        self.0.of().changed(known).await;
    }

    fn detached(&self) -> Box<dyn FleetStore> {
        Box::new(Stopping(self.0.of().detached()))
    }
}
