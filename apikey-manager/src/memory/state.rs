//! The data of a [`MemoryStore`](super::MemoryStore), and its queries.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
    time::Duration,
};

use apikey_core::{KeyDigest, KeyId, OrganizationId, ServiceAccountId, Timestamp};

use super::{activity::ActivityLog, alerts::Alerts, fleet::History, usage::Counted};
use crate::{
    account::ServiceAccount,
    audit::AuditEvent,
    organization::{OrganizationRecord, Switched},
    query::{AccountQuery, AuditQuery, Bucket, Cursor, KeyFilter, KeyQuery, KeySort, Prune, Pruned},
    record::{KeyHead, KeyRecord},
    store::{Counts, FoundKey, Lineage, Remembered},
};

/// How long the ids of usage batches are remembered.
pub(super) const BATCH_MEMORY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Default)]
pub(super) struct State {
    pub(super) keys: BTreeMap<KeyId, KeyRecord>,
    pub(super) digests: HashMap<KeyDigest, KeyId>,
    pub(super) deleted_digests: HashSet<KeyDigest>,
    pub(super) deleted_ids: HashSet<KeyId>,
    pub(super) accounts: HashMap<ServiceAccountId, ServiceAccount>,
    pub(super) organizations: HashMap<OrganizationId, Owned>,
    pub(super) markers: HashMap<String, String>,
    pub(super) batches: BTreeSet<(Timestamp, String)>,
    pub(super) batch_ids: HashSet<String>,
    pub(super) activity: ActivityLog,
    pub(super) alerts: Alerts,
    pub(super) revision: u64,
    pub(super) history: History,
}

/// The data of one organization. Lists are sorted, and read backwards.
#[derive(Default)]
pub(super) struct Owned {
    pub(super) suspended: Option<Switched>,
    pub(super) keys: BTreeSet<(Timestamp, KeyId)>,
    pub(super) accounts: BTreeSet<(Timestamp, ServiceAccountId)>,
    pub(super) audit: BTreeMap<(Timestamp, String), AuditEvent>,
    pub(super) lineage: Vec<Lineage>,
    pub(super) requests: BTreeMap<(Timestamp, String), Remembered>,
    pub(super) usage: BTreeMap<(Timestamp, KeyId), Vec<Counted>>,
}

impl State {
    pub(super) fn owned(&mut self, organization: &OrganizationId) -> &mut Owned {
        self.organizations.entry(organization.clone()).or_default()
    }

    /// Inserts a key and its index entries.
    pub(super) fn put_key(&mut self, key: KeyRecord) {
        for secret in &key.secrets {
            self.digests.insert(secret.digest.clone(), key.id.clone());
        }
        self.owned(&key.organization).keys.insert((key.created_at, key.id.clone()));
        self.keys.insert(key.id.clone(), key);
    }

    /// Removes a key and its index entries.
    pub(super) fn take_key(&mut self, id: &KeyId) -> Option<KeyRecord> {
        let key = self.keys.remove(id)?;
        for secret in &key.secrets {
            self.digests.remove(&secret.digest);
        }
        self.owned(&key.organization).keys.remove(&(key.created_at, key.id.clone()));
        Some(key)
    }

    pub(super) fn put_account(&mut self, account: ServiceAccount) {
        self.owned(&account.organization).accounts.insert((account.created_at, account.id.clone()));
        self.accounts.insert(account.id.clone(), account);
    }

    pub(super) fn take_account(&mut self, id: &ServiceAccountId) -> Option<ServiceAccount> {
        let account = self.accounts.remove(id)?;
        self.owned(&account.organization).accounts.remove(&(account.created_at, account.id.clone()));
        Some(account)
    }

    pub(super) fn is_digest_taken(&self, digest: &KeyDigest) -> bool {
        self.digests.contains_key(digest) || self.deleted_digests.contains(digest)
    }

    pub(super) fn is_id_taken(&self, id: &KeyId) -> bool {
        self.keys.contains_key(id) || self.deleted_ids.contains(id)
    }

    pub(super) fn find(&self, digest: &KeyDigest) -> Option<FoundKey> {
        let key = self.keys.get(self.digests.get(digest)?)?;
        let secret = key.secrets.iter().find(|secret| secret.digest == *digest)?;
        let mut found = FoundKey::of(key, secret);
        found.is_account_disabled = key.service_account.as_ref().is_some_and(|account| {
            self.account(&key.organization, account).is_none_or(|account| account.disabled.is_some())
        });
        found.is_organization_suspended = self.organization(&key.organization).suspended.is_some();
        Some(found)
    }

    pub(super) fn key(&self, organization: &OrganizationId, id: &KeyId) -> Option<&KeyRecord> {
        self.keys.get(id).filter(|key| key.organization == *organization)
    }

    pub(super) fn keys(&self, query: &KeyQuery) -> Vec<KeyRecord> {
        let Some(owned) = self.organizations.get(&query.organization) else { return Vec::new() };
        let wanted = |key: &&KeyRecord| query.filter.matches(key, query.now);
        if query.sort != KeySort::Created {
            let keys = owned.keys.iter().map(|(_, id)| &self.keys[id]).filter(wanted);
            let mut placed: Vec<_> = keys.map(|key| (query.sort.place(key), key)).collect();
            placed.retain(|(place, _)| {
                let comes_after = |after: &Cursor| query.sort.compare(place, after).is_gt();
                query.after.as_ref().is_none_or(|after| !after.id.contains('\0') && comes_after(after))
            });
            placed.sort_by(|(a, _), (b, _)| query.sort.compare(a, b));
            return placed.into_iter().take(query.limit).map(|(_, key)| key.clone()).collect();
        }
        let place = |(at, id): &(Timestamp, KeyId)| comes_after(*at, id.as_str(), query.after.as_ref());
        let keys = before(&owned.keys, query.after.as_ref()).filter(|row| place(row)).map(|(_, id)| &self.keys[id]);
        keys.filter(wanted).take(query.limit).cloned().collect()
    }

    pub(super) fn keys_of<'a>(&'a self, organization: &OrganizationId) -> impl Iterator<Item = &'a KeyRecord> {
        let keys = self.organizations.get(organization).into_iter().flat_map(|owned| &owned.keys);
        keys.map(|(_, id)| &self.keys[id])
    }

    pub(super) fn ids(&self, organization: &OrganizationId, filter: &KeyFilter, now: Timestamp) -> Vec<KeyId> {
        self.keys_of(organization).filter(|key| filter.matches(key, now)).map(|key| key.id.clone()).collect()
    }

    pub(super) fn heads(&self, organization: &OrganizationId, ids: &[KeyId]) -> Vec<KeyHead> {
        ids.iter().filter_map(|id| self.key(organization, id)).map(KeyHead::from).collect()
    }

    pub(super) fn account(&self, organization: &OrganizationId, id: &ServiceAccountId) -> Option<&ServiceAccount> {
        self.accounts.get(id).filter(|account| account.organization == *organization)
    }

    pub(super) fn accounts(&self, query: &AccountQuery) -> Vec<ServiceAccount> {
        let Some(owned) = self.organizations.get(&query.organization) else { return Vec::new() };
        let place = |(at, id): &(Timestamp, ServiceAccountId)| comes_after(*at, id.as_str(), query.after.as_ref());
        let rows = before(&owned.accounts, query.after.as_ref()).filter(|row| place(row));
        rows.map(|(_, id)| &self.accounts[id]).take(query.limit).cloned().collect()
    }

    pub(super) fn organization(&self, id: &OrganizationId) -> OrganizationRecord {
        let mut record = OrganizationRecord::new(id.clone());
        record.suspended = self.organizations.get(id).and_then(|owned| owned.suspended.clone());
        record
    }

    pub(super) fn counts(&self, organization: &OrganizationId, now: Timestamp) -> Counts {
        let Some(owned) = self.organizations.get(organization) else { return Counts::default() };
        let keys = owned.keys.iter().filter(|(_, id)| self.keys[id].status(now).is_counted()).count();
        Counts { keys: keys as u64, service_accounts: owned.accounts.len() as u64 }
    }

    pub(super) fn audit(&self, query: &AuditQuery) -> Vec<AuditEvent> {
        let Some(owned) = self.organizations.get(&query.organization) else { return Vec::new() };
        let filter = &query.filter;
        let wanted = |event: &&AuditEvent| {
            filter.actor.as_ref().is_none_or(|actor| event.actor == *actor)
                && filter.action.is_none_or(|action| event.action == action)
                && filter.target.as_ref().is_none_or(|target| event.target == *target)
                && filter.from.is_none_or(|from| event.at >= from)
                && filter.to.is_none_or(|to| event.at < to)
        };
        let end = match &query.after {
            Some(after) if after.id.contains('\0') => return Vec::new(),
            Some(after) => Bound::Excluded((after.at, after.id.clone())),
            None => Bound::Unbounded,
        };
        let events = owned.audit.range((Bound::Unbounded, end)).rev().map(|(_, event)| event);
        events.filter(wanted).take(query.limit).cloned().collect()
    }

    pub(super) fn expiring(&self, from: Timestamp, to: Timestamp, limit: usize) -> Vec<KeyRecord> {
        let is_due = |key: &&KeyRecord| {
            key.revoked.is_none() && key.expires_at.is_some_and(|expires_at| from <= expires_at && expires_at < to)
        };
        let mut due: Vec<_> = self.keys.values().filter(is_due).collect();
        due.sort_by_key(|key| key.expires_at);
        due.into_iter().take(limit).cloned().collect()
    }

    pub(super) fn scan(&self, after: Option<&KeyId>, limit: usize) -> Vec<KeyRecord> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.keys.range((start, Bound::Unbounded)).map(|(_, key)| key).take(limit).cloned().collect()
    }

    pub(super) fn prune(&mut self, prune: &Prune, now: Timestamp) -> Pruned {
        let mut pruned = Pruned::default();
        for owned in self.organizations.values_mut() {
            pruned.usage += remove_older(&mut owned.usage, prune.usage_before.map(|before| Bucket::Day.start(before)));
            pruned.audit += remove_older(&mut owned.audit, prune.audit_before);
        }
        pruned.activity = prune.activity_before.map_or(0, |before| self.activity.remove_older(before));
        if let Some(before) = prune.alerts_before {
            pruned.alerts = self.alerts.remove_older(before, &self.keys);
        }
        self.forget_batches(now);
        pruned
    }

    pub(super) fn forget_batches(&mut self, now: Timestamp) {
        let oldest = now.saturating_sub(BATCH_MEMORY);
        let kept = self.batches.split_off(&(oldest, String::new()));
        for (_, id) in std::mem::replace(&mut self.batches, kept) {
            self.batch_ids.remove(&id);
        }
    }
}

/// Returns items newest first, starting near `after`: later moments are skipped, equal ones are not.
fn before<'a, I: Ord>(
    rows: &'a BTreeSet<(Timestamp, I)>,
    after: Option<&'a Cursor>,
) -> impl Iterator<Item = &'a (Timestamp, I)> {
    rows.iter().rev().skip_while(move |(at, _)| after.is_some_and(|after| *at > after.at))
}

fn comes_after(at: Timestamp, id: &str, after: Option<&Cursor>) -> bool {
    after.is_none_or(|after| !after.id.contains('\0') && (at, id) < (after.at, after.id.as_str()))
}

fn remove_older<I: Ord, V>(rows: &mut BTreeMap<(Timestamp, I), V>, before: Option<Timestamp>) -> u64 {
    let Some(before) = before else { return 0 };
    let kept = rows.len();
    rows.retain(|(at, _), _| *at >= before);
    (kept - rows.len()) as u64
}
