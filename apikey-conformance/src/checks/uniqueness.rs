//! No two keys share a digest or an id, not even in different organizations or after a deletion.

use std::sync::Arc;

use apikey_manager::{Change, SecretRecord};

use crate::bed::{Bed, assert_conflict, insertion, update};

/// A digest belongs to one secret of one key across all organizations.
pub(crate) async fn a_taken_digest_is_refused_everywhere(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let mut key = bed.key(&ours);
    let older = SecretRecord::new(bed.digest(), bed.at(-10));
    key.secrets.push(older.clone());
    let other = bed.key(&theirs);
    bed.insert([&key, &other]).await;
    let before = bed.dump(&[&ours, &theirs]).await;
    for secret in key.secrets.clone() {
        for organization in [&ours, &theirs] {
            let mut copy = bed.key(organization);
            copy.secrets = vec![secret.clone()];
            assert_conflict(bed.commit(organization, [insertion(&copy)]).await, "a taken digest");
            let mut twofold = bed.key(organization);
            twofold.secrets.push(secret.clone());
            assert_conflict(bed.commit(organization, [insertion(&twofold)]).await, "a taken digest beside a new one");
        }
        let mut rotated = other.clone();
        rotated.secrets.insert(0, secret);
        assert_conflict(bed.commit(&theirs, [update(rotated)]).await, "another key's digest as a new secret");
    }
    assert_eq!(bed.dump(&[&ours, &theirs]).await, before, "what is kept after refusals");
}

/// One transaction can't give a digest to two keys.
pub(crate) async fn one_digest_twice_in_a_transaction_is_refused(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (first, mut second) = (bed.key(&ours), bed.key(&ours));
    second.secrets.clone_from(&first.secrets);
    assert_conflict(bed.commit(&ours, [insertion(&first), insertion(&second)]).await, "one digest for two keys");
    assert_eq!(bed.store.counts(&ours, bed.now()).await.unwrap().keys, 0, "the keys that there are");
}

/// An id belongs to one key across all organizations.
pub(crate) async fn a_taken_id_is_refused_everywhere(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    for organization in [&ours, &theirs] {
        let mut copy = bed.key(organization);
        copy.id = key.id.clone();
        assert_conflict(bed.commit(organization, [insertion(&copy)]).await, "a taken id");
    }
    assert_eq!(bed.stored(&key).await, key, "the key whose id was wanted");
    let account = bed.account(&ours);
    bed.insert_account(&account).await;
    assert_conflict(bed.commit(&ours, [Change::InsertAccount(account.clone())]).await, "a taken service account's id");
}

/// The digests of a deleted key can't be used again, in any organization.
pub(crate) async fn digests_of_a_deleted_key_are_refused(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (mut key, other) = (bed.key(&ours), bed.key(&theirs));
    key.secrets.push(SecretRecord::new(bed.digest(), bed.at(-10)));
    bed.insert([&key, &other]).await;
    bed.commit(&ours, [Change::DeleteKey(key.id.clone())]).await.unwrap();
    for secret in &key.secrets {
        for organization in [&ours, &theirs] {
            let mut copy = bed.key(organization);
            copy.secrets = vec![secret.clone()];
            assert_conflict(bed.commit(organization, [insertion(&copy)]).await, "the digest of a deleted key");
            let mut change = bed.store.begin(organization).await.unwrap();
            let asked = [bed.digest(), secret.digest.clone()];
            assert_eq!(
                change.taken(&asked).await.unwrap(),
                std::slice::from_ref(&secret.digest),
                "the digests that are taken"
            );
        }
        let mut rotated = other.clone();
        rotated.secrets.insert(0, secret.clone());
        assert_conflict(bed.commit(&theirs, [update(rotated)]).await, "the digest of a deleted key as a new secret");
        assert_eq!(bed.found_by(std::slice::from_ref(&secret.digest)).await.len(), 0, "keys found by it");
    }
}

/// The id of a deleted key can't be used again, in any organization.
pub(crate) async fn the_id_of_a_deleted_key_is_refused(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    bed.commit(&ours, [Change::DeleteKey(key.id.clone())]).await.unwrap();
    for organization in [&ours, &theirs] {
        let mut copy = bed.key(organization);
        copy.id = key.id.clone();
        assert_conflict(bed.commit(organization, [insertion(&copy)]).await, "the id of a deleted key");
        let mut change = bed.store.begin(organization).await.unwrap();
        let taken = change.taken_ids(&[bed.id(), key.id.clone(), bed.id()]).await.unwrap();
        assert_eq!(taken, std::slice::from_ref(&key.id), "the ids that are taken");
    }
}

/// Taken digests and ids are reported for every organization.
pub(crate) async fn taken_digests_and_ids_span_organizations(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (mut key, other) = (bed.key(&ours), bed.key(&theirs));
    key.secrets.push(SecretRecord::new(bed.digest(), bed.at(-10)));
    bed.insert([&key, &other]).await;
    let mut change = bed.store.begin(&ours).await.unwrap();
    let all: Vec<_> = key.secrets.iter().chain(&other.secrets).map(|secret| secret.digest.to_string()).collect();
    let unknown: Vec<_> = (0..300).map(|_| bed.digest()).collect();
    let asked: Vec<_> = unknown
        .iter()
        .cloned()
        .chain(key.secrets.iter().chain(&other.secrets).map(|secret| secret.digest.clone()))
        .collect();
    let sorted = |mut texts: Vec<String>| {
        texts.sort();
        texts
    };
    let taken = change.taken(&asked).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(sorted(taken), sorted(all), "the digests that are taken");
    let mut taken = change.taken_ids(&[bed.id(), other.id.clone(), key.id.clone(), bed.id()]).await.unwrap();
    taken.sort();
    assert_eq!(taken, [key.id.clone(), other.id.clone()], "the ids that are taken");
    assert_eq!(
        change.taken(&[]).await.unwrap().len() + change.taken_ids(&[]).await.unwrap().len(),
        0,
        "what is taken of nothing"
    );
}

/// If several insert a digest at the same time, one succeeds.
pub(crate) async fn ten_that_insert_one_digest_at_once_make_one_key(bed: Arc<Bed>) {
    let digest = bed.digest();
    let wanted = digest.clone();
    let won = bed
        .at_once(10, move |bed, n| {
            let digest = wanted.clone();
            async move {
                let ours = bed.organization(&format!("organization {n}"));
                let mut key = bed.key(&ours);
                key.secrets[0].digest = digest;
                let change = bed.store.begin(&ours).await.unwrap();
                tokio::task::yield_now().await;
                match change.commit(crate::bed::affecting([insertion(&key)])).await {
                    Ok(_) => Some(key.id),
                    Err(error) if error.is_conflict() => None,
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
        .await;
    let won: Vec<_> = won.into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "how many got the digest");
    assert_eq!(bed.found(&digest).await.id, won[0], "the key that the digest finds");
}
