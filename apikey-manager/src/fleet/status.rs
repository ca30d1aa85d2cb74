//! What an operator sees of the processes on a database: how far each has followed, and for whom this one waits.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use apikey_core::Timestamp;
use apikey_fleet::{NodeId, Revision};

use super::{Membership, alone};
use crate::store::StoreError;

/// The processes on a database, as one of them sees them. Ids are 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetStatus {
    /// The latest revision.
    pub revision: u64,
    /// The node of this process, or `None` if nobody waits for it: it is alone or serves no requests, or nobody else can
    /// open the store.
    pub own: Option<String>,
    /// The nodes, by id.
    pub nodes: Vec<FleetNode>,
    /// The changes of this process that wait for their receipts, oldest first.
    pub waits: Vec<FleetWait>,
}

/// A process among others on a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetNode {
    /// The id.
    pub id: String,
    /// How long a lease of this process may last. It is zero for one that is [alone](crate::KeyManagerBuilder::alone).
    pub lease: Duration,
    /// The revision up to which the process has said that it follows. It says so only when somebody waits for it, so this
    /// is less than the latest revision after changes that nobody waits for, such as a new key.
    pub applied: u64,
    /// The number of later changes that somebody waits for. Nobody waits for a process that is alone.
    pub behind: u64,
    /// How long ago the process last gave a sign of life, by the clock of the database: its latest renewal, or its start if
    /// it is alone. Nothing is decided by it.
    pub silent: Duration,
}

/// A change that waits for its receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetWait {
    /// The revision of the change.
    pub revision: u64,
    /// When it began to wait, by the manager's clock.
    pub since: Timestamp,
    /// The nodes that it waits for; none until the database has told which there are.
    pub nodes: Vec<String>,
}

/// Formats an id as receipts, logs and the database do.
pub(super) fn written(id: NodeId) -> String {
    format!("{:032x}", id.get())
}

/// The waits of this process.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<BTreeMap<u64, FleetWait>>);

/// A wait in the list, until it is dropped.
pub(super) struct Listed<'w> {
    waits: &'w Waits,
    number: u64,
}

impl Waits {
    pub(super) fn list(&self, revision: Revision, since: Timestamp) -> Listed<'_> {
        let mut waits = self.lock();
        let number = waits.last_key_value().map_or(0, |(last, _)| last + 1);
        waits.insert(number, FleetWait { revision: revision.get(), since, nodes: Vec::new() });
        Listed { waits: self, number }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, FleetWait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed<'_> {
    pub(super) fn waits_for(&self, nodes: impl Iterator<Item = NodeId>) {
        if let Some(wait) = self.waits.lock().get_mut(&self.number) {
            wait.nodes = nodes.map(written).collect();
        }
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.waits.lock().remove(&self.number);
    }
}

impl Membership {
    pub(crate) async fn status(&self) -> Result<FleetStatus, StoreError> {
        let (head, nodes) = self.store.fleet().roster().await?;
        let nodes = nodes.into_iter().map(|seen| FleetNode {
            id: written(seen.row.id),
            lease: seen.row.lease,
            applied: seen.row.applied.get(),
            behind: if alone::is_alone(&seen.row) { 0 } else { seen.behind },
            silent: seen.silent,
        });
        Ok(FleetStatus {
            revision: head.get(),
            own: self.state.own().map(written),
            nodes: nodes.collect(),
            waits: self.waits.lock().values().cloned().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use apikey_core::KeyFormat;
    use apikey_fleet::Beat;

    use super::*;
    use crate::{Actor, Fleet, KeyManager, KeyStore, MemoryStore, NewKey, OrganizationId, Receipts};

    fn manager(store: &MemoryStore) -> KeyManager {
        let format = KeyFormat::builder("t").build().unwrap();
        KeyManager::builder(store.clone()).format(format).fleet(Fleet::new()).build().unwrap()
    }

    fn host() -> Actor {
        Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap()
    }

    /// Waits until a status fits.
    async fn status_when(keys: &KeyManager, fits: impl Fn(&FleetStatus) -> bool) -> FleetStatus {
        let seen = async {
            loop {
                let status = keys.fleet_status(&host()).await.unwrap();
                if fits(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), seen).await.expect("such a status")
    }

    #[tokio::test]
    async fn given_a_process_that_is_silent_when_a_key_is_revoked_then_the_wait_for_it_is_listed() {
        let store = MemoryStore::new();
        let keys = manager(&store);
        keys.readiness().await.unwrap();
        let key = keys.issue(&host(), NewKey::new("k")).await.unwrap();
        let calm = status_when(&keys, |status| status.nodes.iter().all(|node| node.behind == 0)).await;
        assert_eq!((calm.revision, &*calm.waits), (1, &[][..]), "nobody waits for a new key");
        assert_eq!(calm.own.as_ref(), Some(&calm.nodes[0].id));
        assert_eq!((calm.nodes.len(), calm.nodes[0].lease), (1, Duration::from_secs(10)));

        let silent = NodeId::new(0xabc);
        store.fleet().beat(silent, Duration::from_secs(300), Beat::new(1), None).await.unwrap();
        let before = keys.now();
        let revoked = tokio::spawn({
            let (keys, id) = (keys.clone(), key.id().clone());
            async move { keys.revoke(&host(), &id, "").await.unwrap() }
        });
        let silent_for = |status: &FleetStatus| {
            let [wait] = &*status.waits else { return false };
            wait.nodes == [written(silent)]
        };
        let waiting = status_when(&keys, silent_for).await;
        assert_eq!((waiting.revision, waiting.waits[0].revision), (2, 2));
        assert!((before..=keys.now()).contains(&waiting.waits[0].since));
        let node = &waiting.nodes[0];
        assert_eq!((&node.id, node.applied, node.behind), (&written(silent), 0, 1));

        store.fleet().leave(silent).await.unwrap();
        revoked.await.unwrap();
        let after = status_when(&keys, |status| status.nodes[0].behind == 0).await;
        assert_eq!((after.nodes.len(), &*after.waits), (1, &[][..]));
        keys.shutdown().await;
    }

    #[tokio::test]
    async fn given_a_process_that_tries_to_be_alone_when_it_gives_up_then_a_change_has_its_receipt() {
        let store = MemoryStore::new();
        let keys = manager(&store);
        keys.readiness().await.unwrap();
        let key = keys.issue(&host(), NewKey::new("k")).await.unwrap();
        let (silent, alone) = (NodeId::new(0xabc), NodeId::new(0xdef));
        store.fleet().beat(silent, Duration::from_secs(300), Beat::new(1), None).await.unwrap();
        store.fleet().beat(alone, Duration::ZERO, Beat::new(1), None).await.unwrap();
        let receipts = Receipts::default();
        let revoked = tokio::spawn({
            let (keys, id, actor) = (keys.clone(), key.id().clone(), host().with_receipts(&receipts));
            async move { keys.revoke(&actor, &id, "").await }
        });
        // It has seen both rows.
        status_when(&keys, |status| status.waits.iter().any(|wait| wait.nodes == [written(silent)])).await;
        for id in [silent, alone] {
            store.fleet().leave(id).await.unwrap();
        }
        revoked.await.unwrap().unwrap();
        assert_eq!(receipts.take().unwrap().waited_out.len(), 0);
        keys.shutdown().await;
    }

    #[tokio::test]
    async fn given_processes_that_nobody_waits_for_when_asked_then_one_has_no_node_and_the_other_owes_nothing() {
        let store = MemoryStore::new();
        let format = KeyFormat::builder("t").build().unwrap();
        let keys = KeyManager::builder(store.clone()).format(format).without_requests().build().unwrap();
        let key = keys.issue(&host(), NewKey::new("k")).await.unwrap();
        keys.revoke(&host(), key.id(), "").await.unwrap();
        let status = keys.fleet_status(&host()).await.unwrap();
        assert_eq!((status.own, status.nodes), (None, Vec::new()));

        store.fleet().beat(NodeId::new(1), Duration::ZERO, Beat::new(1), None).await.unwrap();
        let alone = keys.fleet_status(&host()).await.unwrap().nodes.remove(0);
        assert_eq!((alone.lease, alone.behind), (Duration::ZERO, 0));
    }
}
