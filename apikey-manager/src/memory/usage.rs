//! Usage in memory: each batch is added once, and sums are computed on request.

use apikey_core::{ServiceAccountId, Timestamp};
use std::collections::BTreeMap;

use super::state::State;
use crate::query::{Bucket, UsageBatch, UsageBucket, UsageOf, UsageQuery, UsageRow};

/// The usage of one key in one hour, for an account and an environment.
pub(super) struct Counted {
    account: Option<ServiceAccountId>,
    environment: Option<String>,
    ok: u64,
    refused: u64,
}

impl Counted {
    fn of(row: &UsageRow) -> Self {
        let UsageRow { service_account, environment, ok, refused, .. } = row;
        Counted { account: service_account.clone(), environment: environment.clone(), ok: *ok, refused: *refused }
    }
}

impl State {
    pub(super) fn add_usage(&mut self, batch: &UsageBatch) -> bool {
        let at = batch.at;
        self.forget_batches(at);
        if !self.batch_ids.insert(batch.id.clone()) {
            return false;
        }
        self.batches.insert((at, batch.id.clone()));
        batch.rows.iter().for_each(|row| self.add_row(row));
        true
    }

    fn add_row(&mut self, row: &UsageRow) {
        if let Some(key) = self.keys.get_mut(&row.key) {
            for (digest, at) in &row.last_used {
                let at = Some(*at);
                if let Some(secret) = key.secrets.iter_mut().find(|secret| secret.digest == *digest) {
                    secret.last_used_at = secret.last_used_at.max(at);
                    key.last_used_at = key.last_used_at.max(at);
                }
            }
        }
        let hour = Bucket::Hour.start(row.hour);
        let counted = self.owned(&row.organization).usage.entry((hour, row.key.clone())).or_default();
        let whose = (&row.service_account, &row.environment);
        match counted.iter_mut().find(|of| (&of.account, &of.environment) == whose) {
            Some(of) => (of.ok, of.refused) = (of.ok.saturating_add(row.ok), of.refused.saturating_add(row.refused)),
            None => counted.push(Counted::of(row)),
        }
    }

    pub(super) fn usage(&self, query: &UsageQuery) -> Vec<UsageBucket> {
        let Some(owned) = self.organizations.get(&query.organization) else { return Vec::new() };
        let mut buckets: BTreeMap<Timestamp, UsageBucket> = BTreeMap::new();
        let hours = owned.usage.iter().filter(|((hour, _), _)| (query.from..query.to).contains(hour));
        for ((hour, key), counted) in hours.flat_map(|(place, counted)| counted.iter().map(move |of| (place, of))) {
            let is_asked_for = match &query.of {
                UsageOf::Key(wanted) => key == wanted,
                UsageOf::Account(wanted) => counted.account.as_ref() == Some(wanted),
                UsageOf::Environment(wanted) => counted.environment.as_ref() == Some(wanted),
                UsageOf::Organization => true,
            };
            if is_asked_for {
                let start = query.bucket.start(*hour);
                let total = buckets.entry(start).or_insert(UsageBucket { start, ok: 0, refused: 0 });
                total.ok = total.ok.saturating_add(counted.ok);
                total.refused = total.refused.saturating_add(counted.refused);
            }
        }
        buckets.into_values().collect()
    }
}
