//! What a key did can be read again, page by page.

use std::sync::Arc;

use crate::{
    conformance::{
        bed::{Bed, pages},
        outcome::{Failure, Outcome, same},
    },
    query::{Activity, ActivityQuery, Cursor},
    record::KeyRecord,
};

pub(in crate::conformance) async fn given_activity_when_read_then_all_of_it_is_kept(bed: Arc<Bed>) -> Outcome {
    let key = bed.key(&bed.organization("ours"));
    bed.insert([&key]).await?;
    let plain = request(&bed, &key, 0);
    let full = Activity {
        at: bed.at(-1),
        method: "PROPFIND".to_owned(),
        route: Some("/files/{name}/größe".to_owned()),
        status: 599,
        address: Some("2001:db8::1".to_owned()),
        user_agent: Some("agent/1.0 (日本; \"x\" %_\\)".to_owned()),
        ..plain.clone()
    };
    bed.store.add_activity(&[plain.clone(), full.clone()]).await?;
    bed.store.add_activity(&[]).await?;
    same!(kept(&bed, &key).await?, [plain, full], "the requests as they are kept");
    Ok(())
}

pub(in crate::conformance) async fn given_requests_at_one_moment_when_paged_then_each_comes_once(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let [key, other] = [bed.key(&ours), bed.key(&ours)];
    bed.insert([&key, &other]).await?;
    let mut requests = Vec::new();
    for n in 0..40 {
        let mut request = request(&bed, &key, -(n % 5));
        request.route = Some(format!("/{n:02}"));
        requests.push(request);
    }
    for some in requests.chunks(7) {
        bed.store.add_activity(some).await?;
    }
    bed.store.add_activity(&[request(&bed, &other, 0)]).await?;
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
        let paged: Vec<_> = pages(size, read, place).await?.into_iter().map(|(_, request)| request).collect();
        same!(texts(&paged), texts(&requests), "all pages of {size} requests");
        let times: Vec<_> = paged.iter().map(|request| request.at).collect();
        let mut newest_first = times.clone();
        newest_first.sort_by(|a, b| b.cmp(a));
        same!(times, newest_first, "the times of all pages of {size} requests");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_activity_when_asked_for_a_span_then_only_that_is_told(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let [key, other] = [bed.key(&ours), bed.key(&ours)];
    bed.insert([&key, &other]).await?;
    let requests: Vec<_> = (0..10).map(|n| request(&bed, &key, -n)).collect();
    bed.store.add_activity(&requests).await?;
    bed.store.add_activity(&[request(&bed, &other, -3)]).await?;
    for (from, to) in [(-100, 100), (-4, -2), (-4, -4), (-9, 0), (-9, 1), (1, 100)] {
        let query = ActivityQuery { from: bed.at(from), to: bed.at(to), ..all(&bed, &key) };
        let read: Vec<_> = bed.store.activity(&query).await?.into_iter().map(|(_, request)| request).collect();
        let is_within = |request: &&Activity| query.from <= request.at && request.at < query.to;
        let expected: Vec<_> = requests.iter().filter(is_within).cloned().collect();
        same!(read, expected, "the requests from {from} s to {to} s");
    }
    let query = ActivityQuery { limit: 3, ..all(&bed, &key) };
    same!(bed.store.activity(&query).await?.len(), 3, "the requests on a page of 3");
    Ok(())
}

pub(super) fn request(bed: &Bed, key: &KeyRecord, seconds: i64) -> Activity {
    Activity {
        organization: key.organization.clone(),
        key: key.id.clone(),
        at: bed.at(seconds),
        method: "GET".to_owned(),
        route: None,
        status: 200,
        address: None,
        user_agent: None,
    }
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

/// A key's requests, the newest first.
pub(super) async fn kept(bed: &Bed, key: &KeyRecord) -> Result<Vec<Activity>, Failure> {
    Ok(bed.store.activity(&all(bed, key)).await?.into_iter().map(|(_, request)| request).collect())
}
