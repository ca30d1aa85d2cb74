//! One change: its transaction, its actor, and what it means for the cache.

use std::sync::Arc;

use apikey_core::{JsonObject, KeyDigest, KeyId, ScopeCatalog, ServiceAccountId, Timestamp};
use serde_json::{Map, Value};

use super::{
    Shared,
    write_queue::{Turn, Urgency},
};
use crate::{
    account::ServiceAccount,
    actor::{Actor, Rights},
    alerts::NewAlert,
    audit::{Action, AuditEvent},
    error::{Forbidden, Limited, ManageError, Missing},
    events::Event,
    idempotency::{MOST_REMEMBERED, REMEMBERED_FOR},
    limits::Limits,
    organization::Switched,
    record::{KeyHead, KeyRecord, Revocation, Status},
    rights::{Level, Standing},
    store::{Change, Changes, Invalidation, KeyState, Lineage, Made, Remembered, StoreError, Transaction},
    sweep::HAS_HANDLER,
};

/// The most invalidations that other processes receive one by one.
const MOST_TOLD: usize = 1_000;

pub(super) struct Operation {
    pub(super) shared: Arc<Shared>,
    pub(super) transaction: Box<dyn Transaction>,
    pub(super) actor: Actor,
    pub(super) standing: Standing,
    pub(super) now: Timestamp,
    changes: Vec<Change>,
    invalidations: Vec<Invalidation>,
    /// The keys whose open alerts of these names are settled by the change.
    settled: Vec<(&'static [&'static str], KeyId)>,
    has_alerts: bool,
    /// `true` if the host's handler is told.
    for_host: bool,
    /// The prefix of the ids of this operation's audit events.
    first_event: Option<String>,
    affects_callers: bool,
    /// Dropped last, after the transaction.
    turn: Turn,
}

/// Checks the actor's level, and asks for limits if needed, before anything is read.
impl Operation {
    pub(super) async fn begin(shared: Arc<Shared>, actor: Actor, needs: Level) -> Result<Self, ManageError> {
        Operation::begin_in_turn(shared, actor, needs, Urgency::Other).await
    }

    /// Begins a change that ends access, ahead of other changes.
    pub(super) async fn begin_ending(shared: Arc<Shared>, actor: Actor, needs: Level) -> Result<Self, ManageError> {
        Operation::begin_in_turn(shared, actor, needs, Urgency::Ending).await
    }

    async fn begin_in_turn(
        shared: Arc<Shared>,
        actor: Actor,
        needs: Level,
        urgency: Urgency,
    ) -> Result<Self, ManageError> {
        // Checked first, so that callers without rights cause no work for the store.
        Standing::of(&actor.rights, &shared.catalog).needs(needs)?;
        // An organization's changes use one connection at a time, and changes never use all of them.
        let turn = shared.write_queue.take(&actor.organization, urgency).await;
        let mut transaction = shared.store.begin(&actor.organization).await?;
        let now = shared.now();
        let rights = match &actor.key {
            Some(key) => rights_of(transaction.as_mut(), key, actor.secret.as_ref(), now).await?,
            None => actor.rights.clone(),
        };
        if rights.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(Forbidden::NotLive.into());
        }
        let standing = Standing::of(&rights, &shared.catalog);
        standing.needs(needs)?;
        let for_host = match shared.is_visitor {
            true => transaction.marker(HAS_HANDLER).await?.as_deref() == Some("true"),
            false => shared.courier.outlets().host.is_some(),
        };
        Ok(Operation {
            turn,
            shared,
            transaction,
            actor,
            standing,
            now,
            changes: Vec::new(),
            invalidations: Vec::new(),
            settled: Vec::new(),
            has_alerts: false,
            for_host,
            first_event: None,
            affects_callers: false,
        })
    }

    /// Begins a change that must not be repeated.
    pub(super) async fn begin_once(shared: Arc<Shared>, actor: Actor, needs: Level) -> Result<Self, ManageError> {
        let mut operation = Operation::begin(shared, actor, needs).await?;
        if let Some(once) = &operation.actor.once
            && let Some(done) = operation.transaction.remembered(&once.request).await?
            && done.at >= operation.forgotten_before()
        {
            return Err(match done.input == once.input {
                true => ManageError::AlreadyDone { keys: done.keys },
                false => ManageError::IdempotencyKeyReused,
            });
        }
        Ok(operation)
    }

    fn forgotten_before(&self) -> Timestamp {
        self.now.saturating_sub(REMEMBERED_FOR)
    }

    /// Commits a change that must not be repeated, and that has made or changed `keys`.
    pub(super) async fn commit_once(mut self, keys: Vec<KeyId>) -> Result<(), ManageError> {
        if let Some(once) = self.actor.once.take() {
            self.change(Change::ForgetRequests { before: self.forgotten_before(), keep: MOST_REMEMBERED });
            self.change(Change::Remember(Remembered { request: once.request, input: once.input, keys, at: self.now }));
        }
        self.commit().await
    }

    pub(super) fn catalog(&self) -> &ScopeCatalog {
        &self.shared.catalog
    }

    pub(super) async fn key(&mut self, id: &KeyId) -> Result<KeyRecord, ManageError> {
        self.transaction.key(id).await?.ok_or(ManageError::NotFound(Missing::Key))
    }

    /// Returns a key whose state will change. Its head is enough, so a corrupt row can be changed, too.
    pub(super) async fn key_or_head(&mut self, id: &KeyId) -> Result<KeyRecord, ManageError> {
        let error = match self.transaction.key(id).await {
            Err(error) if error.is_corrupt() => error,
            found => return found?.ok_or(ManageError::NotFound(Missing::Key)),
        };
        tracing::error!(target: "apikey", key_id = id.as_str(), error = &error as &dyn std::error::Error, "a key's record can't be read");
        match self.transaction.heads(std::slice::from_ref(id)).await?.pop() {
            Some(head) => Ok(KeyRecord::of_head(head)),
            None => Err(ManageError::NotFound(Missing::Key)),
        }
    }

    pub(super) async fn account(&mut self, id: &ServiceAccountId) -> Result<ServiceAccount, ManageError> {
        self.transaction.account(id).await?.ok_or(ManageError::NotFound(Missing::ServiceAccount))
    }

    pub(super) fn may_touch(&self, key: &KeyRecord) -> Result<(), ManageError> {
        Ok(self.standing.may_touch(&key.scopes, self.catalog())?)
    }

    pub(super) fn may_hand_out(&self, key: &KeyRecord) -> Result<(), ManageError> {
        self.may_hand_out_head(&KeyHead::from(key))
    }

    pub(super) fn may_hand_out_head(&self, key: &KeyHead) -> Result<(), ManageError> {
        Ok(self.standing.may_hand_out(key, self.catalog())?)
    }

    /// Checks whether the limits allow `more` keys.
    pub(super) async fn keep_key_limit(&mut self, limits: &Limits, more: u64) -> Result<(), ManageError> {
        let Some(allowed) = limits.keys else { return Ok(()) };
        let used = self.transaction.counts(self.now).await?.keys;
        keep(Limited::Keys, used, more, allowed)
    }

    pub(super) async fn keep_account_limit(&mut self, limits: &Limits) -> Result<(), ManageError> {
        let Some(allowed) = limits.service_accounts else { return Ok(()) };
        let used = self.transaction.counts(self.now).await?.service_accounts;
        keep(Limited::ServiceAccounts, used, 1, allowed)
    }

    pub(super) fn insert_key(&mut self, key: &KeyRecord, action: Action) -> Result<(), ManageError> {
        self.affects_callers = true;
        self.changes.push(Change::InsertKey(Box::new(key.clone())));
        self.lineage(&key.id, Made::Key);
        self.tell(Event::Issued { key: Arc::new(key.into()) });
        self.audit(action, key.id.as_str(), None, Some(describe_key(key, self.now)))
    }

    /// Writes an alert, if anybody may receive it. Whoever acts knows of it.
    fn tell(&mut self, event: Event) {
        // A process that serves no requests doesn't know whether others send webhooks.
        if self.shared.courier.outlets().are_any() || self.shared.is_visitor {
            let reference = event.reference();
            let mut alert = NewAlert::new(self.now, event, reference);
            alert.acknowledged = Some(Switched { at: self.now, by: self.actor.id.clone() });
            alert.for_host = self.for_host;
            self.changes.push(Change::Alert(Box::new(alert)));
            self.has_alerts = true;
        }
    }

    /// Acknowledges a key's open alerts of these names: the change does what they ask for.
    pub(super) fn settle(&mut self, key: &KeyId, events: &'static [&'static str]) {
        self.settled.push((events, key.clone()));
    }

    /// Records what the actor made, for revocations with descendants.
    pub(super) fn lineage(&mut self, key: &KeyId, made: Made) {
        let (actor, presented) = (self.actor.id.clone(), self.actor.secret.clone());
        self.changes.push(Change::Lineage(Lineage { actor, presented, key: key.clone(), made }));
    }

    /// Replaces `before` with `key`, as the next version.
    pub(super) fn update_key(
        &mut self,
        before: &KeyRecord,
        key: &mut KeyRecord,
        action: Action,
    ) -> Result<(), ManageError> {
        self.affects_callers = true;
        key.version = before.version + 1;
        for secret in key.secrets.iter().filter(|secret| secret.ended_at.is_none()) {
            let ends_at = secret.ends_at.into_iter().chain(key.expires_at).min();
            self.invalidations.push(Invalidation::End(key.id.clone(), secret.digest.clone(), ends_at));
        }
        self.changes.push(Change::UpdateKey(Box::new(key.clone())));
        if before.expires_at != key.expires_at {
            self.settle(&key.id, &["key.expiring", "key.expired"]);
        }
        let (mut was, mut is) = difference(describe_record(before, self.now), describe_record(key, self.now));
        if before.metadata != key.metadata {
            was.insert(METADATA.to_owned(), before.metadata.to_map().into());
            is.insert(METADATA.to_owned(), key.metadata.to_map().into());
        }
        self.audit(action, key.id.as_str(), Some(was), Some(is))
    }

    /// Disables or enables a key.
    pub(super) fn disable_key(
        &mut self,
        key: &mut KeyRecord,
        disabled: Option<Switched>,
        action: Action,
    ) -> Result<(), ManageError> {
        let was = Map::from_iter([("disabled".to_owned(), key.disabled.is_some().into())]);
        let is = Map::from_iter([("disabled".to_owned(), disabled.is_some().into())]);
        key.disabled = disabled;
        key.version += 1;
        self.set_state(&KeyHead::from(&*key));
        self.audit(action, key.id.as_str(), Some(was), Some(is))
    }

    /// Revokes a key, unless it is revoked.
    pub(super) fn revoke_head(&mut self, key: &mut KeyHead, reason: &str) -> Result<(), ManageError> {
        // The effect is repeated: another process may have revoked the key.
        self.end(&key.id);
        if key.revoked.is_some() {
            return Ok(());
        }
        key.revoked = Some(Revocation { at: self.now, by: self.actor.id.clone(), reason: reason.to_owned() });
        key.version += 1;
        self.set_state(key);
        self.settled.push((&Event::NAMES, key.id.clone()));
        self.tell(Event::Revoked { key: Arc::new(key.clone()) });
        let was = Map::from_iter([("revoked".to_owned(), false.into()), ("reason".to_owned(), Value::Null)]);
        let is = Map::from_iter([("revoked".to_owned(), true.into()), ("reason".to_owned(), reason.into())]);
        self.audit(Action::KeyRevoked, key.id.as_str(), Some(was), Some(is))
    }

    fn set_state(&mut self, key: &KeyHead) {
        self.affects_callers = true;
        self.changes.push(Change::SetState(Box::new(KeyState {
            id: key.id.clone(),
            version: key.version,
            disabled: key.disabled.clone(),
            revoked: key.revoked.clone(),
        })));
    }

    pub(super) fn delete_key(&mut self, key: &KeyRecord) -> Result<(), ManageError> {
        self.affects_callers = true;
        self.changes.push(Change::DeleteKey(key.id.clone()));
        self.end(&key.id);
        self.audit(Action::KeyDeleted, key.id.as_str(), Some(describe_key(key, self.now)), None)
    }

    pub(super) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(super) fn affect_callers(&mut self) {
        self.affects_callers = true;
    }

    pub(super) fn end(&mut self, key: &KeyId) {
        self.invalidations.push(Invalidation::Key(key.clone()));
    }

    pub(super) fn end_secret(&mut self, key: &KeyId, digest: &KeyDigest) {
        self.invalidations.push(Invalidation::Secret(key.clone(), digest.clone()));
    }

    pub(super) fn refresh(&mut self, key: &KeyId) {
        self.invalidations.push(Invalidation::Changed(key.clone()));
    }

    pub(super) fn forget_refused(&mut self) {
        self.invalidations.push(Invalidation::Refused);
    }

    pub(super) fn audit(
        &mut self,
        action: Action,
        target: &str,
        before: Option<Map<String, Value>>,
        after: Option<Map<String, Value>>,
    ) -> Result<(), ManageError> {
        // Numbered, so that the events of one operation, which have one time, stay in order.
        let first = match &self.first_event {
            Some(first) => first,
            None => &*self.first_event.insert(self.shared.event_ids.next(self.now)?),
        };
        let id = format!("{first}_{:06}", self.changes.len());
        self.changes.push(Change::Audit(AuditEvent {
            id,
            at: self.now,
            organization: self.actor.organization.clone(),
            actor: self.actor.id.clone(),
            action,
            target: target.to_owned(),
            before: before.map(JsonObject::from),
            after: after.map(JsonObject::from),
            request_id: self.actor.request_id.clone(),
        }));
        Ok(())
    }

    /// Commits the change, applies its effects, and waits until every process has, before it returns.
    pub(super) async fn commit(mut self) -> Result<(), ManageError> {
        self.settled.sort();
        for of_names in self.settled.chunk_by(|one, other| one.0 == other.0) {
            let by = Switched { at: self.now, by: self.actor.id.clone() };
            let keys = of_names.iter().map(|(_, key)| key.clone()).collect();
            self.changes.push(Change::CloseAlerts(keys, of_names[0].0, by));
        }
        let Operation { turn, shared, transaction, actor, changes, invalidations, has_alerts, affects_callers, .. } =
            self;
        let told = match invalidations.len() {
            0..=MOST_TOLD => invalidations.clone(),
            _ => vec![Invalidation::Organization(actor.organization.clone()), Invalidation::Refused],
        };
        let committed = transaction
            .commit(Changes {
                changes,
                affects_callers: affects_callers || !invalidations.is_empty(),
                invalidations: told,
            })
            .await;
        let committed_at = shared.membership.committed_at();
        // The turn is kept until the effects are applied, so that a later change's effects follow them.
        // If the answer was lost, the change may hold: what it might have ended must be loaded again.
        if committed.is_ok() || committed.as_ref().is_err_and(StoreError::is_unknown) {
            if let Ok(Some(revision)) = committed {
                shared.membership.has_committed(revision);
            }
            invalidations.iter().for_each(|invalidation| invalidation.apply_to(&shared.authenticator));
        }
        drop(turn);
        let revision = committed?;
        if has_alerts {
            shared.courier.wake();
        }
        // Nobody can have cached what is only new.
        if let Some(revision) = revision.filter(|_| !invalidations.is_empty()) {
            let receipt = shared.membership.receipt(revision, committed_at).await;
            let receipt = receipt.map_err(|reason| ManageError::Unconfirmed { reason: reason.to_string() })?;
            if let Some((receipts, receipt)) = actor.receipts.zip(receipt) {
                receipts.add(receipt);
            }
        }
        Ok(())
    }
}

/// Returns the rights of an acting key by its record, read under the organization's lock.
async fn rights_of(
    transaction: &mut dyn Transaction,
    key: &KeyId,
    secret: Option<&KeyDigest>,
    now: Timestamp,
) -> Result<Rights, ManageError> {
    let record = transaction.key(key).await?.ok_or(Forbidden::NotLive)?;
    let is_live = matches!(record.status(now), Status::Active | Status::Rotating);
    if !is_live || transaction.organization().await?.suspended.is_some() {
        return Err(Forbidden::NotLive.into());
    }
    if let Some(account) = &record.service_account
        && transaction.account(account).await?.is_none_or(|account| account.disabled.is_some())
    {
        return Err(Forbidden::NotLive.into());
    }
    let presented = record.live_secrets(now).find(|live| Some(&live.digest) == secret).ok_or(Forbidden::NotLive)?;
    let expires_at = match (record.expires_at, presented.ends_at) {
        (Some(key), Some(secret)) => Some(key.min(secret)),
        (key, secret) => key.or(secret),
    };
    Ok(Rights { scopes: record.scopes, expires_at, is_host: false })
}

fn keep(of: Limited, used: u64, more: u64, allowed: u64) -> Result<(), ManageError> {
    match used.saturating_add(more) <= allowed {
        true => Ok(()),
        false => Err(ManageError::LimitReached { of, used, allowed }),
    }
}

const METADATA: &str = "metadata";

/// Returns a key's values for the audit trail, without secrets and digests.
pub(super) fn describe_key(key: &KeyRecord, now: Timestamp) -> Map<String, Value> {
    let mut shown = describe_record(key, now);
    shown.insert(METADATA.to_owned(), key.metadata.to_map().into());
    shown
}

/// Returns the same values without the metadata.
fn describe_record(key: &KeyRecord, now: Timestamp) -> Map<String, Value> {
    let moment = |moment: Timestamp| Value::from(moment.to_string());
    let mut shown = Map::new();
    let mut show = |field: &str, value: Option<Value>| {
        shown.insert(field.to_owned(), value.unwrap_or(Value::Null));
    };
    show("name", Some(key.name.as_str().into()));
    show("description", Some(key.description.as_str().into()));
    show("hint", Some(key.hint.as_str().into()));
    show("environment", key.environment.as_deref().map(Value::from));
    show("service_account", key.service_account.as_ref().map(|account| account.as_str().into()));
    show("scopes", Some(key.scopes.iter().collect()));
    show("not_before", key.not_before.map(moment));
    show("expires_at", key.expires_at.map(moment));
    show("disabled", Some(key.disabled.is_some().into()));
    show("revoked", Some(key.revoked.is_some().into()));
    show("reason", key.revoked.as_ref().map(|revocation| revocation.reason.as_str().into()));
    let secrets = key.live_secrets(now).map(|secret| {
        let mut window = Map::new();
        window.insert("created_at".to_owned(), moment(secret.created_at));
        window.insert("ends_at".to_owned(), secret.ends_at.map_or(Value::Null, moment));
        Value::Object(window)
    });
    let secrets = secrets.collect();
    show("secrets", Some(secrets));
    shown
}

pub(super) fn describe_account(account: &ServiceAccount) -> Map<String, Value> {
    Map::from_iter([
        ("name".to_owned(), account.name.as_str().into()),
        ("description".to_owned(), account.description.as_str().into()),
        ("disabled".to_owned(), account.disabled.is_some().into()),
    ])
}

/// Returns the values that differ, before and after.
pub(super) fn difference(
    before: Map<String, Value>,
    after: Map<String, Value>,
) -> (Map<String, Value>, Map<String, Value>) {
    let changed = |field: &String| before.get(field) != after.get(field);
    let was = before.iter().filter(|(field, _)| changed(field)).map(|(field, value)| (field.clone(), value.clone()));
    let is = after.iter().filter(|(field, _)| changed(field)).map(|(field, value)| (field.clone(), value.clone()));
    (was.collect(), is.collect())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Mutex,
        task::{Context, Poll, Wake, Waker},
    };

    use apikey_core::{
        KeyFormat,
        adapter::{Authentication, Header, HeaderLines, RequestView},
    };

    use super::*;
    use crate::{KeyManager, MemoryStore, NewKey, OrganizationId};

    struct Request(String);

    impl RequestView for Request {
        fn lines(&self, header: Header) -> HeaderLines<'_> {
            match header {
                Header::Authorization => HeaderLines::One(self.0.as_bytes()),
                Header::Extra(_) => HeaderLines::Absent,
            }
        }
    }

    /// When woken, checks whether another change could begin.
    struct AsksForATurn {
        shared: Arc<Shared>,
        organization: OrganizationId,
        could_begin: Mutex<Option<bool>>,
    }

    impl Wake for AsksForATurn {
        fn wake(self: Arc<Self>) {
            let mut turn = Box::pin(self.shared.write_queue.take(&self.organization, Urgency::Ending));
            let polled = turn.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            *self.could_begin.lock().unwrap() = Some(polled.is_ready());
        }
    }

    /// Otherwise two changes of an expiry could be applied in the wrong order.
    #[tokio::test]
    async fn given_a_change_when_the_cache_hears_of_it_then_no_other_has_begun() {
        let format = KeyFormat::builder("t").build().unwrap();
        let keys = KeyManager::builder(MemoryStore::new()).format(format).build().unwrap();
        let organization = OrganizationId::new("acme").unwrap();
        let host = Actor::host("test", organization.clone()).unwrap();
        let issued = keys.issue(&host, NewKey::new("k")).await.unwrap();
        let request = Request(format!("Bearer {}", issued.secret().expose_secret()));
        let Authentication::Loading(loading) = keys.authenticator().authenticate(&request) else { unreachable!() };
        let mut revoked = loading.await.unwrap().unwrap().revoked();
        let (shared, could_begin) = (Arc::clone(&keys.0), Mutex::default());
        let asks = Arc::new(AsksForATurn { shared, organization, could_begin });
        let waker = Waker::from(Arc::clone(&asks));
        let waiting = std::pin::Pin::new(&mut revoked).poll(&mut Context::from_waker(&waker));
        assert_eq!(waiting, Poll::Pending);
        keys.revoke(&host, issued.id(), "").await.unwrap();
        assert_eq!(*asks.could_begin.lock().unwrap(), Some(false));
    }
}
