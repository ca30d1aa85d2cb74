//! Jobs across all organizations: pruning, finding keys that expire soon, and scanning every key.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{Action, Bucket, Change, KeyRecord, Prune, Revocation, UsageOf, UsageQuery, UsageRow};

use super::activity::kept;
use super::activity::request;
use crate::bed::{Bed, HOUR, actor, ids, insertion, made, switched};

/// Older than the data of any other check.
const LONG_AGO: i64 = -10_000 * HOUR;

/// Pruning usage deletes whole days that have ended, so that hours and days still add up.
pub(crate) async fn usage_is_pruned_by_whole_days(bed: Arc<Bed>) {
    let (key, _) = old(&bed).await;
    let midnight = Bucket::Day.start(bed.at(LONG_AGO));
    let hours = [-30, -1, 0, 1, 5].map(|hour: i64| match hour < 0 {
        true => midnight - Bucket::Hour.length() * hour.unsigned_abs() as u32,
        false => midnight + Bucket::Hour.length() * hour as u32,
    });
    bed.store.add_usage(&bed.batch(hours.map(|hour| UsageRow { hour, ..bed.used(&key, 1, 1) }))).await.unwrap();
    let left = async |of: UsageOf, bucket| {
        let from = midnight - Bucket::Day.length() * 10;
        let query = UsageQuery { from, bucket, ..bed.all_usage(&key.organization, of) };
        bed.store.usage(&query).await.map(|usage| usage.into_iter().map(|one| (one.start, one.ok)).collect::<Vec<_>>())
    };
    // A time within a day deletes nothing of that day.
    let cases = [
        (midnight - Duration::from_millis(1), 1),
        (midnight, 2),
        (midnight + Duration::from_secs(6 * 3_600), 2),
        (midnight + Bucket::Day.length() - Duration::from_millis(1), 2),
    ];
    for (before, gone) in cases {
        let pruned = bed.store.prune(&made(|it: &mut Prune| it.usage_before = Some(before)), bed.now()).await.unwrap();
        assert_eq!((pruned.activity, pruned.audit), (0, 0), "what else was removed");
        let expected: Vec<_> = hours[gone..].iter().chain([&bed.now()]).map(|hour| (*hour, 1)).collect();
        for of in [UsageOf::Key(key.id.clone()), UsageOf::Organization] {
            assert_eq!(left(of.clone(), Bucket::Hour).await.unwrap(), expected, "the hours that are left of {of:?}");
            let days: Vec<_> = (gone < 2)
                .then(|| (midnight - Bucket::Day.length(), 1))
                .into_iter()
                .chain([(midnight, 3), (Bucket::Day.start(bed.now()), 1)])
                .collect();
            assert_eq!(left(of.clone(), Bucket::Day).await.unwrap(), days, "the days that are left of {of:?}");
        }
    }
    let after = midnight + Bucket::Day.length();
    let pruned = bed.store.prune(&made(|it: &mut Prune| it.usage_before = Some(after)), bed.now()).await.unwrap();
    assert!(pruned.usage >= 3, "the number of hours that were removed is told");
    for bucket in [Bucket::Hour, Bucket::Day] {
        let expected = [(bucket.start(bed.now()), 1)];
        assert_eq!(
            left(UsageOf::Key(key.id.clone()), bucket).await.unwrap(),
            expected,
            "what is left of the key's usage"
        );
        assert_eq!(
            left(UsageOf::Organization, bucket).await.unwrap(),
            expected,
            "what is left of the organization's usage"
        );
    }
    assert_eq!(
        kept(&bed, &key).await.len() + bed.store.audit(&bed.every_event(&key.organization)).await.unwrap().len(),
        2,
        "the activity and events that are left"
    );
}

/// Pruning activity deletes only older requests.
pub(crate) async fn younger_activity_is_not_pruned(bed: Arc<Bed>) {
    let (key, moment) = old(&bed).await;
    let requests = [-1, 0, 1].map(|seconds| request(&bed, &key, LONG_AGO + seconds));
    bed.store.add_activity(&requests).await.unwrap();
    let pruned = bed.store.prune(&made(|it: &mut Prune| it.activity_before = Some(moment)), bed.now()).await.unwrap();
    assert!(pruned.activity > 0, "the number of requests that were removed is told");
    assert_eq!((pruned.usage, pruned.audit), (0, 0), "what else was removed");
    let query = apikey_manager::ActivityQuery { from: bed.at(2 * LONG_AGO), ..super::activity::all(&bed, &key) };
    let left: Vec<_> = bed.store.activity(&query).await.unwrap().into_iter().map(|(_, request)| request.at).collect();
    assert_eq!(left, [bed.now(), bed.at(LONG_AGO + 1), moment], "the requests that are left");
    assert_eq!(bed.total(&key.organization, UsageOf::Organization).await, (1, 1), "the usage that is left");
}

/// Pruning the audit trail deletes only older events.
pub(crate) async fn younger_events_are_not_pruned(bed: Arc<Bed>) {
    let (key, moment) = old(&bed).await;
    let mut events = [-1, 0, 1].map(|seconds| {
        let mut event = bed.event(&key.organization, Action::KeyUpdated, &key.id);
        event.at = bed.at(LONG_AGO + seconds);
        Change::Audit(event)
    });
    events.reverse();
    bed.commit(&key.organization, events).await.unwrap();
    let pruned = bed.store.prune(&made(|it: &mut Prune| it.audit_before = Some(moment)), bed.now()).await.unwrap();
    assert!(pruned.audit > 0, "the number of events that were removed is told");
    assert_eq!((pruned.usage, pruned.activity), (0, 0), "what else was removed");
    let events = bed.store.audit(&bed.every_event(&key.organization)).await.unwrap();
    let left: Vec<_> = events.into_iter().map(|event| event.at).collect();
    assert_eq!(left, [bed.now(), bed.at(LONG_AGO + 1), moment], "the events that are left");
}

/// Pruning deletes nothing that was not requested.
pub(crate) async fn pruning_nothing_keeps_everything(bed: Arc<Bed>) {
    let (key, _) = old(&bed).await;
    let ancient = Some(Timestamp::UNIX_EPOCH);
    let asked =
        made(|it: &mut Prune| (it.usage_before, it.activity_before, it.audit_before) = (ancient, ancient, ancient));
    let before = bed.dump(&[&key.organization]).await;
    for prune in [Prune::default(), asked] {
        let pruned = bed.store.prune(&prune, bed.now()).await.unwrap();
        assert_eq!(pruned, apikey_manager::Pruned::default(), "what was removed");
        assert_eq!(bed.dump(&[&key.organization]).await, before, "what is kept");
        assert_eq!(kept(&bed, &key).await.len(), 1, "the activity that is kept");
    }
}

/// Ids of batches are remembered for a day, and then forgotten.
pub(crate) async fn the_id_of_a_batch_is_known_for_a_day(bed: Arc<Bed>) {
    let key = bed.key(&bed.organization("ours"));
    bed.insert([&key]).await;
    let batch = bed.batch([bed.used(&key, 1, 1)]);
    bed.store.add_usage(&batch).await.unwrap();
    for hours in [0, 1, 23] {
        bed.store.prune(&Prune::default(), bed.at(hours * HOUR)).await.unwrap();
        assert!(
            !bed.store.add_usage(&batch).await.unwrap(),
            "the id of a batch is known for a day, not just {hours} hours"
        );
    }
    bed.store.prune(&Prune::default(), bed.at(25 * HOUR)).await.unwrap();
    assert!(bed.store.add_usage(&batch).await.unwrap(), "the id of a batch is forgotten when it is older than a day");
}

/// Keys that expire soon are returned, soonest first, without revoked ones.
pub(crate) async fn expiring_keys_come_soonest_first(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    // A span of time that only this check uses.
    let start = 1_000_000_000 + (bed.digest_bytes()[0] as i64) * 1_000_000 + (bed.digest_bytes()[1] as i64) * 1_000;
    let at = |seconds: i64| bed.at(start + seconds);
    let mut keys: Vec<_> = [30, 0, 99, 100, -1, 50, 60, 70]
        .into_iter()
        .enumerate()
        .map(|(n, seconds)| {
            let mut key = bed.key(if n % 2 == 0 { &ours } else { &theirs });
            key.expires_at = Some(at(seconds));
            key
        })
        .collect();
    keys[6].revoked = Some(Revocation { at: bed.now(), by: actor("carol"), reason: String::new() });
    keys[7].disabled = Some(switched(bed.now()));
    keys.push(bed.key(&ours));
    bed.insert(&keys).await;
    let expected = [&keys[1], &keys[0], &keys[5], &keys[7], &keys[2]].map(Clone::clone);
    let due = bed.store.expiring(at(0), at(100), 1_000).await.unwrap();
    assert_eq!(ids(&due), ids(&expected), "the keys that expire in a span of time");
    assert_eq!(due, expected, "their records");
    assert_eq!(
        ids(&bed.store.expiring(at(0), at(100), 2).await.unwrap()),
        ids(&expected[..2]),
        "the first two of them"
    );
    assert!(bed.store.expiring(at(100), at(100), 1_000).await.unwrap().is_empty(), "no key expires in no time");
}

/// A scan returns each key of every organization once, by the bytes of its id.
pub(crate) async fn a_scan_shows_every_key_once_by_id(bed: Arc<Bed>) {
    let mut keys: Vec<_> = (0..40).map(|n| bed.key(&bed.organization(&format!("organization {}", n % 3)))).collect();
    for (n, key) in keys.iter_mut().enumerate() {
        key.id = KeyId::new(format!("{}{}{n}", bed.tag(), ["A", "a", "_", "-", ".", "Z", "z", "0"][n % 8])).unwrap();
        key.created_at = bed.at(-(n as i64 * 7 % 5));
    }
    keys[3].revoked = Some(Revocation { at: bed.now(), by: actor("carol"), reason: String::new() });
    keys[4].expires_at = Some(bed.at(-100));
    bed.insert(&keys).await;
    keys.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    for size in [7, 40, 1_000] {
        let (mut scanned, mut after, mut seen) = (Vec::new(), None, BTreeSet::new());
        loop {
            let page = bed.store.scan(after.as_ref(), size).await.unwrap();
            assert!(page.len() <= size, "a page of at most {size} keys has {}", page.len());
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for key in page {
                if !seen.insert(key.id.clone()) {
                    panic!("a key was scanned twice");
                }
                scanned.push(key);
            }
        }
        scanned.retain(|key: &KeyRecord| key.id.as_str().starts_with(&bed.tag()));
        assert_eq!(ids(&scanned), ids(&keys), "the keys in the order of a scan, {size} at a time");
        assert_eq!(scanned, keys, "the records of a scan, {size} at a time");
    }
}

/// Returns a key with an hour of usage, a request and an event of now, and the time long ago before which data is
/// pruned.
async fn old(bed: &Bed) -> (KeyRecord, Timestamp) {
    let key = bed.key(&bed.organization("ours"));
    let event = bed.event(&key.organization, Action::KeyIssued, &key.id);
    bed.commit(&key.organization, [insertion(&key), Change::Audit(event)]).await.unwrap();
    bed.store.add_usage(&bed.batch([bed.used(&key, 1, 1)])).await.unwrap();
    bed.store.add_activity(&[request(bed, &key, 0)]).await.unwrap();
    (key, bed.at(LONG_AGO))
}
