//! What jobs do over all organizations: prune, look for keys about to expire, look at every key.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use apikey_core::{KeyId, Timestamp};

use super::activity::{kept, request};
use crate::{
    audit::Action,
    conformance::{
        bed::{Bed, HOUR, actor, ids, insertion, switched},
        outcome::{Outcome, ensure, fail, same},
    },
    query::{Bucket, Prune, UsageOf, UsageQuery, UsageRow},
    record::{KeyRecord, Revocation},
    store::Change,
};

/// Older than what any other check makes.
const LONG_AGO: i64 = -10_000 * HOUR;

pub(in crate::conformance) async fn given_old_usage_when_pruned_then_days_go_as_a_whole(bed: Arc<Bed>) -> Outcome {
    let (key, _) = old(&bed).await?;
    let midnight = Bucket::Day.start(bed.at(LONG_AGO));
    let hours = [-30, -1, 0, 1, 5].map(|hour: i64| match hour < 0 {
        true => midnight - Bucket::Hour.length() * hour.unsigned_abs() as u32,
        false => midnight + Bucket::Hour.length() * hour as u32,
    });
    bed.store.add_usage(&bed.batch(hours.map(|hour| UsageRow { hour, ..bed.used(&key, 1, 1) }))).await?;
    let left = async |of: UsageOf, bucket| {
        let from = midnight - Bucket::Day.length() * 10;
        let query = UsageQuery { from, bucket, ..bed.all_usage(&key.organization, of) };
        bed.store.usage(&query).await.map(|usage| usage.into_iter().map(|one| (one.start, one.ok)).collect::<Vec<_>>())
    };
    // In the middle of a day nothing of that day goes, and so none of what it adds up to.
    let cases = [
        (midnight - Duration::from_millis(1), 1),
        (midnight, 2),
        (midnight + Duration::from_secs(6 * 3_600), 2),
        (midnight + Bucket::Day.length() - Duration::from_millis(1), 2),
    ];
    for (before, gone) in cases {
        let pruned = bed.store.prune(&Prune { usage_before: Some(before), ..Prune::default() }, bed.now()).await?;
        same!((pruned.activity, pruned.audit), (0, 0), "what else was removed");
        let expected: Vec<_> = hours[gone..].iter().chain([&bed.now()]).map(|hour| (*hour, 1)).collect();
        for of in [UsageOf::Key(key.id.clone()), UsageOf::Organization] {
            same!(left(of.clone(), Bucket::Hour).await?, expected, "the hours that are left of {of:?}");
            let days: Vec<_> = (gone < 2)
                .then(|| (midnight - Bucket::Day.length(), 1))
                .into_iter()
                .chain([(midnight, 3), (Bucket::Day.start(bed.now()), 1)])
                .collect();
            same!(left(of.clone(), Bucket::Day).await?, days, "the days that are left of {of:?}");
        }
    }
    let after = midnight + Bucket::Day.length();
    let pruned = bed.store.prune(&Prune { usage_before: Some(after), ..Prune::default() }, bed.now()).await?;
    ensure!(pruned.usage >= 3, "the number of hours that were removed is told");
    for bucket in [Bucket::Hour, Bucket::Day] {
        let expected = [(bucket.start(bed.now()), 1)];
        same!(left(UsageOf::Key(key.id.clone()), bucket).await?, expected, "what is left of the key's usage");
        same!(left(UsageOf::Organization, bucket).await?, expected, "what is left of the organization's usage");
    }
    same!(
        kept(&bed, &key).await?.len() + bed.store.audit(&bed.every_event(&key.organization)).await?.len(),
        2,
        "the activity and events that are left"
    );
    Ok(())
}

pub(in crate::conformance) async fn given_old_activity_when_pruned_then_younger_requests_stay(
    bed: Arc<Bed>,
) -> Outcome {
    let (key, moment) = old(&bed).await?;
    let requests = [-1, 0, 1].map(|seconds| request(&bed, &key, LONG_AGO + seconds));
    bed.store.add_activity(&requests).await?;
    let pruned = bed.store.prune(&Prune { activity_before: Some(moment), ..Prune::default() }, bed.now()).await?;
    ensure!(pruned.activity > 0, "the number of requests that were removed is told");
    same!((pruned.usage, pruned.audit), (0, 0), "what else was removed");
    let query = crate::query::ActivityQuery { from: bed.at(2 * LONG_AGO), ..super::activity::all(&bed, &key) };
    let left: Vec<_> = bed.store.activity(&query).await?.into_iter().map(|(_, request)| request.at).collect();
    same!(left, [bed.now(), bed.at(LONG_AGO + 1), moment], "the requests that are left");
    same!(bed.total(&key.organization, UsageOf::Organization).await?, (1, 1), "the usage that is left");
    Ok(())
}

pub(in crate::conformance) async fn given_old_events_when_pruned_then_younger_ones_stay(bed: Arc<Bed>) -> Outcome {
    let (key, moment) = old(&bed).await?;
    let mut events = [-1, 0, 1].map(|seconds| {
        let mut event = bed.event(&key.organization, Action::KeyUpdated, &key.id);
        event.at = bed.at(LONG_AGO + seconds);
        Change::Audit(event)
    });
    events.reverse();
    bed.commit(&key.organization, events).await?;
    let pruned = bed.store.prune(&Prune { audit_before: Some(moment), ..Prune::default() }, bed.now()).await?;
    ensure!(pruned.audit > 0, "the number of events that were removed is told");
    same!((pruned.usage, pruned.activity), (0, 0), "what else was removed");
    let events = bed.store.audit(&bed.every_event(&key.organization)).await?;
    let left: Vec<_> = events.into_iter().map(|event| event.at).collect();
    same!(left, [bed.now(), bed.at(LONG_AGO + 1), moment], "the events that are left");
    Ok(())
}

pub(in crate::conformance) async fn given_nothing_to_prune_when_pruned_then_everything_stays(bed: Arc<Bed>) -> Outcome {
    let (key, _) = old(&bed).await?;
    let ancient = Some(bed.at(100 * LONG_AGO));
    let asked = Prune { usage_before: ancient, activity_before: ancient, audit_before: ancient };
    let before = bed.dump(&[&key.organization]).await?;
    for prune in [Prune::default(), asked] {
        let pruned = bed.store.prune(&prune, bed.now()).await?;
        same!(pruned, crate::query::Pruned::default(), "what was removed");
        same!(bed.dump(&[&key.organization]).await?, before, "what is kept");
        same!(kept(&bed, &key).await?.len(), 1, "the activity that is kept");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_a_batch_when_pruned_within_a_day_then_its_id_is_still_known(
    bed: Arc<Bed>,
) -> Outcome {
    let key = bed.key(&bed.organization("ours"));
    bed.insert([&key]).await?;
    let batch = bed.batch([bed.used(&key, 1, 1)]);
    bed.store.add_usage(&batch).await?;
    for hours in [0, 1, 23] {
        bed.store.prune(&Prune::default(), bed.at(hours * HOUR)).await?;
        ensure!(!bed.store.add_usage(&batch).await?, "the id of a batch is known for a day, not just {hours} hours");
    }
    bed.store.prune(&Prune::default(), bed.at(25 * HOUR)).await?;
    ensure!(bed.store.add_usage(&batch).await?, "the id of a batch is forgotten when it is older than a day");
    Ok(())
}

pub(in crate::conformance) async fn given_keys_about_to_expire_when_asked_then_they_come_in_that_order(
    bed: Arc<Bed>,
) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    // A window that is this check's own, in a store that others have used.
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
    bed.insert(&keys).await?;
    let expected = [&keys[1], &keys[0], &keys[5], &keys[7], &keys[2]].map(Clone::clone);
    let due = bed.store.expiring(at(0), at(100), 1_000).await?;
    same!(ids(&due), ids(&expected), "the keys that expire in a span of time");
    same!(due, expected, "their records");
    same!(ids(&bed.store.expiring(at(0), at(100), 2).await?), ids(&expected[..2]), "the first two of them");
    ensure!(bed.store.expiring(at(100), at(100), 1_000).await?.is_empty(), "no key expires in no time");
    Ok(())
}

pub(in crate::conformance) async fn given_keys_of_every_organization_when_scanned_then_each_comes_once_by_id(
    bed: Arc<Bed>,
) -> Outcome {
    let mut keys: Vec<_> = (0..40).map(|n| bed.key(&bed.organization(&format!("organization {}", n % 3)))).collect();
    for (n, key) in keys.iter_mut().enumerate() {
        key.id = KeyId::new(format!("{}{}{n}", bed.tag(), ["A", "a", "_", "-", ".", "Z", "z", "0"][n % 8]))?;
        key.created_at = bed.at(-(n as i64 * 7 % 5));
    }
    keys[3].revoked = Some(Revocation { at: bed.now(), by: actor("carol"), reason: String::new() });
    keys[4].expires_at = Some(bed.at(-100));
    bed.insert(&keys).await?;
    keys.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    for size in [7, 40, 1_000] {
        let (mut scanned, mut after, mut seen) = (Vec::new(), None, BTreeSet::new());
        loop {
            let page = bed.store.scan(after.as_ref(), size).await?;
            ensure!(page.len() <= size, "a page of at most {size} keys has {}", page.len());
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for key in page {
                if !seen.insert(key.id.clone()) {
                    fail!("a key was scanned twice");
                }
                scanned.push(key);
            }
        }
        scanned.retain(|key: &KeyRecord| key.id.as_str().starts_with(&bed.tag()));
        same!(ids(&scanned), ids(&keys), "the keys in the order of a scan, {size} at a time");
        same!(scanned, keys, "the records of a scan, {size} at a time");
    }
    Ok(())
}

/// A key with an hour of usage, a request and an event of now; and the moment long ago before which is pruned.
async fn old(bed: &Bed) -> Result<(KeyRecord, Timestamp), crate::conformance::Failure> {
    let key = bed.key(&bed.organization("ours"));
    let event = bed.event(&key.organization, Action::KeyIssued, &key.id);
    bed.commit(&key.organization, [insertion(&key), Change::Audit(event)]).await?;
    bed.store.add_usage(&bed.batch([bed.used(&key, 1, 1)])).await?;
    bed.store.add_activity(&[request(bed, &key, 0)]).await?;
    Ok((key, bed.at(LONG_AGO)))
}
