//! Keys that are unused, about to expire or due for rotation, and lists in the order of use and expiry.

use std::{sync::Arc, time::Duration};

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{KeyFilter, KeyQuery, KeyRecord, KeySort, OrganizationId, SecretRecord, UsageRow};

use crate::bed::{Bed, Sequence, ids, made, pages};

/// Times of use, expiry and creation: few, so that many keys share one.
const MOMENTS: [i64; 5] = [-300, -200, -100, 100, 200];

/// Filtering by last use agrees with `KeyFilter::matches`.
pub(crate) async fn keys_are_filtered_by_last_use(bed: Arc<Bed>) {
    agrees(&bed, |at| made(|it: &mut KeyFilter| it.last_used_before = Some(at))).await;
}

/// Filtering by whether a key was ever used agrees with `KeyFilter::matches`.
pub(crate) async fn unused_keys_are_found(bed: Arc<Bed>) {
    let now = bed.now();
    agrees(&bed, |at| made(|it: &mut KeyFilter| it.unused = Some(at < now))).await;
}

/// Filtering by expiry agrees with `KeyFilter::matches`.
pub(crate) async fn keys_are_filtered_by_expiry(bed: Arc<Bed>) {
    agrees(&bed, |at| made(|it: &mut KeyFilter| it.expires_before = Some(at))).await;
}

/// Filtering by the age of the newest secret agrees with `KeyFilter::matches`.
pub(crate) async fn keys_are_filtered_by_age_of_their_secret(bed: Arc<Bed>) {
    let start = bed.at(-300);
    agrees(&bed, |at| {
        made(|it: &mut KeyFilter| {
            it.rotation_due = Some(Duration::from_millis((at.as_millis() - start.as_millis()) as u64))
        })
    })
    .await;
}

/// Pages in the order of expiry omit and repeat no key; keys without an expiry come last.
pub(crate) async fn pages_by_expiry_show_every_key_once(bed: Arc<Bed>) {
    let keys = pages_agree(&bed, KeySort::Expiry).await;
    assert!(keys[0].expires_at.is_some() && keys[keys.len() - 1].expires_at.is_none());
}

/// Pages in the order of last use omit and repeat no key; keys that were never used come first.
pub(crate) async fn pages_by_last_use_show_every_key_once(bed: Arc<Bed>) {
    let keys = pages_agree(&bed, KeySort::LastUse).await;
    assert!(keys[0].last_used_at.is_none() && keys[keys.len() - 1].last_used_at.is_some());
}

/// Inserts keys, uses some, and returns all as stored.
async fn stored(bed: &Bed, organization: &OrganizationId) -> Vec<KeyRecord> {
    let mut sequence = Sequence(1_414_213_562);
    let mut keys: Vec<_> = (0..60).map(|_| bed.key(organization)).collect();
    for (n, key) in keys.iter_mut().enumerate() {
        let mut moment = || bed.at(*sequence.pick(&MOMENTS));
        let (created, used, expiry) = (moment(), moment(), moment());
        key.id = KeyId::new(format!("{}.{}", ["a", "B", "_", "Z"][n % 4], bed.unique())).unwrap();
        key.created_at = bed.at(-400 - (n as i64 % 7));
        key.secrets[0].created_at = created;
        if n % 3 == 0 {
            key.secrets.push(SecretRecord::new(bed.digest(), bed.at(-400)));
        }
        key.expires_at = (n % 5 > 0).then_some(expiry);
        key.last_used_at = (n % 4 == 1).then_some(used);
    }
    bed.insert(&keys).await;
    // Some are used after they were inserted, with their oldest secret.
    let used = keys.iter().enumerate().filter(|(n, _)| n % 4 == 2 || n % 8 == 1).map(|(n, key)| UsageRow {
        last_used: vec![(key.secrets[key.secrets.len() - 1].digest.clone(), bed.at(MOMENTS[n % 5]))],
        ..bed.used(key, 1, 0)
    });
    bed.store.add_usage(&bed.batch(used)).await.unwrap();
    let mut stored = Vec::new();
    for key in &keys {
        stored.push(bed.stored(key).await);
    }
    stored
}

/// Returns the matching keys, in the order of a list.
fn expected(keys: &[KeyRecord], filter: &KeyFilter, sort: KeySort, now: Timestamp) -> Vec<KeyRecord> {
    let mut keys: Vec<_> = keys.iter().filter(|key| filter.matches(key, now)).cloned().collect();
    keys.sort_by(|a, b| sort.compare(&sort.place(a), &sort.place(b)));
    keys
}

/// Checks the filters for several times against the model, in every order and within a transaction.
async fn agrees(bed: &Bed, filter: impl Fn(Timestamp) -> KeyFilter) {
    let ours = bed.organization("ours");
    let keys = stored(bed, &ours).await;
    stored(bed, &bed.organization("theirs")).await;
    let mut found = 0;
    for at in MOMENTS.into_iter().flat_map(|at| [at, at + 1]).chain([500]) {
        let filter = filter(bed.at(at));
        for sort in [KeySort::Created, KeySort::Expiry, KeySort::LastUse] {
            let query = KeyQuery { filter: filter.clone(), sort, ..bed.every_key(&ours) };
            let listed = bed.store.keys(&query).await.unwrap();
            let expected = expected(&keys, &filter, sort, query.now);
            assert_eq!(ids(&listed), ids(&expected), "the keys that pass {filter:?}, by {sort:?}");
            assert_eq!(listed, expected, "the records that pass {filter:?}");
            found += usize::from(!listed.is_empty() && listed.len() < keys.len());
        }
        let mut within = bed.store.begin(&ours).await.unwrap().ids(&filter, bed.now()).await.unwrap();
        within.sort_unstable();
        let mut expected: Vec<_> = keys.iter().filter(|key| filter.matches(key, bed.now())).collect();
        expected.sort_by(|a, b| a.id.cmp(&b.id));
        assert!(within.iter().eq(expected.iter().map(|key| &key.id)), "the keys that pass {filter:?} within a change");
    }
    assert!(found > 0, "the filter finds some of the keys and not all");
}

/// Checks pages of every size against the model, and returns its keys.
async fn pages_agree(bed: &Bed, sort: KeySort) -> Vec<KeyRecord> {
    let ours = bed.organization("ours");
    let keys = stored(bed, &ours).await;
    stored(bed, &bed.organization("theirs")).await;
    let expected = expected(&keys, &KeyFilter::default(), sort, bed.now());
    for size in [1, 2, 7, 59, 60, 61] {
        let read = |after| {
            let query = KeyQuery { after, sort, limit: size, ..bed.every_key(&ours) };
            async move { bed.store.keys(&query).await }
        };
        let paged = pages(size, read, |key| sort.place(key)).await;
        assert_eq!(ids(&paged), ids(&expected), "all pages of {size} keys, by {sort:?}");
    }
    expected
}
