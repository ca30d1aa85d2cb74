//! Lists have the same order, pages and filters in every store.

use std::sync::Arc;

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{
    Cursor, KeyFilter, KeyHead, KeyQuery, KeyRecord, OrganizationId, Revocation, SecretRecord, ServiceAccountId, Status,
};

use crate::bed::{Bed, Sequence, actor, ids, made, pages, place_of_key, switched};

/// Ids that databases sort differently unless they compare bytes.
const TAILS: [&str; 8] = ["-", ".", "0", "A", "B", "_", "a", "b"];

/// Keys are listed newest first, then by the bytes of their ids.
pub(crate) async fn the_newest_key_comes_first_and_ids_order_ties(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut keys = Vec::new();
    for at in [3, 1, 2] {
        for tail in TAILS {
            let mut key = bed.key(&ours);
            key.id = KeyId::new(format!("{}.{at}{tail}", bed.tag())).unwrap();
            key.created_at = bed.at(-at);
            keys.push(key);
        }
    }
    bed.insert(&keys).await;
    keys.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    let listed = bed.store.keys(&bed.every_key(&ours)).await.unwrap();
    assert_eq!(ids(&listed), ids(&keys), "the keys in the order of a list");
    assert_eq!(listed, keys, "the records in a list");
}

/// The place of the n-th key is found, and a list down to it ends with that key.
pub(crate) async fn a_list_ends_at_a_given_place(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut keys: Vec<_> = (0..20).map(|_| bed.key(&ours)).collect();
    for (n, key) in keys.iter_mut().enumerate() {
        key.created_at = bed.at(-(n as i64 / 6));
    }
    bed.insert(&keys).await;
    bed.insert(&[bed.key(&bed.organization("theirs"))]).await;
    keys.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    for (skipped, count) in [(0usize, 1usize), (0, 6), (0, 7), (0, 20), (3, 5), (3, 17)] {
        let after = skipped.checked_sub(1).map(|last| place_of_key(&keys[last]));
        let place = bed.store.place(&ours, after.as_ref(), count).await.unwrap();
        assert_eq!(place, Some(place_of_key(&keys[skipped + count - 1])), "the place {count} after {skipped}");
        let filter = made(|it: &mut KeyFilter| it.down_to = place);
        let listed = bed.store.keys(&KeyQuery { filter, after, ..bed.every_key(&ours) }).await.unwrap();
        assert_eq!(ids(&listed), ids(&keys[skipped..skipped + count]), "the keys down to a place");
    }
    for (after, count) in [(None, 21), (Some(place_of_key(&keys[19])), 1)] {
        assert_eq!(bed.store.place(&ours, after.as_ref(), count).await.unwrap(), None, "a place beyond the last");
    }
}

/// Pages omit and repeat no key, even if times are equal.
pub(crate) async fn pages_show_keys_of_one_moment_once(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut keys: Vec<_> = (0..40).map(|_| bed.key(&ours)).collect();
    for (n, key) in keys.iter_mut().enumerate() {
        key.created_at = bed.at(-(n as i64 / 17));
        key.environment = Some(if n % 3 == 0 { "test" } else { "live" }.to_owned());
        key.id = KeyId::new(format!("{}.{}{}", bed.tag(), TAILS[n % 8], n)).unwrap();
    }
    bed.insert(&keys).await;
    keys.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    for size in [1, 2, 7, 39, 40, 41] {
        for environment in [None, Some("live".to_owned())] {
            let expected: Vec<_> =
                keys.iter().filter(|key| environment.is_none() || key.environment == environment).cloned().collect();
            let query = KeyQuery {
                filter: made(|it: &mut KeyFilter| it.environment = environment),
                limit: size,
                ..bed.every_key(&ours)
            };
            let read = |after| {
                let query = KeyQuery { after, ..query.clone() };
                let bed = &bed;
                async move { bed.store.keys(&query).await }
            };
            let paged = pages(size, read, place_of_key).await;
            assert_eq!(ids(&paged), ids(&expected), "all pages of {size} keys");
        }
    }
    let beyond = Cursor { at: bed.at(-10), id: "0".to_owned() };
    let query = KeyQuery { after: Some(beyond), ..bed.every_key(&ours) };
    assert!(bed.store.keys(&query).await.unwrap().is_empty(), "the page after the last key is empty");
}

/// Filtering by status agrees with `KeyFilter::matches`, at any time.
pub(crate) async fn keys_are_filtered_by_status(bed: Arc<Bed>) {
    let filters = Status::ALL.map(|status| made(|it: &mut KeyFilter| it.status = Some(status)));
    agrees_with_the_model(&bed, &filters).await;
}

/// Filtering by environment agrees with `KeyFilter::matches`.
pub(crate) async fn keys_are_filtered_by_environment(bed: Arc<Bed>) {
    let filters = ["live", "test", "LIVE", "nowhere", ""]
        .map(|environment| made(|it: &mut KeyFilter| it.environment = Some(environment.to_owned())));
    agrees_with_the_model(&bed, &filters).await;
}

/// Filtering by service account agrees with `KeyFilter::matches`.
pub(crate) async fn keys_are_filtered_by_account(bed: Arc<Bed>) {
    let filters = account_ids(&bed).map(|account| made(|it: &mut KeyFilter| it.service_account = Some(account)));
    agrees_with_the_model(&bed, &filters).await;
}

/// Filtering by issuer agrees with `KeyFilter::matches`.
pub(crate) async fn keys_are_filtered_by_creator(bed: Arc<Bed>) {
    let filters =
        ["alice", "bob", "Alice", "nobody"].map(|name| made(|it: &mut KeyFilter| it.created_by = Some(actor(name))));
    agrees_with_the_model(&bed, &filters).await;
}

/// Filtering by the key that issued a key agrees with `KeyFilter::matches`.
pub(crate) async fn keys_are_filtered_by_creating_key(bed: Arc<Bed>) {
    let filters = creating_keys(&bed).map(|id| made(|it: &mut KeyFilter| it.created_by_key = Some(id)));
    agrees_with_the_model(&bed, &filters).await;
}

/// Several filters must all match.
pub(crate) async fn several_filters_must_all_hold(bed: Arc<Bed>) {
    let mut sequence = Sequence(2_718_281_828);
    let (accounts, creators) = (account_ids(&bed), creating_keys(&bed));
    let filters: Vec<_> = (0..60)
        .map(|_| {
            let s = &mut sequence;
            let status = *s.pick(&Status::ALL);
            let environment = (*s.pick(&["live", "test"])).to_owned();
            let (account, creator) = (s.pick(&accounts).clone(), s.pick(&creators).clone());
            let (name, text) = (*s.pick(&["alice", "bob"]), *s.pick(&["deploy", "é", "7fQ2", "staging"]));
            made(|it: &mut KeyFilter| {
                it.status = s.maybe(status);
                it.environment = s.maybe(environment);
                it.service_account = s.maybe(account);
                it.created_by = s.maybe(actor(name));
                it.created_by_key = s.maybe(creator);
                it.text = s.maybe(text.to_owned());
                it.down_to = s.maybe(Cursor { at: bed.at(-1_010), id: bed.tag().to_owned() });
            })
        })
        .collect();
    agrees_with_the_model(&bed, &filters).await;
}

/// A transaction lists all matching keys, however many.
pub(crate) async fn keys_are_listed_within_a_change(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut keys = generated(&bed, &ours);
    keys.extend((0..400).map(|_| bed.key(&ours)));
    bed.insert(&keys).await;
    bed.insert(&[bed.key(&bed.organization("theirs"))]).await;
    let filters = [
        KeyFilter::default(),
        made(|it: &mut KeyFilter| it.status = Some(Status::Rotating)),
        made(|it: &mut KeyFilter| it.environment = Some("live".to_owned())),
        made(|it: &mut KeyFilter| it.service_account = account_ids(&bed).into_iter().next()),
        made(|it: &mut KeyFilter| it.created_by = Some(actor("bob"))),
        made(|it: &mut KeyFilter| it.created_by_key = creating_keys(&bed).into_iter().next()),
        made(|it: &mut KeyFilter| it.text = Some("deploy".to_owned())),
    ];
    let mut change = bed.store.begin(&ours).await.unwrap();
    for filter in filters {
        for now in moments(&bed) {
            let mut ids = change.ids(&filter, now).await.unwrap();
            ids.sort_unstable();
            let mut expected: Vec<_> = keys.iter().filter(|key| filter.matches(key, now)).map(KeyHead::from).collect();
            expected.sort_by(|a, b| a.id.cmp(&b.id));
            let expected_ids: Vec<_> = expected.iter().map(|key| key.id.clone()).collect();
            assert_eq!(ids, expected_ids, "the keys that pass {filter:?} within a change");
            let mut heads = change.heads(&ids).await.unwrap();
            heads.sort_by(|a, b| a.id.cmp(&b.id));
            assert_eq!(heads, expected, "the heads of the keys that pass {filter:?}");
        }
    }
}

/// Service accounts are listed newest first, in pages without gaps.
pub(crate) async fn pages_of_accounts_have_no_gaps(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let mut accounts: Vec<_> = (0..20).map(|_| bed.account(&ours)).collect();
    for (n, account) in accounts.iter_mut().enumerate() {
        account.created_at = bed.at(-(n as i64 / 9));
        account.id = ServiceAccountId::new(format!("{}.{}{n}", bed.tag(), TAILS[n % 8])).unwrap();
        account.description = format!("number {n}");
        bed.insert_account(account).await;
    }
    bed.insert_account(&bed.account(&theirs)).await;
    accounts.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    assert_eq!(
        bed.store.accounts(&bed.every_account(&ours)).await.unwrap(),
        accounts,
        "the accounts in the order of a list"
    );
    for size in [1, 3, 20, 21] {
        let read = |after| {
            let query = apikey_manager::AccountQuery { after, limit: size, ..bed.every_account(&ours) };
            let bed = &bed;
            async move { bed.store.accounts(&query).await }
        };
        let place = |account: &apikey_manager::ServiceAccount| Cursor {
            at: account.created_at,
            id: account.id.as_str().to_owned(),
        };
        assert_eq!(pages(size, read, place).await, accounts, "all pages of {size} accounts");
    }
}

/// Keys that are revoked or expired at the time don't count, and all others do.
pub(crate) async fn expired_and_revoked_keys_do_not_count(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let keys = generated(&bed, &ours);
    bed.insert(&keys).await;
    bed.insert(&[bed.key(&bed.organization("theirs"))]).await;
    let account = bed.account(&ours);
    for account in [&account, &bed.account(&ours), &bed.account(&bed.organization("theirs"))] {
        bed.insert_account(account).await;
    }
    for now in moments(&bed) {
        let expected = apikey_manager::Counts {
            keys: keys.iter().filter(|key| key.status(now).is_counted()).count() as u64,
            service_accounts: 2,
        };
        assert_eq!(bed.store.counts(&ours, now).await.unwrap(), expected, "what is counted");
        assert_eq!(
            bed.store.begin(&ours).await.unwrap().counts(now).await.unwrap(),
            expected,
            "what is counted within a change"
        );
    }
    let deletions =
        [apikey_manager::Change::DeleteAccount(account.id), apikey_manager::Change::DeleteKey(keys[0].id.clone())];
    bed.commit(&ours, deletions).await.unwrap();
    assert_eq!(
        bed.store.counts(&ours, bed.now()).await.unwrap().service_accounts,
        1,
        "the accounts after one was deleted"
    );
    let empty = bed.store.counts(&bed.organization("nobody's"), bed.now()).await.unwrap();
    assert_eq!(empty, apikey_manager::Counts::default(), "the counts of an organization without anything");
}

/// Inserts generated keys and queries them with each filter, at several times.
async fn agrees_with_the_model(bed: &Bed, filters: &[KeyFilter]) {
    let ours = bed.organization("ours");
    let keys = generated(bed, &ours);
    bed.insert(&keys).await;
    bed.insert(&generated(bed, &bed.organization("theirs"))).await;
    let mut sorted = keys;
    sorted.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    for filter in filters {
        for now in moments(bed) {
            let query = KeyQuery { filter: filter.clone(), now, ..bed.every_key(&ours) };
            let listed = bed.store.keys(&query).await.unwrap();
            let expected: Vec<_> = sorted.iter().filter(|key| filter.matches(key, now)).cloned().collect();
            assert_eq!(ids(&listed), ids(&expected), "the keys that pass {filter:?}");
            assert_eq!(listed, expected, "the records that pass {filter:?}");
        }
    }
}

/// Returns the times just before, at and after each beginning and end of generated keys, and now.
fn moments(bed: &Bed) -> [Timestamp; 5] {
    [bed.at(-101), bed.at(-100), bed.now(), bed.at(100), bed.at(101)]
}

fn account_ids(bed: &Bed) -> [ServiceAccountId; 2] {
    let id = |n: u8| ServiceAccountId::new(format!("sa_{}-{n}", bed.tag()));
    [id(0).unwrap(), id(1).unwrap()]
}

fn creating_keys(bed: &Bed) -> [KeyId; 2] {
    [0, 1].map(|n| KeyId::new(format!("{}-root-{n}", bed.tag())).unwrap())
}

/// Returns keys of every kind, always the same except for their ids and digests.
fn generated(bed: &Bed, organization: &OrganizationId) -> Vec<KeyRecord> {
    let mut sequence = Sequence(3_141_592_653);
    let (accounts, creators) = (account_ids(bed), creating_keys(bed));
    let ends = [-101, -100, -99, 0, 1, 100, 101];
    let make = |n: usize| {
        let s = &mut sequence;
        let mut key = bed.key(organization);
        key.created_at = bed.at(-(n as i64 % 25) - 1_000);
        key.name = (*s.pick(&["deploy", "Deploy é", "ci", "STAGING"])).to_owned();
        key.description = (*s.pick(&["", "deploys to staging", "É", "nightly"])).to_owned();
        key.hint = (*s.pick(&["", "tsk_live_7fQ2…9dKp", "tsk_test_aaaa…zzzz"])).to_owned();
        let environment = (*s.pick(&["live", "test"])).to_owned();
        key.environment = s.maybe(environment);
        let (account, creator) = (s.pick(&accounts).clone(), s.pick(&creators).clone());
        key.service_account = s.maybe(account);
        key.created_by_key = s.maybe(creator);
        key.created_by = if s.below(2) == 0 { actor("alice") } else { actor("bob") };
        let (start, end) = (*s.pick(&ends), *s.pick(&ends));
        key.not_before = s.maybe(bed.at(start));
        key.expires_at = s.maybe(bed.at(end));
        key.disabled = (s.below(5) == 0).then(|| switched(bed.at(-50)));
        let revoked = Revocation { at: bed.at(-40), by: actor("bob"), reason: String::new() };
        key.revoked = (s.below(8) == 0).then_some(revoked);
        if s.below(2) == 0 {
            let mut older = SecretRecord::new(bed.digest(), bed.at(-2_000));
            older.superseded_at = Some(bed.at(-1_500));
            let end = *s.pick(&ends);
            older.ends_at = s.maybe(bed.at(end));
            key.secrets.push(older);
        }
        key
    };
    (0..200).map(make).collect()
}
