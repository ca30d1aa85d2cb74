//! Filters for keys that need attention: unused, expiring soon, or due for rotation.

use std::time::Duration;

use apikey_core::Timestamp;
use apikey_manager::{KeyFilter, KeySort, NewKey, Overlap, PageRequest, UsageBatch, UsageRow};

use crate::{
    bed::{Bed, made},
    stage::Stage,
};

const DAY: u64 = 86_400;

/// Returns a stage with five keys, issued on consecutive days. `old` was rotated on the fifth day, `used` was used on
/// the second and `busy` on the fifth; `soon` and `later` expire.
async fn five_keys() -> Stage {
    let stage = Stage::new(Bed::new());
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let day = |days: u64| bed.now() + Duration::from_secs(days * DAY);
    let mut issued = Vec::new();
    for (n, new) in [
        NewKey::new("old"),
        NewKey::new("used"),
        NewKey::new("soon").expires_at(day(10)),
        NewKey::new("later").expires_at(day(20)),
        NewKey::new("busy"),
    ]
    .into_iter()
    .enumerate()
    {
        stage.at((n as u64 * DAY) as i64);
        issued.push(keys.issue(host, new).await.unwrap());
    }
    stage.at(5 * DAY as i64);
    keys.rotate(host, issued[0].id(), Overlap::None).await.unwrap();
    for (n, days) in [(1, 2), (4, 5)] {
        let key = issued[n].record();
        let row = UsageRow { last_used: vec![(key.secrets[0].digest.clone(), day(days))], ..bed.used(key, 1, 0) };
        bed.store.add_usage(&UsageBatch { id: bed.unique(), at: day(days), rows: vec![row] }).await.unwrap();
    }
    stage
}

async fn names(stage: &Stage, filter: KeyFilter, sort: KeySort) -> Vec<String> {
    let (mut names, mut request) = (Vec::new(), PageRequest::first().limit(2));
    loop {
        let page = stage.keys.list_sorted(&stage.host, filter.clone(), sort, request).await.unwrap();
        names.extend(page.items.into_iter().map(|key| key.name));
        let Some(next) = page.next else { return names };
        // Parsed from text, as callers send it.
        request = PageRequest::after(next.to_string().parse().unwrap()).limit(2);
    }
}

#[tokio::test]
async fn filters_find_stale_keys() {
    let stage = five_keys().await;
    let at = |days: u64| stage.bed.now() + Duration::from_secs(days * DAY);
    let found = async |set: &dyn Fn(&mut KeyFilter)| names(&stage, made(|it| set(it)), KeySort::Created).await;
    assert_eq!(found(&|it| it.last_used_before = Some(at(2))).await, Vec::<String>::new());
    assert_eq!(found(&|it| it.last_used_before = Some(at(2) + Duration::from_millis(1))).await, ["used"]);
    assert_eq!(found(&|it| it.last_used_before = Some(at(9))).await, ["busy", "used"]);
    assert_eq!(found(&|it| it.unused = Some(true)).await, ["later", "soon", "old"]);
    assert_eq!(found(&|it| it.unused = Some(false)).await, ["busy", "used"]);
    assert_eq!(found(&|it| it.expires_before = Some(at(10))).await, Vec::<String>::new());
    assert_eq!(found(&|it| it.expires_before = Some(Timestamp::MAX)).await, ["later", "soon"]);
    assert_eq!(found(&|it| it.rotation_due = Some(Duration::from_secs(3 * DAY))).await, ["soon", "used"]);
    assert_eq!(found(&|it| it.rotation_due = Some(Duration::from_secs(6 * DAY))).await, Vec::<String>::new());
}

#[tokio::test]
async fn sorts_place_keys_without_a_time() {
    let stage = five_keys().await;
    let expiry = names(&stage, KeyFilter::default(), KeySort::Expiry).await;
    assert_eq!(expiry[..2], ["soon", "later"], "keys without an expiry come last");
    let use_order = names(&stage, KeyFilter::default(), KeySort::LastUse).await;
    assert_eq!(use_order[3..], ["used", "busy"], "keys that were never used come first");
    assert_eq!((expiry.len(), use_order.len()), (5, 5));
}
