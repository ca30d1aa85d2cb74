//! The transactions of the broken store.

use std::mem;

use apikey_core::{KeyDigest, KeyId, Timestamp};
use apikey_manager::{
    ActorId, Alert, AlertId, AlertQuery, AlertSettings, AlertStore, Change, Changes, Counts, Delivery, DeliveryId,
    KeyFilter, KeyHead, KeyQuery, KeyRecord, KeySort, KeyStore, OrganizationId, OrganizationRecord, Reach, ReachQuery,
    Remembered, SecretRecord, ServiceAccount, ServiceAccountId, StoreError, Transaction, Webhook,
};
use async_trait::async_trait;
use tokio::task::yield_now;

use crate::{
    broken::{ALL, Broken},
    fault::Fault,
};

pub(crate) struct BrokenTransaction {
    store: Broken,
    organization: OrganizationId,
    /// `None` if the fault is a missing lock.
    inner: Option<Box<dyn Transaction>>,
}

impl BrokenTransaction {
    pub(crate) fn new(store: Broken, organization: OrganizationId, inner: Box<dyn Transaction>) -> Self {
        let inner = (!store.is(Fault::NoLock)).then_some(inner);
        BrokenTransaction { store, organization, inner }
    }

    /// The transaction that is kept, or a temporary one.
    async fn inner(&mut self) -> Result<Box<dyn Transaction>, StoreError> {
        match self.inner.take() {
            Some(inner) => Ok(inner),
            None => self.store.inner.begin(&self.organization).await,
        }
    }

    fn put_back(&mut self, inner: Box<dyn Transaction>) {
        if !self.store.is(Fault::NoLock) {
            self.inner = Some(inner);
        }
    }
}

impl Drop for BrokenTransaction {
    fn drop(&mut self) {
        if self.store.is(Fault::LeaksLock) {
            mem::forget(self.inner.take());
        }
    }
}

#[async_trait]
impl Transaction for BrokenTransaction {
    async fn organization(&mut self) -> Result<OrganizationRecord, StoreError> {
        self.store.inner.organization(&self.organization).await
    }

    async fn key(&mut self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        yield_now().await;
        let key = match self.store.fault {
            Fault::ChangesReachAcross => self.store.key_anywhere(id).await?,
            _ => self.store.inner.key(&self.organization, id).await?,
        };
        Ok(key.map(|key| self.store.told(key)))
    }

    async fn ids(&mut self, filter: &KeyFilter, now: Timestamp) -> Result<Vec<KeyId>, StoreError> {
        let query = KeyQuery {
            organization: self.organization.clone(),
            filter: filter.clone(),
            sort: KeySort::Created,
            now,
            after: None,
            limit: if self.store.is(Fault::ChangesListAPage) { 200 } else { ALL },
        };
        Ok(self.store.keys(&query).await?.into_iter().map(|key| key.id).collect())
    }

    async fn heads(&mut self, ids: &[KeyId]) -> Result<Vec<KeyHead>, StoreError> {
        yield_now().await;
        let mut heads = Vec::new();
        for id in ids {
            let key = match self.store.fault {
                Fault::ChangesReachAcross => self.store.key_anywhere(id).await?,
                _ => self.store.inner.key(&self.organization, id).await?,
            };
            heads.extend(key.map(|key| KeyHead::from(&self.store.told(key))));
        }
        Ok(heads)
    }

    async fn reach(&mut self, query: &ReachQuery) -> Result<Reach, StoreError> {
        self.store.reach(query).await
    }

    async fn account(&mut self, id: &ServiceAccountId) -> Result<Option<ServiceAccount>, StoreError> {
        self.store.inner.account(&self.organization, id).await
    }

    async fn counts(&mut self, now: Timestamp) -> Result<Counts, StoreError> {
        let counts = self.store.counts(&self.organization, now).await;
        yield_now().await;
        counts
    }

    async fn taken(&mut self, digests: &[KeyDigest]) -> Result<Vec<KeyDigest>, StoreError> {
        let mut inner = self.inner().await?;
        let mut taken = inner.taken(digests).await?;
        self.put_back(inner);
        match self.store.fault {
            Fault::TakenByOwnOnly => {
                let found = self.store.found(&taken).await?.1;
                let own = found.into_iter().filter(|found| found.organization == self.organization);
                taken = own.map(|found| found.digest).collect();
            }
            Fault::ForgetsDeletedDigests => {
                let found = self.store.found(&taken).await?.1;
                taken = found.into_iter().map(|found| found.digest).collect();
            }
            _ => {}
        }
        Ok(taken)
    }

    async fn taken_ids(&mut self, ids: &[KeyId]) -> Result<Vec<KeyId>, StoreError> {
        let mut inner = self.inner().await?;
        let taken = inner.taken_ids(ids).await?;
        self.put_back(inner);
        let mut told = Vec::new();
        for id in taken {
            let is_told = match self.store.fault {
                Fault::TakenByOwnOnly => self.store.inner.key(&self.organization, &id).await?.is_some(),
                Fault::ForgetsDeletedIds => self.store.key_anywhere(&id).await?.is_some(),
                _ => true,
            };
            if is_told {
                told.push(id);
            }
        }
        Ok(told)
    }

    async fn has_made(
        &mut self,
        actor: &ActorId,
        presented: &KeyDigest,
        secret: &KeyDigest,
    ) -> Result<bool, StoreError> {
        let mut inner = self.inner().await?;
        let mut made = inner.has_made(actor, presented, secret).await?;
        self.put_back(inner);
        if self.store.is(Fault::FollowsAnySecret) {
            made |= self
                .store
                .found(std::slice::from_ref(secret))
                .await?
                .1
                .iter()
                .any(|found| actor.as_str() == format!("key:{}", found.id));
        }
        Ok(made)
    }

    async fn marker(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        let marker = self.store.inner.marker(name).await;
        yield_now().await;
        marker
    }

    async fn alert_settings(&mut self) -> Result<Option<AlertSettings>, StoreError> {
        let set = self.store.alert_settings(std::slice::from_ref(&self.organization)).await?;
        Ok(set.into_iter().map(|(_, settings)| settings).next())
    }

    async fn alert(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let mut inner = self.inner().await?;
        let own = inner.alert(id).await?;
        self.put_back(inner);
        if own.is_some() || !self.store.is(Fault::AlertsReachAcross) {
            return Ok(own);
        }
        let organizations = self.store.notes().organizations.clone();
        for organization in organizations {
            let query = AlertQuery { organization, filter: Default::default(), after: None, limit: ALL };
            let alerts = self.store.inner.alerts().list(&query).await?;
            if let Some(alert) = alerts.into_iter().find(|alert| alert.id == id) {
                return Ok(Some(alert));
            }
        }
        Ok(None)
    }

    async fn delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let mut inner = self.inner().await?;
        let delivery = inner.delivery(id).await;
        self.put_back(inner);
        delivery
    }

    async fn webhooks(&mut self) -> Result<Vec<Webhook>, StoreError> {
        self.store.webhooks(&self.organization).await
    }

    async fn remembered(&mut self, request: &str) -> Result<Option<Remembered>, StoreError> {
        let mut inner = self.inner().await?;
        let remembered = inner.remembered(request).await;
        self.put_back(inner);
        let noted = self.store.notes().requests.iter().find(|noted| noted.request == request).cloned();
        Ok(remembered?.or(noted))
    }

    async fn commit(mut self: Box<Self>, changes: Changes) -> Result<Option<u64>, StoreError> {
        let store = self.store.clone();
        let organization = self.organization.clone();
        let mut inner = self.inner().await?;
        let Changes { changes, mut affects_callers, invalidations } = changes;
        let mut steps = Vec::new();
        for mut change in changes {
            match (&mut change, store.fault) {
                (Change::SetWebhook(webhook), Fault::SendsToDisabled) => webhook.is_disabled = false,
                (Change::SetWebhook(webhook), Fault::SendsEverything) => webhook.events.clear(),
                (Change::CloseAlerts(keys, ..), Fault::ClosesNothing) => keys.clear(),
                _ => {}
            }
            if let Some(change) = rewritten(&store, &organization, &mut *inner, &steps, change).await? {
                steps.push(change);
            }
        }
        let committing =
            |changes, affects_callers| Changes { changes, affects_callers, invalidations: invalidations.clone() };
        let deleted: Vec<_> = steps
            .iter()
            .filter_map(|step| if let Change::DeleteKey(id) = step { Some(id.clone()) } else { None })
            .collect();
        for id in deleted {
            if let Some(key) = store.key_anywhere(&id).await? {
                store.notes().deleted.push(key);
            }
        }
        let number = {
            let mut notes = store.notes();
            notes.commits += 1;
            notes.commits
        };
        let revision = match store.fault {
            Fault::CommitsOneByOne => {
                drop(inner);
                let mut revision = None;
                for step in steps {
                    let step = committing(vec![step], affects_callers);
                    revision = store.inner.begin(&organization).await?.commit(step).await?;
                }
                revision
            }
            Fault::StopsHalfway if steps.len() > 1 => {
                let rest = steps.split_off(1);
                inner.commit(committing(steps, false)).await?;
                yield_now().await;
                store.inner.begin(&organization).await?.commit(committing(rest, affects_callers)).await?
            }
            Fault::LosesCommits if number.is_multiple_of(7) => Some(store.inner.revision().await?),
            Fault::RevisionComesFirst => {
                let revision = inner.commit(committing(Vec::new(), affects_callers)).await?;
                for _ in 0..5 {
                    yield_now().await;
                }
                store.inner.begin(&organization).await?.commit(committing(steps, false)).await?;
                revision
            }
            Fault::RevisionMovesOnRefusal => match inner.commit(committing(steps, affects_callers)).await {
                Ok(revision) => revision,
                Err(error) => {
                    store.inner.begin(&organization).await?.commit(committing(Vec::new(), true)).await?;
                    return Err(error);
                }
            },
            Fault::WritesForOthers | Fault::ChangesReachAcross if !steps.is_empty() => {
                drop(inner);
                let owner = owner(&store, &steps[0]).await?.unwrap_or(organization);
                store.inner.begin(&owner).await?.commit(committing(steps, affects_callers)).await?
            }
            _ => {
                match store.fault {
                    Fault::KeepsFiveHundred => steps.truncate(500),
                    Fault::LastChangeFirst => steps.reverse(),
                    Fault::RevisionStands => affects_callers = false,
                    Fault::RevisionAlwaysMoves => affects_callers = true,
                    _ => {}
                }
                inner.commit(committing(steps, affects_callers)).await?
            }
        };
        Ok(revision.map(|revision| store.revision_told(revision)))
    }
}

/// Returns the change to make instead of the requested one, if any.
async fn rewritten(
    store: &Broken,
    organization: &OrganizationId,
    inner: &mut dyn Transaction,
    before: &[Change],
    change: Change,
) -> Result<Option<Change>, StoreError> {
    Ok(Some(match change {
        Change::InsertKey(mut key) => {
            let digests: Vec<_> = key.secrets.iter().map(|secret| secret.digest.clone()).collect();
            let free = freed(store, inner, &digests, &[], before).await?;
            for secret in key.secrets.iter_mut().filter(|secret| free.contains(&secret.digest)) {
                secret.digest = store.new_digest();
            }
            let is_taken = !inner.taken_ids(std::slice::from_ref(&key.id)).await?.is_empty();
            let is_deleted = is_taken && store.key_anywhere(&key.id).await?.is_none();
            let is_free = match store.fault {
                Fault::AcceptsTakenIds => is_taken,
                Fault::ForgetsDeletedIds => is_deleted,
                _ => false,
            };
            if is_free {
                key.id = KeyId::generate(key.created_at).unwrap();
            }
            match store.fault {
                Fault::InsertForgetsLastUse => key.last_used_at = None,
                Fault::NulEndsTexts => key.name.truncate(key.name.find('\0').unwrap_or(key.name.len())),
                _ => {}
            }
            Change::InsertKey(key)
        }
        Change::UpdateKey(mut key) => match store.inner.key(organization, &key.id).await? {
            None if store.is(Fault::SkipsUnknownRows) => return Ok(None),
            None => Change::UpdateKey(key),
            Some(known) => {
                let own: Vec<_> = known.secrets.iter().map(|secret| secret.digest.clone()).collect();
                let digests: Vec<_> = key.secrets.iter().map(|secret| secret.digest.clone()).collect();
                let free = freed(store, inner, &digests, &own, before).await?;
                for secret in key.secrets.iter_mut().filter(|secret| free.contains(&secret.digest)) {
                    secret.digest = store.new_digest();
                }
                match store.fault {
                    Fault::AcceptsStaleVersions => key.version = known.version + 1,
                    Fault::UpdateKeepsDescription => key.description = known.description,
                    Fault::UpdateKeepsRevocation => key.revoked = known.revoked,
                    Fault::UpdateKeepsScopes => key.scopes = known.scopes,
                    Fault::UpdateKeepsExpiry => key.expires_at = key.expires_at.or(known.expires_at),
                    Fault::UpdateWritesLastUse => {
                        store.notes().last_used.insert(key.id.clone(), (*key).clone());
                    }
                    Fault::UpdateKeepsWindows => {
                        for known in known.secrets {
                            if let Some(given) = key.secrets.iter_mut().find(|given| given.digest == known.digest) {
                                (given.superseded_at, given.ends_at) = (known.superseded_at, known.ends_at);
                            }
                        }
                    }
                    Fault::UpdateRemovesSecrets => {
                        store.notes().secrets_left.insert(key.id.clone(), digests);
                    }
                    _ => {}
                }
                Change::UpdateKey(key)
            }
        },
        Change::UpdateAccount(mut account) => match store.inner.account(organization, &account.id).await? {
            None if store.is(Fault::SkipsUnknownRows) => return Ok(None),
            None => Change::UpdateAccount(account),
            Some(known) => {
                match store.fault {
                    Fault::AcceptsStaleVersions => account.version = known.version + 1,
                    Fault::UpdateKeepsAccountsDescription => account.description = known.description,
                    _ => {}
                }
                Change::UpdateAccount(account)
            }
        },
        Change::SetState(mut state) => match store.inner.key(organization, &state.id).await? {
            None if store.is(Fault::SkipsUnknownRows) => return Ok(None),
            None => Change::SetState(state),
            Some(known) => {
                match store.fault {
                    Fault::AcceptsStaleVersions => state.version = known.version + 1,
                    Fault::UpdateKeepsRevocation => state.revoked = known.revoked,
                    Fault::StateKeepsDisabled => state.disabled = known.disabled,
                    _ => {}
                }
                Change::SetState(state)
            }
        },
        Change::EndSecrets(id, version, digests, at) => match store.inner.key(organization, &id).await? {
            Some(known) if store.is(Fault::AcceptsStaleVersions) => {
                Change::EndSecrets(id, known.version + 1, digests, at)
            }
            _ => Change::EndSecrets(id, version, digests, at),
        },
        Change::RetireSecrets(..) if store.is(Fault::RetiresNothing) => return Ok(None),
        Change::RetireSecrets(id, digests) => {
            let own = store.inner.key(organization, &id).await?;
            let is_left = |secret: &SecretRecord| !digests.contains(&secret.digest);
            let is_known = own.as_ref().is_some_and(|key| {
                let left = key.secrets.iter().filter(|secret| is_left(secret)).count();
                left > 0 && left + digests.len() == key.secrets.len()
            });
            if store.is(Fault::SkipsUnknownRows) && !is_known {
                return Ok(None);
            }
            if let Some(mut key) = own.filter(|_| store.is(Fault::RetireForgetsLastUse)) {
                let left = key.secrets.iter().filter(|secret| is_left(secret));
                key.last_used_at = left.filter_map(|secret| secret.last_used_at).max();
                store.notes().last_used.insert(id.clone(), key);
            }
            Change::RetireSecrets(id, digests)
        }
        Change::DeleteKey(_) | Change::DeleteAccount(_) if store.is(Fault::DeletesNothing) => return Ok(None),
        Change::SetMarker(..) if store.is(Fault::ForgetsMarkers) => return Ok(None),
        Change::Remember(_) if store.is(Fault::ForgetsRequests) => return Ok(None),
        Change::Remember(request) if store.is(Fault::RemembersFailures) => {
            store.notes().requests.push(request.clone());
            Change::Remember(request)
        }
        Change::ForgetRequests { .. } if store.is(Fault::ForgetsNoRequest) => return Ok(None),
        Change::ForgetRequests { before, keep } if store.is(Fault::ForgetsOneMore) => {
            Change::ForgetRequests { before, keep: keep.saturating_sub(1) }
        }
        Change::DeleteKey(id) => {
            store.notes().deleted_targets.insert(id.as_str().to_owned());
            let is_there = store.inner.key(organization, &id).await?.is_some();
            if store.is(Fault::SkipsUnknownRows) && !is_there {
                return Ok(None);
            }
            Change::DeleteKey(id)
        }
        Change::DeleteAccount(id) => {
            let is_there = store.inner.account(organization, &id).await?.is_some();
            if store.is(Fault::SkipsUnknownRows) && !is_there {
                return Ok(None);
            }
            Change::DeleteAccount(id)
        }
        Change::SetMarker(name, value) => {
            let is_set = store.inner.marker(&name).await?.is_some();
            if store.is(Fault::MarkersAreSetAgain) && is_set {
                return Ok(None);
            }
            Change::SetMarker(name, value)
        }
        Change::Audit(mut event) => {
            let is_known = store.notes().events.insert(event.id.clone(), event.clone()).is_some();
            if store.is(Fault::AuditIsOverwritten) && is_known {
                return Ok(None);
            }
            if store.is(Fault::AuditForgetsRequests) {
                event.request_id = None;
            }
            Change::Audit(event)
        }
        other => other,
    }))
}

/// Returns the taken digests that this store wrongly accepts.
async fn freed(
    store: &Broken,
    inner: &mut dyn Transaction,
    digests: &[KeyDigest],
    own: &[KeyDigest],
    before: &[Change],
) -> Result<Vec<KeyDigest>, StoreError> {
    let mut free = match store.fault {
        Fault::AcceptsTakenDigests => inner.taken(digests).await?,
        Fault::ForgetsDeletedDigests => {
            let mut taken = inner.taken(digests).await?;
            let found = store.found(&taken).await?.1;
            taken.retain(|digest| found.iter().all(|found| found.digest != *digest));
            taken
        }
        Fault::AcceptsDigestsTwice => {
            let in_use = |digest: &&KeyDigest| {
                before.iter().any(|change| match change {
                    Change::InsertKey(key) => key.secrets.iter().any(|secret| secret.digest == **digest),
                    _ => false,
                })
            };
            digests.iter().filter(in_use).cloned().collect()
        }
        _ => Vec::new(),
    };
    free.retain(|digest| !own.contains(digest));
    Ok(free)
}

/// Returns the organization of a change's row.
async fn owner(store: &Broken, change: &Change) -> Result<Option<OrganizationId>, StoreError> {
    let named = match change {
        Change::InsertKey(key) => Some(key.organization.clone()),
        Change::InsertAccount(account) | Change::UpdateAccount(account) => Some(account.organization.clone()),
        Change::SetOrganization(record) => Some(record.id.clone()),
        Change::Audit(event) => Some(event.organization.clone()),
        Change::UpdateKey(key) => store.key_anywhere(&key.id).await?.map(|key| key.organization),
        Change::SetState(state) => store.key_anywhere(&state.id).await?.map(|key| key.organization),
        Change::DeleteKey(id) => store.key_anywhere(id).await?.map(|key| key.organization),
        _ => None,
    };
    Ok(named)
}
