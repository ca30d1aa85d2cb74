//! A store in memory with one rule removed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use apikey_core::{DigestAlgorithm, JsonObject, KeyDigest, KeyId, PepperVersion, Timestamp};
use apikey_manager::{
    AccountQuery, Activity, ActivityQuery, AlertStore, AuditEvent, AuditFilter, AuditQuery, Bucket, Counts, Cursor,
    FleetStore, Found, FoundKey, KeyFilter, KeyQuery, KeyRecord, KeySort, KeyStore, Lookup, MemoryStore,
    OrganizationId, OrganizationRecord, Prune, Pruned, Reach, ReachQuery, Remembered, Selection, ServiceAccount,
    ServiceAccountId, StoreError, Transaction, UsageBatch, UsageBucket, UsageOf, UsageQuery, UsageRow,
};
use async_trait::async_trait;
use serde_json::Value;

use crate::{fault::Fault, transaction::BrokenTransaction};

pub(crate) const ALL: usize = 1_000_000;

/// A store that breaks one rule.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) inner: MemoryStore,
    pub(crate) fault: Fault,
    notes: Arc<Mutex<Notes>>,
}

/// The state that some faults need.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) organizations: BTreeSet<OrganizationId>,
    pub(crate) deleted: Vec<KeyRecord>,
    pub(crate) deleted_targets: HashSet<String>,
    pub(crate) events: HashMap<String, AuditEvent>,
    pub(crate) last_used: HashMap<KeyId, KeyRecord>,
    pub(crate) secrets_left: HashMap<KeyId, Vec<KeyDigest>>,
    pub(crate) requests: Vec<Remembered>,
    pub(crate) commits: u64,
    pub(crate) made: u64,
    usage_pruned_before: Option<Timestamp>,
    batches: u64,
    prunes: u64,
}

impl Broken {
    pub(crate) fn new(fault: Fault) -> Self {
        Broken { inner: MemoryStore::new(), fault, notes: Arc::default() }
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    pub(crate) fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// A digest that no key has.
    pub(crate) fn new_digest(&self) -> KeyDigest {
        let mut notes = self.notes();
        notes.made += 1;
        let mut bytes = [0xbb; 32];
        bytes[..8].copy_from_slice(&notes.made.to_be_bytes());
        KeyDigest::sha256_from_bytes(bytes)
    }

    /// Returns what the digests find in the correct store.
    pub(crate) async fn found(&self, digests: &[KeyDigest]) -> Result<(u64, Vec<FoundKey>), StoreError> {
        let Lookup { revision, found } = self.inner.find(digests).await?;
        let found = found.into_iter().map(|found| match found {
            Found::Key(key) => *key,
            Found::Corrupt { error, .. } => panic!("{error}"),
        });
        Ok((revision, found.collect()))
    }

    fn organizations(&self) -> Vec<OrganizationId> {
        self.notes().organizations.iter().cloned().collect()
    }

    pub(crate) async fn key_anywhere(&self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        for organization in self.organizations() {
            if let Some(key) = self.inner.key(&organization, id).await? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Returns a key as this store shows it.
    pub(crate) fn told(&self, mut key: KeyRecord) -> KeyRecord {
        match self.fault {
            Fault::OldestSecretFirst => key.secrets.reverse(),
            Fault::AbsentIsEmpty => key.environment = Some(key.environment.unwrap_or_default()),
            Fault::TimesInSeconds => key.expires_at = key.expires_at.map(in_seconds),
            Fault::TrimsTexts => key.name = key.name.trim().to_owned(),
            Fault::NumbersAreFloats => key.metadata = with_floats(&key.metadata),
            Fault::EndsWithoutMark => key.secrets.iter_mut().for_each(|secret| secret.ended_at = None),
            Fault::CutsIds => key.id = cut(&key.id),
            Fault::ForgetsPeppers => {
                key.secrets.iter_mut().for_each(|secret| secret.digest = of_first_pepper(&secret.digest));
            }
            Fault::UpdateWritesLastUse | Fault::LastUseMovesBack | Fault::RetireForgetsLastUse => {
                if let Some(told) = self.notes().last_used.get(&key.id) {
                    key.last_used_at = told.last_used_at;
                }
            }
            Fault::UpdateRemovesSecrets => {
                if let Some(left) = self.notes().secrets_left.get(&key.id) {
                    key.secrets.retain(|secret| left.contains(&secret.digest));
                }
            }
            _ => {}
        }
        key
    }

    /// Returns a found key as this store shows it.
    fn told_found(&self, mut found: FoundKey) -> FoundKey {
        match self.fault {
            Fault::AbsentIsEmpty => found.environment = Some(found.environment.unwrap_or_default()),
            Fault::TimesInSeconds => found.expires_at = found.expires_at.map(in_seconds),
            Fault::TrimsTexts => found.name = found.name.trim().to_owned(),
            Fault::NumbersAreFloats => found.metadata = with_floats(&found.metadata),
            Fault::EndsWithoutMark => found.is_secret_ended = false,
            Fault::CutsIds => found.id = cut(&found.id),
            Fault::ForgetsPeppers => found.digest = of_first_pepper(&found.digest),
            _ => {}
        }
        found
    }

    pub(crate) fn all_told(&self, keys: Vec<KeyRecord>) -> Vec<KeyRecord> {
        keys.into_iter().map(|key| self.told(key)).collect()
    }

    /// Returns the wrong filter, for faults of filters other than text.
    fn filter(&self, mut filter: KeyFilter) -> KeyFilter {
        match self.fault {
            Fault::FiltersNoEnvironment => filter.environment = None,
            Fault::FiltersNoAccount => filter.service_account = None,
            Fault::GoesOnAfterAPlace => filter.down_to = None,
            Fault::FiltersNoCreator => filter.created_by = None,
            Fault::FiltersNoCreatingKey => filter.created_by_key = None,
            Fault::FiltersNoLastUse => filter.last_used_before = None,
            Fault::FiltersNoUnused => filter.unused = None,
            Fault::FiltersNoExpiry => filter.expires_before = None,
            Fault::FiltersNoAge => filter.rotation_due = None,
            Fault::FiltersByAny if filter.status.is_some() => {
                let status = filter.status;
                filter = KeyFilter::default();
                filter.status = status;
            }
            _ => {}
        }
        filter
    }

    fn finds_text(&self, key: &KeyRecord, text: &str) -> bool {
        let fields = [key.name.as_str(), key.description.as_str(), key.hint.as_str()];
        match self.fault {
            Fault::TextHasWildcards => fields.iter().any(|field| is_like(field, text)) || key.id.as_str() == text,
            Fault::TextFoldsEverything => {
                let text = text.to_lowercase();
                fields.iter().any(|field| field.to_lowercase().contains(&text))
            }
            Fault::TextIsAscii => {
                text.is_ascii()
                    && fields.iter().any(|field| field.to_ascii_lowercase().contains(&text.to_ascii_lowercase()))
            }
            _ => fields.iter().any(|field| field.contains(text)) || key.id.as_str().contains(text),
        }
    }

    fn is_about_text(&self) -> bool {
        use Fault::{TextFindsPartsOfIds, TextFoldsEverything, TextHasWildcards, TextIsAscii};
        matches!(self.fault, TextFindsPartsOfIds | TextFoldsEverything | TextHasWildcards | TextIsAscii)
    }

    fn limit(&self, limit: usize) -> usize {
        if self.is(Fault::IgnoresLimits) { ALL } else { limit }
    }

    fn after(&self, after: Option<Cursor>) -> Option<Cursor> {
        match self.fault {
            Fault::CursorsForgetIds => after.map(|after| Cursor { id: "0".to_owned(), ..after }),
            Fault::CursorsSkipTies => after.map(|after| Cursor { id: "~".to_owned(), ..after }),
            _ => after,
        }
    }

    fn ordered<T>(&self, mut rows: Vec<T>) -> Vec<T> {
        if self.is(Fault::OldestFirst) {
            rows.reverse();
        }
        rows
    }
}

#[async_trait]
impl KeyStore for Broken {
    fn fleet(&self) -> &dyn FleetStore {
        self
    }

    fn alerts(&self) -> &dyn AlertStore {
        self
    }

    async fn begin(&self, organization: &OrganizationId) -> Result<Box<dyn Transaction>, StoreError> {
        self.notes().organizations.insert(organization.clone());
        let inner = self.inner.begin(organization).await?;
        // Yields, as a server would, so that other tasks run.
        tokio::task::yield_now().await;
        Ok(Box::new(BrokenTransaction::new(self.clone(), organization.clone(), inner)))
    }

    async fn find(&self, digests: &[KeyDigest]) -> Result<Lookup, StoreError> {
        let (mut revision, mut found) = self.found(digests).await?;
        match self.fault {
            Fault::FindsOneOfMany => found.truncate(1),
            Fault::FindsNewestSecret => {
                for found in &mut found {
                    let key = self.inner.key(&found.organization, &found.id).await?;
                    found.secret_ends_at = key.and_then(|key| key.secrets[0].ends_at);
                }
            }
            Fault::FindsAnyAlgorithm => {
                for digest in digests {
                    let bytes = *digest.as_bytes();
                    let other = KeyDigest::sha256_from_bytes(bytes);
                    if other != *digest {
                        found.extend(self.found(&[other]).await?.1);
                    }
                }
            }
            Fault::FindHidesRevoked => found.retain(|found| !found.is_revoked),
            Fault::FindForgetsAccounts => found.iter_mut().for_each(|found| found.is_account_disabled = false),
            Fault::FindForgivesGoneAccounts => {
                for found in &mut found {
                    if let Some(account) = &found.service_account {
                        let account = self.inner.account(&found.organization, account).await?;
                        found.is_account_disabled = account.is_some_and(|account| account.disabled.is_some());
                    }
                }
            }
            Fault::FindForgetsSuspension => {
                found.iter_mut().for_each(|found| found.is_organization_suspended = false);
            }
            Fault::FindsDeleted => {
                let notes = self.notes();
                for key in &notes.deleted {
                    let secrets = key.secrets.iter().filter(|secret| digests.contains(&secret.digest));
                    found.extend(secrets.map(|secret| FoundKey::of(key, secret)));
                }
            }
            Fault::FindReadsTwice => {
                tokio::task::yield_now().await;
                revision = self.inner.revision().await?;
            }
            Fault::FindsNothingAtNoRevision if found.is_empty() => revision = 0,
            _ => {}
        }
        let found = found.into_iter().map(|found| Found::Key(Box::new(self.told_found(found)))).collect();
        Ok(Lookup { revision, found })
    }

    async fn key(&self, organization: &OrganizationId, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        let key = match self.fault {
            Fault::ReadsReachAcross => self.key_anywhere(id).await?,
            Fault::ReadsWait => self.inner.begin(organization).await?.key(id).await?,
            _ => self.inner.key(organization, id).await?,
        };
        Ok(key.map(|key| self.told(key)))
    }

    async fn keys(&self, query: &KeyQuery) -> Result<Vec<KeyRecord>, StoreError> {
        let mut asked = query.clone();
        asked.filter = self.filter(asked.filter);
        asked.limit = self.limit(asked.limit);
        asked.after = self.after(asked.after);
        if self.is(Fault::SortsByCreation) {
            asked.sort = KeySort::Created;
        }
        if self.is(Fault::FiltersStatusLate) {
            asked.now += Duration::from_secs(1);
        }
        let is_nul = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains('\0'));
        if self.is(Fault::NulIsAnOutage) && is_nul(&asked.filter.environment) {
            return Err(StoreError::unavailable("invalid byte sequence for encoding"));
        }
        let text = if self.is_about_text() { asked.filter.text.take() } else { None };
        let mut keys = self.inner.keys(&asked).await?;
        if let Some(text) = text {
            keys.retain(|key| self.finds_text(key, &text));
        }
        if self.is(Fault::SortsIdsWithoutCase) {
            keys.sort_by_key(|key| std::cmp::Reverse((key.created_at, key.id.as_str().to_lowercase())));
        }
        Ok(self.all_told(self.ordered(keys)))
    }

    async fn reach(&self, query: &ReachQuery) -> Result<Reach, StoreError> {
        let mut query = query.clone();
        match (self.fault, &query.selection) {
            (Fault::FollowsNoLineage, _) => query.descendants = false,
            (Fault::FollowsLineageUnasked, _) => query.descendants = true,
            (Fault::EndsAccountsKeys, _) => query.keep_accounts = false,
            (Fault::KeepsAccountsKeysUnasked, _) => query.keep_accounts = true,
            (Fault::ReachIgnoresLimits, _) => query.limit = ALL,
            (Fault::ReachForgetsTheLast, _) => query.last = None,
            (Fault::FiltersNoEnvironment, Selection::Environment(_))
            | (Fault::FiltersNoAccount, Selection::ServiceAccount(_))
            | (Fault::FiltersNoCreator, Selection::CreatedBy(_)) => query.selection = Selection::Everything,
            _ => {}
        }
        self.inner.reach(&query).await
    }

    async fn account(
        &self,
        organization: &OrganizationId,
        id: &ServiceAccountId,
    ) -> Result<Option<ServiceAccount>, StoreError> {
        self.inner.account(organization, id).await
    }

    async fn accounts(&self, query: &AccountQuery) -> Result<Vec<ServiceAccount>, StoreError> {
        let query = AccountQuery { after: self.after(query.after.clone()), ..query.clone() };
        Ok(self.ordered(self.inner.accounts(&query).await?))
    }

    async fn organization(&self, id: &OrganizationId) -> Result<OrganizationRecord, StoreError> {
        self.inner.organization(id).await
    }

    async fn counts(&self, organization: &OrganizationId, now: Timestamp) -> Result<Counts, StoreError> {
        let now = if self.is(Fault::CountsEverything) { Timestamp::UNIX_EPOCH } else { now };
        match self.fault {
            Fault::CountsNothing => Ok(Counts::default()),
            _ => self.inner.counts(organization, now).await,
        }
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError> {
        let mut query = AuditQuery { after: self.after(query.after.clone()), ..query.clone() };
        if self.is(Fault::AuditIgnoresFilters) {
            query.filter = AuditFilter::default();
        }
        let mut events = self.inner.audit(&query).await?;
        let notes = self.notes();
        match self.fault {
            Fault::AuditGoesWithKeys => events.retain(|event| !notes.deleted_targets.contains(&event.target)),
            Fault::AuditIsOverwritten => {
                for event in &mut events {
                    event.target = notes.events[&event.id].target.clone();
                }
            }
            _ => {}
        }
        drop(notes);
        Ok(self.ordered(events))
    }

    async fn add_usage(&self, batch: &UsageBatch) -> Result<bool, StoreError> {
        let (count, prunes) = {
            let mut notes = self.notes();
            notes.batches += 1;
            (notes.batches, notes.prunes)
        };
        let mut batch = batch.clone();
        match self.fault {
            Fault::CountsBatchesTwice => batch.id = format!("{} {count}", batch.id),
            Fault::PruneForgetsBatches => batch.id = format!("{} {prunes}", batch.id),
            Fault::PruneKeepsBatches => batch.at += Duration::from_secs(30 * 24 * 3_600),
            Fault::CountsInThirtyTwoBits => {
                batch.rows.iter_mut().for_each(|row| row.ok &= u64::from(u32::MAX));
            }
            Fault::LosesBatches if count.is_multiple_of(3) => {
                batch.rows.clear();
            }
            Fault::AddsRowsOneByOne => {
                let rows = std::mem::take(&mut batch.rows);
                for (n, row) in rows.into_iter().enumerate() {
                    let id = format!("{} {n} {count}", batch.id);
                    self.inner.add_usage(&UsageBatch { id, at: batch.at, rows: vec![row] }).await?;
                    tokio::task::yield_now().await;
                }
            }
            Fault::UsageFailsForUnknownKeys => {
                for row in &batch.rows {
                    if self.key_anywhere(&row.key).await?.is_none() {
                        return Err(StoreError::corrupt("a foreign key that points nowhere"));
                    }
                }
            }
            Fault::UsageSkipsUnknownKeys => {
                for row in std::mem::take(&mut batch.rows) {
                    if self.key_anywhere(&row.key).await?.is_some() {
                        batch.rows.push(row);
                    }
                }
            }
            Fault::UsageForgetsWhoseItWas => {
                for row in &mut batch.rows {
                    if self.key_anywhere(&row.key).await?.is_none() {
                        (row.service_account, row.environment) = (None, None);
                    }
                }
            }
            Fault::LastUseMovesBack => {
                for row in &batch.rows {
                    self.note_last_use(row).await?;
                }
            }
            _ => {}
        }
        self.inner.add_usage(&batch).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageBucket>, StoreError> {
        let mut query = query.clone();
        match self.fault {
            Fault::UsageIgnoresWhose => query.of = UsageOf::Organization,
            Fault::UsageSkipsFirstHour => query.from += Duration::from_secs(3_599),
            Fault::UsageRoundsToDays if query.bucket == Bucket::Day => {
                query.from = Bucket::Day.start(query.from);
            }
            Fault::UsageKnowsNoDays => query.bucket = Bucket::Hour,
            Fault::UsageIncludesEnd => query.to += Duration::from_millis(1),
            Fault::UsageGoesWithKeys if !self.notes().deleted.is_empty() => return Ok(Vec::new()),
            _ => {}
        }
        let mut hours = self.inner.usage(&query).await?;
        match self.fault {
            Fault::UsageNewestFirst => hours.reverse(),
            Fault::PrunesPartsOfDays if query.bucket == Bucket::Hour => {
                let before = self.notes().usage_pruned_before;
                hours.retain(|hour| before.is_none_or(|before| hour.start >= before));
            }
            _ => {}
        }
        Ok(hours)
    }

    async fn add_activity(&self, activity: &[Activity]) -> Result<(), StoreError> {
        let mut activity = activity.to_vec();
        if self.is(Fault::ActivityForgetsAddresses) {
            activity.iter_mut().for_each(|request| request.address = None);
        }
        self.inner.add_activity(&activity).await
    }

    async fn activity(&self, query: &ActivityQuery) -> Result<Vec<(String, Activity)>, StoreError> {
        let mut query =
            ActivityQuery { after: self.after(query.after.clone()), limit: self.limit(query.limit), ..query.clone() };
        if self.is(Fault::ActivityIncludesEnd) {
            query.to += Duration::from_millis(1);
        }
        Ok(self.ordered(self.inner.activity(&query).await?))
    }

    async fn prune(&self, prune: &Prune, now: Timestamp) -> Result<Pruned, StoreError> {
        self.notes().prunes += 1;
        let mut prune = *prune;
        {
            let mut notes = self.notes();
            notes.usage_pruned_before = notes.usage_pruned_before.max(prune.usage_before);
        }
        let moments =
            [&mut prune.usage_before, &mut prune.activity_before, &mut prune.alerts_before, &mut prune.audit_before];
        match self.fault {
            Fault::PrunesTooMuch => {
                for moment in moments {
                    *moment = moment.map(|moment| moment + Duration::from_millis(1));
                }
            }
            Fault::PrunesUnasked => moments.into_iter().for_each(|moment| *moment = Some(now + Duration::from_secs(1))),
            Fault::PrunesNothing => prune = Prune::default(),
            _ => {}
        }
        self.inner.prune(&prune, now).await
    }

    async fn expiring(&self, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        let mut keys = match self.fault {
            Fault::ExpiringTellsRevoked => {
                let mut keys = self.inner.scan(None, ALL).await?;
                keys.retain(|key| key.expires_at.is_some_and(|expires_at| (from..to).contains(&expires_at)));
                keys.sort_by_key(|key| key.expires_at);
                keys
            }
            _ => self.inner.expiring(from, to, ALL).await?,
        };
        if self.is(Fault::ExpiringLatestFirst) {
            keys.reverse();
        }
        keys.truncate(self.limit(limit));
        Ok(keys)
    }

    async fn scan(&self, after: Option<&KeyId>, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        let mut keys = self.inner.scan(None, ALL).await?;
        let place = |id: &KeyId| match self.fault {
            Fault::SortsIdsWithoutCase => id.as_str().to_lowercase(),
            _ => id.as_str().to_owned(),
        };
        keys.sort_by_key(|key| place(&key.id));
        keys.retain(|key| after.is_none_or(|after| place(&key.id) > place(after)));
        if self.is(Fault::ScanSkipsRevoked) {
            keys.retain(|key| key.revoked.is_none());
        }
        keys.truncate(limit);
        Ok(keys)
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.inner.revision().await.map(|revision| self.revision_told(revision))
    }

    async fn marker(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.inner.marker(name).await
    }

    async fn advance_marker(&self, name: &str, from: Option<&str>, to: &str) -> Result<bool, StoreError> {
        let is = self.inner.marker(name).await?;
        let from = if self.is(Fault::MarkersAdvanceFromAnywhere) { is.as_deref() } else { from };
        self.inner.advance_marker(name, from, to).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        match self.fault {
            Fault::CheckFails => Err(StoreError::unavailable("it says so")),
            _ => self.inner.check().await,
        }
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl Broken {
    pub(crate) fn revision_told(&self, revision: u64) -> u64 {
        if self.is(Fault::RevisionsRepeat) { revision.div_ceil(2) } else { revision }
    }

    async fn note_last_use(&self, row: &UsageRow) -> Result<(), StoreError> {
        let Some(mut key) = self.key_anywhere(&row.key).await? else { return Ok(()) };
        if let Some((_, at)) = row.last_used.last() {
            key.last_used_at = Some(*at);
            self.notes().last_used.insert(row.key.clone(), key);
        }
        Ok(())
    }
}

fn in_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() / 1_000 * 1_000).unwrap()
}

fn cut(id: &KeyId) -> KeyId {
    KeyId::new(&id.as_str()[..id.as_str().len().min(60)]).unwrap()
}

fn of_first_pepper(digest: &KeyDigest) -> KeyDigest {
    match digest.algorithm() {
        DigestAlgorithm::HmacSha256 { .. } => {
            KeyDigest::hmac_sha256_from_bytes(PepperVersion::new(1), *digest.as_bytes())
        }
        _ => digest.clone(),
    }
}

fn with_floats(object: &JsonObject) -> JsonObject {
    let mut object = object.to_map();
    object.values_mut().for_each(as_floats);
    object.into()
}

fn as_floats(value: &mut Value) {
    match value {
        Value::Number(number) => *value = number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.iter_mut().for_each(as_floats),
        Value::Object(fields) => fields.values_mut().for_each(as_floats),
        _ => {}
    }
}

/// `field LIKE '%' || pattern || '%'`, without an escape character.
fn is_like(field: &str, pattern: &str) -> bool {
    fn matches(field: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => field.is_empty(),
            Some(('%', rest)) => (0..=field.len()).any(|skipped| matches(&field[skipped..], rest)),
            Some(('_', rest)) => !field.is_empty() && matches(&field[1..], rest),
            Some((letter, rest)) => {
                field.first().is_some_and(|first| first.eq_ignore_ascii_case(letter)) && matches(&field[1..], rest)
            }
        }
    }
    let pattern: Vec<char> = format!("%{pattern}%").chars().collect();
    matches(&field.chars().collect::<Vec<_>>(), &pattern)
}
