//! A transaction: the organization's lock, and access to the state.

use apikey_core::{ActorId, KeyDigest, KeyId, OrganizationId, ServiceAccountId, Timestamp};
use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;

use super::MemoryStore;
use crate::{
    account::ServiceAccount,
    alerts::{Alert, AlertId, AlertSettings, Delivery, DeliveryId, Webhook},
    organization::OrganizationRecord,
    query::{KeyFilter, Reach, ReachQuery},
    record::{KeyHead, KeyRecord},
    store::{Changes, Counts, Made, Remembered, StoreError, Transaction},
};

pub(super) struct MemoryTransaction {
    store: MemoryStore,
    organization: OrganizationId,
    _lock: OwnedMutexGuard<()>,
}

impl MemoryTransaction {
    pub(super) fn new(store: MemoryStore, organization: OrganizationId, lock: OwnedMutexGuard<()>) -> Self {
        MemoryTransaction { store, organization, _lock: lock }
    }
}

#[async_trait]
impl Transaction for MemoryTransaction {
    async fn organization(&mut self) -> Result<OrganizationRecord, StoreError> {
        Ok(self.store.read().organization(&self.organization))
    }

    async fn key(&mut self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        Ok(self.store.read().key(&self.organization, id).cloned())
    }

    async fn ids(&mut self, filter: &KeyFilter, now: Timestamp) -> Result<Vec<KeyId>, StoreError> {
        Ok(self.store.read().ids(&self.organization, filter, now))
    }

    async fn heads(&mut self, ids: &[KeyId]) -> Result<Vec<KeyHead>, StoreError> {
        Ok(self.store.read().heads(&self.organization, ids))
    }

    async fn reach(&mut self, query: &ReachQuery) -> Result<Reach, StoreError> {
        Ok(self.store.read().reach(query))
    }

    async fn account(&mut self, id: &ServiceAccountId) -> Result<Option<ServiceAccount>, StoreError> {
        Ok(self.store.read().account(&self.organization, id).cloned())
    }

    async fn counts(&mut self, now: Timestamp) -> Result<Counts, StoreError> {
        Ok(self.store.read().counts(&self.organization, now))
    }

    async fn taken(&mut self, digests: &[KeyDigest]) -> Result<Vec<KeyDigest>, StoreError> {
        let state = self.store.read();
        Ok(digests.iter().filter(|digest| state.is_digest_taken(digest)).cloned().collect())
    }

    async fn taken_ids(&mut self, ids: &[KeyId]) -> Result<Vec<KeyId>, StoreError> {
        let state = self.store.read();
        Ok(ids.iter().filter(|id| state.is_id_taken(id)).cloned().collect())
    }

    async fn has_made(
        &mut self,
        actor: &ActorId,
        presented: &KeyDigest,
        secret: &KeyDigest,
    ) -> Result<bool, StoreError> {
        let state = self.store.read();
        let lineage = state.organizations.get(&self.organization).map(|owned| &owned.lineage);
        Ok(lineage.into_iter().flatten().any(|lineage| {
            lineage.actor == *actor
                && lineage.presented.as_ref() == Some(presented)
                && lineage.made == Made::Secret(secret.clone())
        }))
    }

    async fn marker(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.store.read().markers.get(name).cloned())
    }

    async fn alert_settings(&mut self) -> Result<Option<AlertSettings>, StoreError> {
        Ok(self.store.read().alerts.settings_of(&self.organization))
    }

    async fn alert(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        Ok(self.store.read().alerts.alert_of(&self.organization, id))
    }

    async fn delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        Ok(self.store.read().alerts.delivery_of(&self.organization, id))
    }

    async fn webhooks(&mut self) -> Result<Vec<Webhook>, StoreError> {
        Ok(self.store.read().alerts.webhooks_of(&self.organization))
    }

    async fn remembered(&mut self, request: &str) -> Result<Option<Remembered>, StoreError> {
        let state = self.store.read();
        let requests =
            state.organizations.get(&self.organization).into_iter().flat_map(|owned| owned.requests.values());
        Ok(requests.rev().find(|remembered| remembered.request == request).cloned())
    }

    async fn commit(self: Box<Self>, changes: Changes) -> Result<Option<u64>, StoreError> {
        self.store.write().commit(&self.organization, changes)
    }
}
