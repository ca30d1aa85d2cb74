//! Activity can be read again, page by page.

use std::sync::Arc;

use apikey_manager::{Activity, ActivityQuery, Cursor, KeyRecord};

use crate::bed::{Bed, pages};

/// All of a request is stored.
pub(crate) async fn every_field_of_a_request_is_kept(bed: Arc<Bed>) {
    let key = bed.key(&bed.organization("ours"));
    bed.insert([&key]).await;
    let plain = request(&bed, &key, 0);
    let mut full = Activity::new(plain.organization.clone(), key.id.clone(), bed.at(-1), "PROPFIND", 599);
    full.route = Some("/files/{name}/größe".to_owned());
    full.address = Some("2001:db8::1".to_owned());
    full.user_agent = Some("agent/1.0 (日本; \"x\" %_\\)".to_owned());
    bed.store.add_activity(&[plain.clone(), full.clone()]).await.unwrap();
    bed.store.add_activity(&[]).await.unwrap();
    assert_eq!(kept(&bed, &key).await, [plain, full], "the requests as they are kept");
}

/// Pages of activity omit and repeat no request, even if times are equal.
pub(crate) async fn pages_show_requests_of_one_moment_once(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let [key, other] = [bed.key(&ours), bed.key(&ours)];
    bed.insert([&key, &other]).await;
    let mut requests = Vec::new();
    for n in 0..40 {
        let mut request = request(&bed, &key, -(n % 5));
        request.route = Some(format!("/{n:02}"));
        requests.push(request);
    }
    for some in requests.chunks(7) {
        bed.store.add_activity(some).await.unwrap();
    }
    bed.store.add_activity(&[request(&bed, &other, 0)]).await.unwrap();
    let texts = |requests: &[Activity]| -> Vec<_> {
        let mut texts: Vec<_> = requests.iter().map(|request| request.route.clone().unwrap_or_default()).collect();
        texts.sort();
        texts
    };
    for size in [1, 3, 40, 41] {
        let read = |after| {
            let query = ActivityQuery { after, limit: size, ..all(&bed, &key) };
            let bed = &bed;
            async move { bed.store.activity(&query).await }
        };
        let place = |(id, request): &(String, Activity)| Cursor { at: request.at, id: id.clone() };
        let paged: Vec<_> = pages(size, read, place).await.into_iter().map(|(_, request)| request).collect();
        assert_eq!(texts(&paged), texts(&requests), "all pages of {size} requests");
        let times: Vec<_> = paged.iter().map(|request| request.at).collect();
        let mut newest_first = times.clone();
        newest_first.sort_by(|a, b| b.cmp(a));
        assert_eq!(times, newest_first, "the times of all pages of {size} requests");
    }
}

/// Activity is filtered by key and by span of time.
pub(crate) async fn activity_is_told_of_one_key_and_span(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let [key, other] = [bed.key(&ours), bed.key(&ours)];
    bed.insert([&key, &other]).await;
    let requests: Vec<_> = (0..10).map(|n| request(&bed, &key, -n)).collect();
    bed.store.add_activity(&requests).await.unwrap();
    bed.store.add_activity(&[request(&bed, &other, -3)]).await.unwrap();
    for (from, to) in [(-100, 100), (-4, -2), (-4, -4), (-9, 0), (-9, 1), (1, 100)] {
        let query = ActivityQuery { from: bed.at(from), to: bed.at(to), ..all(&bed, &key) };
        let read: Vec<_> = bed.store.activity(&query).await.unwrap().into_iter().map(|(_, request)| request).collect();
        let is_within = |request: &&Activity| query.from <= request.at && request.at < query.to;
        let expected: Vec<_> = requests.iter().filter(is_within).cloned().collect();
        assert_eq!(read, expected, "the requests from {from} s to {to} s");
    }
    let query = ActivityQuery { limit: 3, ..all(&bed, &key) };
    assert_eq!(bed.store.activity(&query).await.unwrap().len(), 3, "the requests on a page of 3");
}

pub(super) fn request(bed: &Bed, key: &KeyRecord, seconds: i64) -> Activity {
    Activity::new(key.organization.clone(), key.id.clone(), bed.at(seconds), "GET", 200)
}

pub(super) fn all(bed: &Bed, key: &KeyRecord) -> ActivityQuery {
    ActivityQuery {
        organization: key.organization.clone(),
        key: key.id.clone(),
        from: bed.at(-1_000_000),
        to: bed.at(1_000_000),
        after: None,
        limit: 10_000,
    }
}

/// Returns a key's requests, newest first.
pub(super) async fn kept(bed: &Bed, key: &KeyRecord) -> Vec<Activity> {
    bed.store.activity(&all(bed, key)).await.unwrap().into_iter().map(|(_, request)| request).collect()
}
