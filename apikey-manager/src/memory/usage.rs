//! What was counted: added in batches, each once, and read hour by hour.

use std::{collections::BTreeMap, time::SystemTime};

use super::state::State;
use crate::{
    account::ServiceAccountId,
    query::{HOUR, UsageBatch, UsageHour, UsageOf, UsageQuery, UsageRow},
    time,
};

/// What one key did in one hour, under what it belonged to then.
#[derive(Default)]
pub(super) struct Counted {
    account: Option<ServiceAccountId>,
    environment: Option<String>,
    ok: u64,
    refused: u64,
}

impl State {
    pub(super) fn add_usage(&mut self, batch: &UsageBatch) -> bool {
        let at = time::truncated(batch.at);
        self.forget_batches(at);
        if !self.batch_ids.insert(batch.id.clone()) {
            return false;
        }
        self.batches.insert((at, batch.id.clone()));
        batch.rows.iter().for_each(|row| self.add_row(row));
        true
    }

    fn add_row(&mut self, row: &UsageRow) {
        let Some(key) = self.keys.get_mut(&row.key) else { return };
        for (digest, at) in &row.last_used {
            let at = Some(time::truncated(*at));
            key.last_used_at = key.last_used_at.max(at);
            if let Some(secret) = key.secrets.iter_mut().find(|secret| secret.digest == *digest) {
                secret.last_used_at = secret.last_used_at.max(at);
            }
        }
        let (account, environment) = (key.service_account.clone(), key.environment.clone());
        let organization = key.organization.clone();
        let counted = self.owned(&organization).usage.entry((hour_of(row.hour), row.key.clone()));
        let counted = counted.or_insert(Counted { account, environment, ..Counted::default() });
        counted.ok = counted.ok.saturating_add(row.ok);
        counted.refused = counted.refused.saturating_add(row.refused);
    }

    pub(super) fn usage(&self, query: &UsageQuery) -> Vec<UsageHour> {
        let Some(owned) = self.organizations.get(&query.organization) else { return Vec::new() };
        let mut hours: BTreeMap<SystemTime, UsageHour> = BTreeMap::new();
        let from = hour_of(query.from);
        for ((hour, key), counted) in owned.usage.iter().filter(|((hour, _), _)| (from..query.to).contains(hour)) {
            let is_asked_for = match &query.of {
                UsageOf::Key(wanted) => key == wanted,
                UsageOf::Account(wanted) => counted.account.as_ref() == Some(wanted),
                UsageOf::Environment(wanted) => counted.environment.as_ref() == Some(wanted),
                UsageOf::Organization => true,
            };
            if is_asked_for {
                let total = hours.entry(*hour).or_insert(UsageHour { hour: *hour, ok: 0, refused: 0 });
                total.ok = total.ok.saturating_add(counted.ok);
                total.refused = total.refused.saturating_add(counted.refused);
            }
        }
        hours.into_values().collect()
    }
}

fn hour_of(moment: SystemTime) -> SystemTime {
    let hour = i64::try_from(HOUR.as_millis()).unwrap_or(i64::MAX);
    let millis = time::to_millis(moment);
    time::from_millis(millis.saturating_sub(millis.rem_euclid(hour)))
}
