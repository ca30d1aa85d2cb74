//! The counts that are not yet written, by key and hour, up to a limit.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use apikey_core::{KeyDigest, KeyId, KeyUsage, NoRandomness, OrganizationId, ServiceAccountId, Timestamp};

use crate::query::{Bucket, UsageBatch, UsageRow};

/// How long a batch that may have been written is retried. Stores recognize a batch for one day.
const KNOWN_FOR: Duration = Duration::from_secs(23 * 3_600);

/// The waiting rows, and the batch that is being written.
#[derive(Debug)]
pub(super) struct Pending {
    rows: HashMap<(KeyId, Timestamp), Row>,
    /// Refusals of requests that were counted as accepted in an earlier batch. They are subtracted from the next
    /// accepted ones.
    owed: HashMap<KeyId, u64>,
    sending: Option<Sending>,
    capacity: usize,
}

#[derive(Debug)]
struct Row {
    organization: OrganizationId,
    service_account: Option<ServiceAccountId>,
    environment: Option<Arc<str>>,
    ok: u64,
    refused: u64,
    last_used: Vec<(KeyDigest, Timestamp)>,
}

impl Row {
    fn new(
        organization: OrganizationId,
        service_account: Option<ServiceAccountId>,
        environment: Option<Arc<str>>,
    ) -> Self {
        Row { organization, service_account, environment, ok: 0, refused: 0, last_used: Vec::new() }
    }

    fn of(self, key: KeyId, hour: Timestamp) -> UsageRow {
        let Row { organization, service_account, environment, ok, refused, last_used } = self;
        let environment = environment.map(|environment| environment.to_string());
        UsageRow { key, organization, service_account, environment, hour, ok, refused, last_used }
    }
}

#[derive(Debug)]
struct Sending {
    batch: UsageBatch,
    /// `true` if the store may have the batch without having confirmed it.
    may_hold: bool,
    /// `true` if an attempt has begun and not ended. Its task may have been dropped.
    is_under_way: bool,
}

impl Pending {
    pub(super) fn new(capacity: usize) -> Self {
        Pending { rows: HashMap::new(), owed: HashMap::new(), sending: None, capacity }
    }

    /// Adds counts, and returns how many requests were lost to make room.
    pub(super) fn add(&mut self, taken: Vec<KeyUsage>) -> u64 {
        for used in taken {
            let owed = self.owed.remove(&used.key).unwrap_or_default().saturating_add(used.refused);
            let ok = used.requests.saturating_sub(owed);
            let still_owed = owed.saturating_sub(used.requests);
            if still_owed > 0 && self.owed.len() < self.capacity {
                self.owed.insert(used.key.clone(), still_owed);
            }
            let row = match self.rows.entry((used.key, Bucket::Hour.start(used.last_used))) {
                Entry::Occupied(row) => row.into_mut(),
                Entry::Vacant(place) => {
                    // All keys of a manager have an organization.
                    let Some(organization) = used.organization else { continue };
                    place.insert(Row::new(organization, used.service_account, used.environment))
                }
            };
            row.ok = row.ok.saturating_add(ok);
            row.refused = row.refused.saturating_add(used.refused);
            match row.last_used.iter_mut().find(|(digest, _)| *digest == used.digest) {
                Some((_, at)) => *at = (*at).max(used.last_used),
                None => row.last_used.push((used.digest, used.last_used)),
            }
        }
        self.make_room()
    }

    /// Returns the batch to write, if any: the one in progress, or a new one. Also returns how many requests were given
    /// up, because the store can no longer tell whether it has them.
    ///
    /// Until [`batch_ended`](Pending::batch_ended) is called, the store may have the batch, because the caller may be
    /// dropped.
    pub(super) fn next_batch(
        &mut self,
        size: usize,
        now: Timestamp,
    ) -> Result<(Option<UsageBatch>, u64), NoRandomness> {
        let is_forgotten = |sending: &mut Sending| {
            sending.may_hold |= sending.is_under_way;
            sending.may_hold && now.saturating_since(sending.batch.at) > KNOWN_FOR
        };
        let lost = self.sending.take_if(is_forgotten).map_or(0, |sending| requests_of(&sending.batch));
        if self.sending.is_none() && !self.rows.is_empty() {
            let id = KeyId::generate(now)?.as_str().replacen("key_", "usage_", 1);
            let taken = self.rows.extract_if(|_, _| true).take(size);
            let mut rows: Vec<_> = taken.map(|((key, hour), row)| row.of(key, hour)).collect();
            rows.sort_unstable_by(|a, b| (&a.key, a.hour).cmp(&(&b.key, b.hour)));
            self.sending =
                Some(Sending { batch: UsageBatch { id, at: now, rows }, may_hold: false, is_under_way: false });
        }
        let Some(sending) = &mut self.sending else {
            return Ok((None, lost));
        };
        sending.is_under_way = true;
        Ok((Some(sending.batch.clone()), lost))
    }

    /// Ends the attempt to write the batch. `may_hold` means that the store has the batch or may have it.
    pub(super) fn batch_ended(&mut self, is_written: bool, may_hold: bool) {
        if is_written {
            self.sending = None;
        } else if let Some(sending) = &mut self.sending {
            sending.may_hold |= may_hold;
            sending.is_under_way = false;
        }
    }

    pub(super) fn is_half_full(&self) -> bool {
        self.rows.len() >= self.capacity / 2
    }

    /// Returns the number of requests that wait to be written.
    pub(super) fn requests(&self) -> u64 {
        let sending = self.sending.as_ref().map_or(0, |sending| requests_of(&sending.batch));
        self.rows.values().map(|row| row.ok.saturating_add(row.refused)).fold(sending, u64::saturating_add)
    }

    /// Removes the oldest rows if there are too many. It removes some more than needed, so that this is rare.
    fn make_room(&mut self) -> u64 {
        if self.rows.len() <= self.capacity {
            return 0;
        }
        let too_many = self.rows.len() - self.capacity * 7 / 8;
        let mut hours: Vec<_> = self.rows.keys().map(|(_, hour)| *hour).collect();
        let (_, last_to_go, _) = hours.select_nth_unstable(too_many - 1);
        let last_to_go = *last_to_go;
        let mut of_the_last = too_many - hours.iter().filter(|hour| **hour < last_to_go).count();
        let mut lost = 0_u64;
        self.rows.retain(|(_, hour), row| {
            let goes = *hour < last_to_go || (*hour == last_to_go && of_the_last > 0);
            if goes {
                of_the_last -= usize::from(*hour == last_to_go);
                lost = lost.saturating_add(row.ok).saturating_add(row.refused);
            }
            !goes
        });
        lost
    }
}

fn requests_of(batch: &UsageBatch) -> u64 {
    batch.rows.iter().map(|row| row.ok.saturating_add(row.refused)).fold(0, u64::saturating_add)
}
