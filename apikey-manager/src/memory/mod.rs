//! A store in memory, for tests and for services that can lose their keys. [`state`] holds the data, [`changes`]
//! commits, [`reach`] computes bulk revocations, and [`usage`] and [`activity`] hold counts and requests.

mod activity;
mod alerts;
mod changes;
mod fleet;
mod reach;
mod state;
mod transaction;
mod usage;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
};

use apikey_core::{KeyDigest, KeyId, OrganizationId, ServiceAccountId, Timestamp};
use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;

use self::{state::State, transaction::MemoryTransaction};
use crate::{
    account::ServiceAccount,
    audit::AuditEvent,
    organization::OrganizationRecord,
    query::{
        AccountQuery, Activity, ActivityQuery, AuditQuery, KeyQuery, Prune, Pruned, Reach, ReachQuery, UsageBatch,
        UsageBucket, UsageQuery,
    },
    record::KeyRecord,
    store::{AlertStore, Counts, FleetStore, Found, KeyStore, Lookup, StoreError, Transaction},
};

/// Keeps keys in memory, until the process ends.
///
/// It is a complete [`KeyStore`] within one process. Clones share one store.
///
/// ```
/// use apikey_manager::{KeyStore, MemoryStore, OrganizationId};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = MemoryStore::new();
/// let acme = OrganizationId::new("acme")?;
/// assert!(store.organization(&acme).await?.suspended.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Memory
///
/// The store keeps the newest 100,000 requests of activity, and the ids of usage batches of the last day. Usage and
/// audit events stay until they are [pruned](KeyStore::prune). The digests and ids of deleted keys stay forever,
/// because they must not be used again.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: RwLock<State>,
    /// One lock for each organization that is being changed. Unused locks are dropped.
    organizations: Mutex<HashMap<OrganizationId, Weak<tokio::sync::Mutex<()>>>>,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        MemoryStore::default()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.shared.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.shared.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn organizations(&self) -> MutexGuard<'_, HashMap<OrganizationId, Weak<tokio::sync::Mutex<()>>>> {
        self.shared.organizations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn lock(&self, organization: &OrganizationId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.organizations();
            // Done only when the map is about to grow, so its amortized cost is constant.
            if locks.len() == locks.capacity() {
                locks.retain(|_, lock| lock.strong_count() > 0);
            }
            let known = locks.get(organization).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                locks.insert(organization.clone(), Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("keys", &self.read().keys.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl KeyStore for MemoryStore {
    fn fleet(&self) -> &dyn FleetStore {
        self
    }

    async fn begin(&self, organization: &OrganizationId) -> Result<Box<dyn Transaction>, StoreError> {
        let lock = self.lock(organization).await;
        Ok(Box::new(MemoryTransaction::new(self.clone(), organization.clone(), lock)))
    }

    async fn find(&self, digests: &[KeyDigest]) -> Result<Lookup, StoreError> {
        let state = self.read();
        let found = digests.iter().filter_map(|digest| state.find(digest));
        Ok(Lookup { revision: state.revision, found: found.map(|key| Found::Key(Box::new(key))).collect() })
    }

    async fn key(&self, organization: &OrganizationId, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        Ok(self.read().key(organization, id).cloned())
    }

    async fn keys(&self, query: &KeyQuery) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self.read().keys(query))
    }

    async fn reach(&self, query: &ReachQuery) -> Result<Reach, StoreError> {
        Ok(self.read().reach(query))
    }

    async fn account(
        &self,
        organization: &OrganizationId,
        id: &ServiceAccountId,
    ) -> Result<Option<ServiceAccount>, StoreError> {
        Ok(self.read().account(organization, id).cloned())
    }

    async fn accounts(&self, query: &AccountQuery) -> Result<Vec<ServiceAccount>, StoreError> {
        Ok(self.read().accounts(query))
    }

    async fn organization(&self, id: &OrganizationId) -> Result<OrganizationRecord, StoreError> {
        Ok(self.read().organization(id))
    }

    async fn counts(&self, organization: &OrganizationId, now: Timestamp) -> Result<Counts, StoreError> {
        Ok(self.read().counts(organization, now))
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError> {
        Ok(self.read().audit(query))
    }

    async fn add_usage(&self, batch: &UsageBatch) -> Result<bool, StoreError> {
        let environments = batch.rows.iter().filter_map(|row| row.environment.as_deref());
        match environments.chain([batch.id.as_str()]).any(|text| text.contains('\0')) {
            true => Err(changes::nul()),
            false => Ok(self.write().add_usage(batch)),
        }
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageBucket>, StoreError> {
        Ok(self.read().usage(query))
    }

    async fn add_activity(&self, activity: &[Activity]) -> Result<(), StoreError> {
        let mut state = self.write();
        activity.iter().for_each(|request| state.activity.add(request.clone()));
        Ok(())
    }

    async fn activity(&self, query: &ActivityQuery) -> Result<Vec<(String, Activity)>, StoreError> {
        Ok(self.read().activity.page(query))
    }

    async fn prune(&self, prune: &Prune, now: Timestamp) -> Result<Pruned, StoreError> {
        Ok(self.write().prune(prune, now))
    }

    async fn expiring(&self, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self.read().expiring(from, to, limit))
    }

    async fn scan(&self, after: Option<&KeyId>, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self.read().scan(after, limit))
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.read().revision)
    }

    async fn marker(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.read().markers.get(name).cloned())
    }

    async fn advance_marker(&self, name: &str, from: Option<&str>, to: &str) -> Result<bool, StoreError> {
        if [name, to].iter().any(|text| text.contains('\0')) {
            return Err(changes::nul());
        }
        let mut state = self.write();
        let is_from = state.markers.get(name).map(String::as_str) == from;
        if is_from {
            state.markers.insert(name.to_owned(), to.to_owned());
        }
        Ok(is_from)
    }

    fn alerts(&self) -> &dyn AlertStore {
        self
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}

#[cfg(test)]
mod tests {
    use apikey_core::ActorId;

    use super::*;
    use crate::store::{Change, Changes};

    fn organization(n: usize) -> OrganizationId {
        OrganizationId::new(format!("organization {n}")).unwrap()
    }

    #[tokio::test]
    async fn given_a_store_with_a_key_when_formatted_for_debugging_then_no_digest_shows() {
        let store = MemoryStore::new();
        let digest = KeyDigest::sha256_from_bytes([0xab; 32]);
        let actor = ActorId::new("someone").unwrap();
        let key = KeyRecord::new(KeyId::new("key").unwrap(), organization(1), digest, Timestamp::UNIX_EPOCH, actor);
        let mut changes = Changes::default();
        changes.changes.push(Change::InsertKey(Box::new(key)));
        store.begin(&organization(1)).await.unwrap().commit(changes).await.unwrap();
        assert_eq!(format!("{store:?}"), "MemoryStore { keys: 1, .. }");
    }

    #[tokio::test]
    async fn given_many_organizations_when_changed_one_after_another_then_their_locks_are_not_kept() {
        let store = MemoryStore::new();
        for n in 0..10_000 {
            drop(store.begin(&organization(n)).await.unwrap());
        }
        assert!(store.organizations().len() < 100, "{}", store.organizations().len());
    }

    #[tokio::test]
    async fn given_a_lock_that_is_waited_for_when_the_map_is_tidied_then_it_still_excludes() {
        let store = MemoryStore::new();
        let first = store.begin(&organization(0)).await.unwrap();
        let second = {
            let store = store.clone();
            tokio::spawn(async move { store.begin(&organization(0)).await.map(drop) })
        };
        for n in 1..10_000 {
            drop(store.begin(&organization(n)).await.unwrap());
            if n % 1_000 == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap().unwrap();
    }
}
