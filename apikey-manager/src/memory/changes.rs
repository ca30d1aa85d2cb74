//! Commits: applies changes in order, and undoes all of them on a conflict.

use apikey_core::{KeyDigest, KeyId, OrganizationId, ServiceAccountId, Timestamp};

use super::state::State;
use crate::{
    account::ServiceAccount,
    audit::AuditEvent,
    organization::OrganizationRecord,
    record::{KeyRecord, Revocation, SecretRecord},
    store::{Change, Changes, KeyState, Lineage, Remembered, StoreError},
};

/// Undoes one change.
pub(super) type Undo = Box<dyn FnOnce(&mut State)>;

impl State {
    /// Applies all of `changes` or none.
    pub(super) fn commit(
        &mut self,
        organization: &OrganizationId,
        changes: Changes,
    ) -> Result<Option<u64>, StoreError> {
        let mut undo = Vec::with_capacity(changes.changes.len());
        for change in changes.changes {
            match self.apply(organization, change) {
                Ok(step) => undo.push(step),
                Err(error) => {
                    undo.into_iter().rev().for_each(|step: Undo| step(self));
                    return Err(error);
                }
            }
        }
        Ok(changes.affects_callers.then(|| {
            self.revision += 1;
            self.history.add(self.revision, changes.invalidations);
            self.revision
        }))
    }

    fn apply(&mut self, organization: &OrganizationId, change: Change) -> Result<Undo, StoreError> {
        if has_nul(&change) {
            return Err(nul());
        }
        match change {
            Change::InsertKey(key) => self.insert_key(organization, *key),
            Change::UpdateKey(key) => self.update_key(organization, *key),
            Change::SetState(state) => self.set_state(organization, *state),
            Change::EndSecrets(id, version, digests, at) => self.end_secrets(organization, &id, version, &digests, at),
            Change::Lineage(lineage) => Ok(self.add_lineage(organization, lineage)),
            Change::RetireSecrets(id, digests) => self.retire_secrets(organization, &id, &digests),
            Change::DeleteKey(id) => self.delete_key(organization, &id),
            Change::InsertAccount(account) => self.insert_account(organization, account),
            Change::UpdateAccount(account) => self.update_account(organization, account),
            Change::DeleteAccount(id) => self.delete_account(organization, &id),
            Change::SetOrganization(record) => self.set_organization(organization, record),
            Change::SetMarker(name, value) => self.set_marker(name, value),
            Change::Remember(request) => self.remember(organization, request),
            Change::ForgetRequests { before, keep } => Ok(self.forget_requests(organization, before, keep)),
            Change::Audit(event) => self.add_event(organization, event),
            Change::Alert(alert) => {
                is_own(organization, alert.organization())?;
                Ok(self.alerts.add(*alert))
            }
            Change::AcknowledgeAlert(id, by) => self.alerts.acknowledge(organization, id, by),
            Change::CloseAlerts(keys, events, by) => Ok(self.alerts.close(organization, &keys, events, &by)),
            Change::SetAlertSettings(settings) => Ok(self.alerts.set_settings(organization, settings)),
            Change::SetWebhook(webhook) => {
                is_own(organization, &webhook.organization)?;
                self.alerts.set_webhook(*webhook)
            }
            Change::DeleteWebhook(id) => self.alerts.delete_webhook(organization, &id),
            Change::RetryDelivery(id, at) => self.alerts.retry(organization, id, at),
        }
    }

    fn insert_key(&mut self, organization: &OrganizationId, key: KeyRecord) -> Result<Undo, StoreError> {
        is_own(organization, &key.organization)?;
        if self.is_id_taken(&key.id) {
            return Err(StoreError::conflict("the key's id is taken"));
        }
        self.are_digests_free(&key.secrets.iter().collect::<Vec<_>>())?;
        let id = key.id.clone();
        self.put_key(key);
        Ok(Box::new(move |state| drop(state.take_key(&id))))
    }

    fn update_key(&mut self, organization: &OrganizationId, mut key: KeyRecord) -> Result<Undo, StoreError> {
        let before = self.key(organization, &key.id).ok_or_else(|| gone("key"))?.clone();
        is_own(organization, &key.organization)?;
        is_next(before.version, key.version)?;
        let is_new = |secret: &&SecretRecord| before.secrets.iter().all(|known| known.digest != secret.digest);
        let new: Vec<_> = key.secrets.iter().filter(is_new).collect();
        self.are_digests_free(&new)?;
        let known = before.secrets.iter().map(|known| {
            let given = key.secrets.iter().find(|secret| secret.digest == known.digest).unwrap_or(known);
            SecretRecord {
                superseded_at: given.superseded_at,
                ends_at: given.ends_at,
                ended_at: known.ended_at.or(given.ended_at),
                ..known.clone()
            }
        });
        let secrets = new.into_iter().cloned().chain(known).collect();
        key.secrets = secrets;
        key.last_used_at = before.last_used_at;
        self.take_key(&key.id);
        self.put_key(key);
        Ok(Box::new(move |state| {
            state.take_key(&before.id);
            state.put_key(before);
        }))
    }

    fn set_state(&mut self, organization: &OrganizationId, state: KeyState) -> Result<Undo, StoreError> {
        let KeyState { id, version, disabled, revoked } = state;
        let mut key = self.key(organization, &id).ok_or_else(|| gone("key"))?.clone();
        key.version = version;
        key.disabled = disabled;
        key.revoked = revoked;
        self.update_key(organization, key)
    }

    fn end_secrets(
        &mut self,
        organization: &OrganizationId,
        id: &KeyId,
        version: u64,
        digests: &[KeyDigest],
        at: Timestamp,
    ) -> Result<Undo, StoreError> {
        let mut key = self.key(organization, id).ok_or_else(|| gone("key"))?.clone();
        key.version = version;
        for digest in digests {
            let secret = key.secrets.iter_mut().find(|secret| secret.digest == *digest);
            secret.ok_or_else(|| gone("secret"))?.end(at);
        }
        self.update_key(organization, key)
    }

    fn add_lineage(&mut self, organization: &OrganizationId, lineage: Lineage) -> Undo {
        self.owned(organization).lineage.push(lineage);
        let organization = organization.clone();
        Box::new(move |state| drop(state.owned(&organization).lineage.pop()))
    }

    fn retire_secrets(
        &mut self,
        organization: &OrganizationId,
        id: &KeyId,
        retired: &[KeyDigest],
    ) -> Result<Undo, StoreError> {
        let before = self.key(organization, id).ok_or_else(|| gone("key"))?.clone();
        let mut key = before.clone();
        key.secrets.retain(|secret| !retired.contains(&secret.digest));
        if key.secrets.is_empty() || key.secrets.len() + retired.len() != before.secrets.len() {
            return Err(gone("secret to spare"));
        }
        self.take_key(id);
        self.put_key(key);
        self.deleted_digests.extend(retired.iter().cloned());
        let retired = retired.to_vec();
        Ok(Box::new(move |state| {
            for digest in &retired {
                state.deleted_digests.remove(digest);
            }
            state.take_key(&before.id);
            state.put_key(before);
        }))
    }

    fn delete_key(&mut self, organization: &OrganizationId, id: &KeyId) -> Result<Undo, StoreError> {
        self.key(organization, id).ok_or_else(|| gone("key"))?;
        let before = self.take_key(id).ok_or_else(|| gone("key"))?;
        self.deleted_ids.insert(before.id.clone());
        self.deleted_digests.extend(digests(&before));
        Ok(Box::new(move |state| {
            state.deleted_ids.remove(&before.id);
            for digest in digests(&before) {
                state.deleted_digests.remove(&digest);
            }
            state.put_key(before);
        }))
    }

    fn insert_account(&mut self, organization: &OrganizationId, account: ServiceAccount) -> Result<Undo, StoreError> {
        is_own(organization, &account.organization)?;
        if self.accounts.contains_key(&account.id) {
            return Err(StoreError::conflict("the service account's id is taken"));
        }
        let id = account.id.clone();
        self.put_account(account);
        Ok(Box::new(move |state| drop(state.take_account(&id))))
    }

    fn update_account(&mut self, organization: &OrganizationId, account: ServiceAccount) -> Result<Undo, StoreError> {
        let before = self.account(organization, &account.id).ok_or_else(|| gone("service account"))?.clone();
        is_own(organization, &account.organization)?;
        is_next(before.version, account.version)?;
        self.take_account(&account.id);
        self.put_account(account);
        Ok(Box::new(move |state| {
            state.take_account(&before.id);
            state.put_account(before);
        }))
    }

    fn delete_account(&mut self, organization: &OrganizationId, id: &ServiceAccountId) -> Result<Undo, StoreError> {
        self.account(organization, id).ok_or_else(|| gone("service account"))?;
        let before = self.take_account(id).ok_or_else(|| gone("service account"))?;
        Ok(Box::new(move |state| state.put_account(before)))
    }

    fn set_organization(
        &mut self,
        organization: &OrganizationId,
        record: OrganizationRecord,
    ) -> Result<Undo, StoreError> {
        is_own(organization, &record.id)?;
        let before = std::mem::replace(&mut self.owned(organization).suspended, record.suspended);
        let organization = organization.clone();
        Ok(Box::new(move |state| state.owned(&organization).suspended = before))
    }

    fn set_marker(&mut self, name: String, value: String) -> Result<Undo, StoreError> {
        if self.markers.contains_key(&name) {
            return Err(StoreError::conflict("the marker is set"));
        }
        self.markers.insert(name.clone(), value);
        Ok(Box::new(move |state| drop(state.markers.remove(&name))))
    }

    fn remember(&mut self, organization: &OrganizationId, remembered: Remembered) -> Result<Undo, StoreError> {
        let requests = &mut self.owned(organization).requests;
        if requests.values().any(|known| known.request == remembered.request) {
            return Err(StoreError::conflict("the request is remembered"));
        }
        let (place, organization) = ((remembered.at, remembered.request.clone()), organization.clone());
        requests.insert(place.clone(), remembered);
        Ok(Box::new(move |state| drop(state.owned(&organization).requests.remove(&place))))
    }

    fn forget_requests(&mut self, organization: &OrganizationId, before: Timestamp, keep: usize) -> Undo {
        let requests = &mut self.owned(organization).requests;
        let mut kept = requests.split_off(&(before, String::new()));
        while kept.len() > keep {
            requests.extend(kept.pop_first());
        }
        let (forgotten, organization) = (std::mem::replace(requests, kept), organization.clone());
        Box::new(move |state| state.owned(&organization).requests.extend(forgotten))
    }

    fn add_event(&mut self, organization: &OrganizationId, event: AuditEvent) -> Result<Undo, StoreError> {
        is_own(organization, &event.organization)?;
        let place = (event.at, event.id.clone());
        let organization = organization.clone();
        let events = &mut self.owned(&organization).audit;
        if events.contains_key(&place) {
            return Err(StoreError::conflict("the event's id is taken"));
        }
        events.insert(place.clone(), event);
        Ok(Box::new(move |state| drop(state.owned(&organization).audit.remove(&place))))
    }

    fn are_digests_free(&self, secrets: &[&SecretRecord]) -> Result<(), StoreError> {
        let mut seen = std::collections::HashSet::new();
        match secrets.iter().all(|secret| !self.is_digest_taken(&secret.digest) && seen.insert(&secret.digest)) {
            true => Ok(()),
            false => Err(StoreError::conflict("a digest is taken")),
        }
    }
}

fn is_own(organization: &OrganizationId, of: &OrganizationId) -> Result<(), StoreError> {
    match organization == of {
        true => Ok(()),
        false => Err(StoreError::conflict("the row belongs to another organization")),
    }
}

pub(super) fn is_next(before: u64, version: u64) -> Result<(), StoreError> {
    match before.checked_add(1) == Some(version) {
        true => Ok(()),
        false => Err(StoreError::conflict("the record has changed")),
    }
}

pub(super) fn gone(what: &str) -> StoreError {
    StoreError::conflict(format!("there is no such {what}"))
}

fn digests(key: &KeyRecord) -> impl Iterator<Item = KeyDigest> + '_ {
    key.secrets.iter().map(|secret| secret.digest.clone())
}

/// Returns `true` if a text of the change contains a NUL character. Ids can't.
fn has_nul(change: &Change) -> bool {
    fn reason(revoked: &Option<Revocation>) -> &str {
        revoked.as_ref().map_or("", |revoked| &revoked.reason)
    }
    let texts: &[&str] = match change {
        Change::InsertKey(key) | Change::UpdateKey(key) => {
            let environment = key.environment.as_deref().unwrap_or_default();
            &[&key.name, &key.description, &key.hint, environment, reason(&key.revoked)]
        }
        Change::SetState(state) => &[reason(&state.revoked)],
        Change::InsertAccount(account) | Change::UpdateAccount(account) => &[&account.name, &account.description],
        Change::SetMarker(name, value) => &[name, value],
        Change::Remember(remembered) => &[&remembered.request, &remembered.input],
        Change::Alert(alert) => &[&alert.reference],
        Change::SetWebhook(webhook) => &[&webhook.url, &webhook.description, webhook.secret.expose_secret()],
        Change::Audit(event) => &[&event.id, &event.target, event.request_id.as_deref().unwrap_or_default()],
        _ => &[],
    };
    texts.iter().any(|text| text.contains('\0'))
}

pub(super) fn nul() -> StoreError {
    StoreError::corrupt("text with a NUL character can't be stored")
}
