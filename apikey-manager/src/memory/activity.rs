//! Activity in memory: the newest requests, up to a limit.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

use apikey_core::{KeyId, Timestamp};

use crate::query::{Activity, ActivityQuery};

/// The most requests that are kept, of all keys together.
const MOST: usize = 100_000;

/// The order of a key's requests: by time, then by insertion.
type Place = (KeyId, Timestamp, u64);

#[derive(Default)]
pub(super) struct ActivityLog {
    requests: BTreeMap<Place, Activity>,
    /// In order of insertion. It may contain requests that were pruned.
    added: VecDeque<Place>,
    next: u64,
}

impl ActivityLog {
    pub(super) fn add(&mut self, mut request: Activity) {
        let texts = [&mut request.route, &mut request.address, &mut request.user_agent];
        for text in texts.into_iter().flatten().chain([&mut request.method]) {
            *text = text.replace('\0', "\u{fffd}");
        }
        let place = (request.key.clone(), request.at, self.next);
        self.next += 1;
        self.requests.insert(place.clone(), request);
        self.added.push_back(place);
        if self.added.len() > MOST
            && let Some(oldest) = self.added.pop_front()
        {
            self.requests.remove(&oldest);
        }
    }

    /// Returns a page, with the id that each request has in a cursor.
    pub(super) fn page(&self, query: &ActivityQuery) -> Vec<(String, Activity)> {
        let after = query.after.as_ref().map(|after| (after.at, after.id.parse().unwrap_or(0)));
        let (at, number) = after.map_or((query.to, 0), |after| after.min((query.to, 0)));
        let (start, end) = ((query.key.clone(), query.from, 0), (query.key.clone(), at, number));
        if start >= end {
            return Vec::new();
        }
        let requests = self.requests.range((Bound::Included(start), Bound::Excluded(end))).rev();
        requests
            .filter(|(_, request)| request.organization == query.organization)
            .take(query.limit)
            .map(|((_, _, number), request)| (format!("{number:020}"), request.clone()))
            .collect()
    }

    pub(super) fn remove_older(&mut self, before: Timestamp) -> u64 {
        let kept = self.requests.len();
        self.requests.retain(|(_, at, _), _| *at >= before);
        let removed = kept - self.requests.len();
        if removed > 0 {
            self.added.retain(|place| self.requests.contains_key(place));
        }
        removed as u64
    }
}

#[cfg(test)]
mod tests {
    use apikey_core::OrganizationId;

    use super::*;

    #[test]
    fn given_more_requests_than_are_kept_when_added_then_the_oldest_go() {
        let mut log = ActivityLog::default();
        let request = Activity {
            organization: OrganizationId::new("acme").unwrap(),
            key: KeyId::new("key").unwrap(),
            at: Timestamp::UNIX_EPOCH,
            method: "GET".to_owned(),
            route: None,
            status: 200,
            address: None,
            user_agent: None,
        };
        let last = MOST as i64 + 10;
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        for millis in 0..last {
            log.add(Activity { at: at(millis), ..request.clone() });
        }
        assert_eq!(log.requests.len(), MOST);
        assert_eq!(log.requests.values().next().unwrap().at, at(10));
        assert_eq!(log.remove_older(at(last - 1)), MOST as u64 - 1);
        assert_eq!((log.requests.len(), log.added.len()), (1, 1));
    }
}
