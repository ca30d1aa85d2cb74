//! Requests that must not be carried out twice.

use std::sync::Arc;

use apikey_manager::{Change, OrganizationId, Remembered};

use crate::bed::{Bed, affecting, assert_conflict};

impl Bed {
    /// Returns a request made this many seconds after now.
    fn request(&self, seconds: i64) -> Remembered {
        let digest = || self.digest_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Remembered { request: digest(), input: digest(), keys: vec![self.id(), self.id()], at: self.at(seconds) }
    }

    async fn remembered(&self, organization: &OrganizationId, request: &Remembered) -> Option<Remembered> {
        self.store.begin(organization).await.unwrap().remembered(&request.request).await.unwrap()
    }
}

/// A request is remembered as a whole, by its organization alone.
pub(crate) async fn a_request_is_remembered_once(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (request, mut other) = (bed.request(0), bed.request(1));
    other.keys.clear();
    assert_eq!(bed.remembered(&ours, &request).await, None, "a request that nobody has made");
    bed.commit(&ours, [&request, &other].map(|request| Change::Remember(request.clone()))).await.unwrap();
    assert_eq!(bed.remembered(&ours, &request).await.as_ref(), Some(&request), "the request");
    assert_eq!(bed.remembered(&ours, &other).await.as_ref(), Some(&other), "another request, without keys");
    assert_eq!(bed.remembered(&theirs, &request).await, None, "the request, in another organization");
    let mut again = bed.request(2);
    again.request.clone_from(&request.request);
    assert_conflict(bed.commit(&ours, [Change::Remember(again.clone())]).await, "a request that is remembered");
    assert_eq!(bed.remembered(&ours, &request).await.as_ref(), Some(&request), "the request, after a conflict");
    bed.commit(&theirs, [Change::Remember(again.clone())]).await.unwrap();
    assert_eq!(bed.remembered(&theirs, &again).await.as_ref(), Some(&again), "a request of another organization");
}

/// A request is remembered together with its change or not at all.
pub(crate) async fn a_request_shares_the_fate_of_its_change(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (kept, request, key) = (bed.request(0), bed.request(1), bed.key(&ours));
    bed.commit(&ours, [Change::Remember(kept.clone())]).await.unwrap();
    let forget = Change::ForgetRequests { before: bed.at(100), keep: 0 };
    let twice = [Change::InsertKey(Box::new(key.clone())), Change::InsertKey(Box::new(key.clone()))];
    let changes = [forget, Change::Remember(request.clone())].into_iter().chain(twice);
    assert_conflict(bed.commit(&ours, changes).await, "one key twice");
    assert_eq!(bed.remembered(&ours, &request).await, None, "a request whose change failed");
    assert_eq!(bed.remembered(&ours, &kept).await, Some(kept), "a request that a failed change would have forgotten");
    let change = bed.store.begin(&ours).await.unwrap();
    change.commit(affecting([Change::InsertKey(Box::new(key)), Change::Remember(request.clone())])).await.unwrap();
    assert_eq!(bed.remembered(&ours, &request).await.as_ref(), Some(&request), "a request whose change was made");
}

/// Requests are forgotten by their age and by their number, in their organization alone.
pub(crate) async fn old_and_surplus_requests_are_forgotten(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let requests: Vec<_> = (0..6).map(|n| bed.request(n)).collect();
    for organization in [&ours, &theirs] {
        bed.commit(organization, requests.iter().cloned().map(Change::Remember)).await.unwrap();
    }
    let steps = [(0, 6, 0), (0, 10, 0), (2, 10, 2), (2, 4, 2), (2, 3, 3), (0, 1, 5), (9, 1, 6)];
    for (before, keep, expected) in steps {
        bed.commit(&ours, [Change::ForgetRequests { before: bed.at(before), keep }]).await.unwrap();
        for (n, request) in requests.iter().enumerate() {
            let is_kept = bed.remembered(&ours, request).await.is_some();
            assert_eq!(is_kept, n >= expected, "request {n}, when {keep} from second {before} on are kept");
            assert!(bed.remembered(&theirs, request).await.is_some(), "request {n} of another organization");
        }
    }
    bed.commit(&ours, [Change::Remember(requests[0].clone())]).await.unwrap();
    assert!(bed.remembered(&ours, &requests[0]).await.is_some(), "a request that was forgotten");
}
