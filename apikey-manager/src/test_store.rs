//! A store for this crate's tests: in memory, and failing on request.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use apikey_core::{KeyDigest, KeyId, OrganizationId, ServiceAccountId, Timestamp};
use async_trait::async_trait;

use crate::{
    MemoryStore,
    account::ServiceAccount,
    audit::AuditEvent,
    organization::OrganizationRecord,
    query::{
        AccountQuery, Activity, ActivityQuery, AuditQuery, KeyQuery, Prune, Pruned, Reach, ReachQuery, UsageBatch,
        UsageBucket, UsageQuery,
    },
    record::KeyRecord,
    store::{AlertStore, Change, Changes, Counts, FleetStore, KeyStore, Lookup, StoreError, Transaction},
};

/// A failure of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Writes nothing, and fails.
    Unavailable,
    /// Writes, and loses the answer.
    WrittenUnknown,
    /// Writes nothing, and never answers.
    Hangs,
    /// Writes, and never answers.
    WrittenHangs,
    /// Writes, and answers a second later.
    WrittenSlowly,
    Panics,
}

/// Fails the next writes of usage and activity, and pages of a scan, with the given faults in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestStore {
    pub(crate) memory: MemoryStore,
    pub(crate) faults: Arc<Mutex<VecDeque<Fault>>>,
    /// Every batch that was attempted.
    pub(crate) batches: Arc<Mutex<Vec<UsageBatch>>>,
    pub(crate) activity: Arc<Mutex<Vec<Activity>>>,
    pub(crate) pruned: Arc<Mutex<Vec<Prune>>>,
    /// A write lock on it blocks all reads.
    pub(crate) gate: Arc<tokio::sync::RwLock<()>>,
    /// The organizations that no transaction can begin for.
    pub(crate) locked: Arc<Mutex<Vec<OrganizationId>>>,
    /// The number of health checks.
    pub(crate) checks: Arc<AtomicUsize>,
}

impl TestStore {
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    pub(crate) async fn insert(&self, key: KeyRecord) {
        let transaction = self.memory.begin(&key.organization).await.unwrap();
        let changes = vec![Change::InsertKey(Box::new(key))];
        transaction.commit(Changes { changes, affects_callers: true, invalidations: Vec::new() }).await.unwrap();
    }

    pub(crate) fn batch_ids(&self) -> Vec<String> {
        self.batches.lock().unwrap().iter().map(|batch| batch.id.clone()).collect()
    }

    /// Returns whether to carry out the call, and how to answer it.
    async fn fault(&self) -> (bool, Result<(), StoreError>, bool) {
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            None => (true, Ok(()), false),
            Some(Fault::Unavailable) => (false, Err(StoreError::unavailable("on request")), false),
            Some(Fault::WrittenUnknown) => (true, Err(StoreError::unknown("on request")), false),
            Some(Fault::Hangs) => (false, Ok(()), true),
            Some(Fault::WrittenHangs) => (true, Ok(()), true),
            Some(Fault::WrittenSlowly) => (true, Ok(()), false),
            Some(Fault::Panics) => panic!("on request"),
        }
    }
}

#[async_trait]
impl KeyStore for TestStore {
    fn fleet(&self) -> &dyn FleetStore {
        self.memory.fleet()
    }

    fn alerts(&self) -> &dyn AlertStore {
        self.memory.alerts()
    }

    async fn begin(&self, organization: &OrganizationId) -> Result<Box<dyn Transaction>, StoreError> {
        if self.locked.lock().unwrap().contains(organization) {
            return Err(StoreError::unavailable("locked"));
        }
        self.memory.begin(organization).await
    }

    async fn find(&self, digests: &[KeyDigest]) -> Result<Lookup, StoreError> {
        self.memory.find(digests).await
    }

    async fn key(&self, organization: &OrganizationId, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        let _open = self.gate.read().await;
        self.memory.key(organization, id).await
    }

    async fn keys(&self, query: &KeyQuery) -> Result<Vec<KeyRecord>, StoreError> {
        let _open = self.gate.read().await;
        self.memory.keys(query).await
    }

    async fn reach(&self, query: &ReachQuery) -> Result<Reach, StoreError> {
        self.memory.reach(query).await
    }

    async fn account(
        &self,
        organization: &OrganizationId,
        id: &ServiceAccountId,
    ) -> Result<Option<ServiceAccount>, StoreError> {
        let _open = self.gate.read().await;
        self.memory.account(organization, id).await
    }

    async fn accounts(&self, query: &AccountQuery) -> Result<Vec<ServiceAccount>, StoreError> {
        let _open = self.gate.read().await;
        self.memory.accounts(query).await
    }

    async fn organization(&self, id: &OrganizationId) -> Result<OrganizationRecord, StoreError> {
        self.memory.organization(id).await
    }

    async fn counts(&self, organization: &OrganizationId, now: Timestamp) -> Result<Counts, StoreError> {
        let _open = self.gate.read().await;
        self.memory.counts(organization, now).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError> {
        let _open = self.gate.read().await;
        self.memory.audit(query).await
    }

    async fn add_usage(&self, batch: &UsageBatch) -> Result<bool, StoreError> {
        self.batches.lock().unwrap().push(batch.clone());
        let (is_done, answer, hangs) = self.fault().await;
        let added = if is_done { self.memory.add_usage(batch).await? } else { false };
        if hangs {
            std::future::pending::<()>().await;
        }
        answer.map(|()| added)
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageBucket>, StoreError> {
        let _open = self.gate.read().await;
        self.memory.usage(query).await
    }

    async fn add_activity(&self, activity: &[Activity]) -> Result<(), StoreError> {
        let is_slow = self.faults.lock().unwrap().front() == Some(&Fault::WrittenSlowly);
        let (is_done, answer, hangs) = self.fault().await;
        if is_done {
            self.activity.lock().unwrap().extend_from_slice(activity);
        }
        if is_slow {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        if hangs {
            std::future::pending::<()>().await;
        }
        answer
    }

    async fn activity(&self, query: &ActivityQuery) -> Result<Vec<(String, Activity)>, StoreError> {
        let _open = self.gate.read().await;
        self.memory.activity(query).await
    }

    async fn prune(&self, prune: &Prune, now: Timestamp) -> Result<Pruned, StoreError> {
        self.pruned.lock().unwrap().push(*prune);
        self.memory.prune(prune, now).await
    }

    async fn expiring(&self, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        self.memory.expiring(from, to, limit).await
    }

    async fn scan(&self, after: Option<&KeyId>, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        let (_, answer, hangs) = self.fault().await;
        if hangs {
            std::future::pending::<()>().await;
        }
        answer?;
        self.memory.scan(after, limit).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.memory.revision().await
    }

    async fn marker(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.memory.marker(name).await
    }

    async fn advance_marker(&self, name: &str, from: Option<&str>, to: &str) -> Result<bool, StoreError> {
        self.memory.advance_marker(name, from, to).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.checks.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.memory.check().await
    }

    async fn close(&self) {
        self.memory.close().await;
    }
}
