//! Lists have an order, pages and filters, the same in every store.

use std::sync::Arc;

use apikey_core::{KeyId, Timestamp};

use crate::{
    account::ServiceAccountId,
    conformance::{
        bed::{Bed, Sequence, actor, ids, pages, place_of_key, switched},
        outcome::{Failure, Outcome, ensure, same},
    },
    organization::OrganizationId,
    query::{Cursor, KeyFilter, KeyQuery},
    record::{KeyHead, KeyRecord, Revocation, SecretRecord, Status},
};

/// Ids that databases sort in different ways, unless they are told to compare bytes.
const TAILS: [&str; 8] = ["-", ".", "0", "A", "B", "_", "a", "b"];

pub(in crate::conformance) async fn given_keys_when_listed_then_the_newest_come_first_and_ids_order_the_rest(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let mut keys = Vec::new();
    for at in [3, 1, 2] {
        for tail in TAILS {
            let mut key = bed.key(&ours);
            key.id = KeyId::new(format!("{}.{at}{tail}", bed.tag()))?;
            key.created_at = bed.at(-at);
            keys.push(key);
        }
    }
    bed.insert(&keys).await?;
    keys.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    let listed = bed.store.keys(&bed.every_key(&ours)).await?;
    same!(ids(&listed), ids(&keys), "the keys in the order of a list");
    same!(listed, keys, "the records in a list");
    Ok(())
}

pub(in crate::conformance) async fn given_keys_when_a_list_ends_at_a_place_then_what_comes_after_is_left_out(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let mut keys: Vec<_> = (0..20).map(|_| bed.key(&ours)).collect();
    for (n, key) in keys.iter_mut().enumerate() {
        key.created_at = bed.at(-(n as i64 / 6));
    }
    bed.insert(&keys).await?;
    bed.insert(&[bed.key(&bed.organization("theirs"))]).await?;
    keys.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    for (skipped, count) in [(0usize, 1usize), (0, 6), (0, 7), (0, 20), (3, 5), (3, 17)] {
        let after = skipped.checked_sub(1).map(|last| place_of_key(&keys[last]));
        let place = bed.store.place(&ours, after.as_ref(), count).await?;
        same!(place, Some(place_of_key(&keys[skipped + count - 1])), "the place {count} after {skipped}");
        let filter = KeyFilter { down_to: place, ..KeyFilter::default() };
        let listed = bed.store.keys(&KeyQuery { filter, after, ..bed.every_key(&ours) }).await?;
        same!(ids(&listed), ids(&keys[skipped..skipped + count]), "the keys down to a place");
    }
    for (after, count) in [(None, 21), (Some(place_of_key(&keys[19])), 1)] {
        same!(bed.store.place(&ours, after.as_ref(), count).await?, None, "a place beyond the last");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_equal_times_when_paged_then_every_key_comes_once(bed: Arc<Bed>) -> Outcome {
    let ours = bed.organization("ours");
    let mut keys: Vec<_> = (0..40).map(|_| bed.key(&ours)).collect();
    for (n, key) in keys.iter_mut().enumerate() {
        key.created_at = bed.at(-(n as i64 / 17));
        key.environment = Some(if n % 3 == 0 { "test" } else { "live" }.to_owned());
        key.id = KeyId::new(format!("{}.{}{}", bed.tag(), TAILS[n % 8], n))?;
    }
    bed.insert(&keys).await?;
    keys.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    for size in [1, 2, 7, 39, 40, 41] {
        for environment in [None, Some("live".to_owned())] {
            let expected: Vec<_> =
                keys.iter().filter(|key| environment.is_none() || key.environment == environment).cloned().collect();
            let query = KeyQuery {
                filter: KeyFilter { environment, ..KeyFilter::default() },
                limit: size,
                ..bed.every_key(&ours)
            };
            let read = |after| {
                let query = KeyQuery { after, ..query.clone() };
                let bed = &bed;
                async move { bed.store.keys(&query).await }
            };
            let paged = pages(size, read, place_of_key).await?;
            same!(ids(&paged), ids(&expected), "all pages of {size} keys");
        }
    }
    let beyond = Cursor { at: bed.at(-10), id: "0".to_owned() };
    let query = KeyQuery { after: Some(beyond), ..bed.every_key(&ours) };
    ensure!(bed.store.keys(&query).await?.is_empty(), "the page after the last key is empty");
    Ok(())
}

pub(in crate::conformance) async fn given_generated_keys_when_filtered_by_status_then_as_the_model_does(
    bed: Arc<Bed>,
) -> Outcome {
    let filters = Status::ALL.map(|status| KeyFilter { status: Some(status), ..KeyFilter::default() });
    agrees_with_the_model(&bed, &filters).await
}

pub(in crate::conformance) async fn given_generated_keys_when_filtered_by_environment_then_as_the_model_does(
    bed: Arc<Bed>,
) -> Outcome {
    let filters = ["live", "test", "LIVE", "nowhere", ""]
        .map(|environment| KeyFilter { environment: Some(environment.to_owned()), ..KeyFilter::default() });
    agrees_with_the_model(&bed, &filters).await
}

pub(in crate::conformance) async fn given_generated_keys_when_filtered_by_account_then_as_the_model_does(
    bed: Arc<Bed>,
) -> Outcome {
    let filters =
        account_ids(&bed)?.map(|account| KeyFilter { service_account: Some(account), ..KeyFilter::default() });
    agrees_with_the_model(&bed, &filters).await
}

pub(in crate::conformance) async fn given_generated_keys_when_filtered_by_creator_then_as_the_model_does(
    bed: Arc<Bed>,
) -> Outcome {
    let filters = ["alice", "bob", "Alice", "nobody"]
        .map(|name| KeyFilter { created_by: Some(actor(name)), ..KeyFilter::default() });
    agrees_with_the_model(&bed, &filters).await
}

pub(in crate::conformance) async fn given_generated_keys_when_filtered_by_creating_key_then_as_the_model_does(
    bed: Arc<Bed>,
) -> Outcome {
    let filters = creating_keys(&bed)?.map(|id| KeyFilter { created_by_key: Some(id), ..KeyFilter::default() });
    agrees_with_the_model(&bed, &filters).await
}

pub(in crate::conformance) async fn given_generated_keys_when_filtered_by_several_things_then_all_must_hold(
    bed: Arc<Bed>,
) -> Outcome {
    let mut sequence = Sequence(2_718_281_828);
    let (accounts, creators) = (account_ids(&bed)?, creating_keys(&bed)?);
    let filters: Vec<_> = (0..60)
        .map(|_| {
            let s = &mut sequence;
            let status = *s.pick(&Status::ALL);
            let environment = (*s.pick(&["live", "test"])).to_owned();
            let (account, creator) = (s.pick(&accounts).clone(), s.pick(&creators).clone());
            let (name, text) = (*s.pick(&["alice", "bob"]), *s.pick(&["deploy", "é", "7fQ2", "staging"]));
            KeyFilter {
                status: s.maybe(status),
                environment: s.maybe(environment),
                service_account: s.maybe(account),
                created_by: s.maybe(actor(name)),
                created_by_key: s.maybe(creator),
                text: s.maybe(text.to_owned()),
                down_to: s.maybe(Cursor { at: bed.at(-1_010), id: bed.tag().to_owned() }),
            }
        })
        .collect();
    agrees_with_the_model(&bed, &filters).await
}

pub(in crate::conformance) async fn given_generated_keys_when_listed_within_a_change_then_as_the_model_does(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let mut keys = generated(&bed, &ours)?;
    keys.extend((0..400).map(|_| bed.key(&ours)));
    bed.insert(&keys).await?;
    bed.insert(&[bed.key(&bed.organization("theirs"))]).await?;
    let filters = [
        KeyFilter::default(),
        KeyFilter { status: Some(Status::Rotating), ..KeyFilter::default() },
        KeyFilter { environment: Some("live".to_owned()), ..KeyFilter::default() },
        KeyFilter { service_account: account_ids(&bed)?.into_iter().next(), ..KeyFilter::default() },
        KeyFilter { created_by: Some(actor("bob")), ..KeyFilter::default() },
        KeyFilter { created_by_key: creating_keys(&bed)?.into_iter().next(), ..KeyFilter::default() },
        KeyFilter { text: Some("deploy".to_owned()), ..KeyFilter::default() },
    ];
    let mut change = bed.store.begin(&ours).await?;
    for filter in filters {
        for now in moments(&bed) {
            let mut ids = change.ids(&filter, now).await?;
            ids.sort_unstable();
            let mut expected: Vec<_> = keys.iter().filter(|key| filter.matches(key, now)).map(KeyHead::from).collect();
            expected.sort_by(|a, b| a.id.cmp(&b.id));
            let expected_ids: Vec<_> = expected.iter().map(|key| key.id.clone()).collect();
            same!(ids, expected_ids, "the keys that pass {filter:?} within a change");
            let mut heads = change.heads(&ids).await?;
            heads.sort_by(|a, b| a.id.cmp(&b.id));
            same!(heads, expected, "the heads of the keys that pass {filter:?}");
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn given_accounts_when_listed_then_the_newest_come_first_in_pages_without_gaps(
    bed: Arc<Bed>,
) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let mut accounts: Vec<_> = (0..20).map(|_| bed.account(&ours)).collect();
    for (n, account) in accounts.iter_mut().enumerate() {
        account.created_at = bed.at(-(n as i64 / 9));
        account.id = ServiceAccountId::new(format!("{}.{}{n}", bed.tag(), TAILS[n % 8]))?;
        account.description = format!("number {n}");
        bed.insert_account(account).await?;
    }
    bed.insert_account(&bed.account(&theirs)).await?;
    accounts.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    same!(bed.store.accounts(&bed.every_account(&ours)).await?, accounts, "the accounts in the order of a list");
    for size in [1, 3, 20, 21] {
        let read = |after| {
            let query = crate::query::AccountQuery { after, limit: size, ..bed.every_account(&ours) };
            let bed = &bed;
            async move { bed.store.accounts(&query).await }
        };
        let place = |account: &crate::account::ServiceAccount| Cursor {
            at: account.created_at,
            id: account.id.as_str().to_owned(),
        };
        same!(pages(size, read, place).await?, accounts, "all pages of {size} accounts");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_generated_keys_when_counted_then_those_that_are_over_do_not_count(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let keys = generated(&bed, &ours)?;
    bed.insert(&keys).await?;
    bed.insert(&[bed.key(&bed.organization("theirs"))]).await?;
    let account = bed.account(&ours);
    for account in [&account, &bed.account(&ours), &bed.account(&bed.organization("theirs"))] {
        bed.insert_account(account).await?;
    }
    for now in moments(&bed) {
        let expected = crate::store::Counts {
            keys: keys.iter().filter(|key| key.status(now).is_counted()).count() as u64,
            service_accounts: 2,
        };
        same!(bed.store.counts(&ours, now).await?, expected, "what is counted");
        same!(bed.store.begin(&ours).await?.counts(now).await?, expected, "what is counted within a change");
    }
    let deletions =
        [crate::store::Change::DeleteAccount(account.id), crate::store::Change::DeleteKey(keys[0].id.clone())];
    bed.commit(&ours, deletions).await?;
    same!(bed.store.counts(&ours, bed.now()).await?.service_accounts, 1, "the accounts after one was deleted");
    let empty = bed.store.counts(&bed.organization("nobody's"), bed.now()).await?;
    same!(empty, crate::store::Counts::default(), "the counts of an organization without anything");
    Ok(())
}

/// Puts generated keys in and asks for them by each filter, at several moments.
async fn agrees_with_the_model(bed: &Bed, filters: &[KeyFilter]) -> Outcome {
    let ours = bed.organization("ours");
    let keys = generated(bed, &ours)?;
    bed.insert(&keys).await?;
    bed.insert(&generated(bed, &bed.organization("theirs"))?).await?;
    let mut sorted = keys;
    sorted.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    for filter in filters {
        for now in moments(bed) {
            let query = KeyQuery { filter: filter.clone(), now, ..bed.every_key(&ours) };
            let listed = bed.store.keys(&query).await?;
            let expected: Vec<_> = sorted.iter().filter(|key| filter.matches(key, now)).cloned().collect();
            same!(ids(&listed), ids(&expected), "the keys that pass {filter:?}");
            same!(listed, expected, "the records that pass {filter:?}");
        }
    }
    Ok(())
}

/// Just before, at and after the moments at which generated keys begin and end, and now.
fn moments(bed: &Bed) -> [Timestamp; 5] {
    [bed.at(-101), bed.at(-100), bed.now(), bed.at(100), bed.at(101)]
}

fn account_ids(bed: &Bed) -> Result<[ServiceAccountId; 2], Failure> {
    let id = |n: u8| ServiceAccountId::new(format!("sa_{}-{n}", bed.tag()));
    Ok([id(0)?, id(1)?])
}

fn creating_keys(bed: &Bed) -> Result<[KeyId; 2], Failure> {
    Ok([KeyId::new(format!("{}-root-0", bed.tag()))?, KeyId::new(format!("{}-root-1", bed.tag()))?])
}

/// Keys of every kind, always the same but for their ids and digests.
fn generated(bed: &Bed, organization: &OrganizationId) -> Result<Vec<KeyRecord>, Failure> {
    let mut sequence = Sequence(3_141_592_653);
    let (accounts, creators) = (account_ids(bed)?, creating_keys(bed)?);
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
    Ok((0..200).map(make).collect())
}
