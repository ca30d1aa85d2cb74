//! No two keys share a digest or an id, not in different organizations, and not one after the other.

use std::sync::Arc;

use crate::{
    conformance::{
        bed::{Bed, insertion, update},
        outcome::{Outcome, refused, same},
    },
    record::SecretRecord,
    store::Change,
};

pub(in crate::conformance) async fn given_a_taken_digest_when_inserted_anywhere_then_it_is_refused(
    bed: Arc<Bed>,
) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let mut key = bed.key(&ours);
    let older = SecretRecord::new(bed.digest(), bed.at(-10));
    key.secrets.push(older.clone());
    let other = bed.key(&theirs);
    bed.insert([&key, &other]).await?;
    let before = bed.dump(&[&ours, &theirs]).await?;
    for secret in key.secrets.clone() {
        for organization in [&ours, &theirs] {
            let mut copy = bed.key(organization);
            copy.secrets = vec![secret.clone()];
            refused!(bed.commit(organization, [insertion(&copy)]).await, "a taken digest");
            let mut twofold = bed.key(organization);
            twofold.secrets.push(secret.clone());
            refused!(bed.commit(organization, [insertion(&twofold)]).await, "a taken digest beside a new one");
        }
        let mut rotated = other.clone();
        rotated.secrets.insert(0, secret);
        refused!(bed.commit(&theirs, [update(rotated)]).await, "another key's digest as a new secret");
    }
    same!(bed.dump(&[&ours, &theirs]).await?, before, "what is kept after refusals");
    Ok(())
}

pub(in crate::conformance) async fn given_one_digest_twice_when_inserted_together_then_it_is_refused(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let (first, mut second) = (bed.key(&ours), bed.key(&ours));
    second.secrets.clone_from(&first.secrets);
    refused!(bed.commit(&ours, [insertion(&first), insertion(&second)]).await, "one digest for two keys");
    same!(bed.store.counts(&ours, bed.now()).await?.keys, 0, "the keys that there are");
    Ok(())
}

pub(in crate::conformance) async fn given_a_taken_id_when_inserted_anywhere_then_it_is_refused(
    bed: Arc<Bed>,
) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let key = bed.key(&ours);
    bed.insert([&key]).await?;
    for organization in [&ours, &theirs] {
        let mut copy = bed.key(organization);
        copy.id = key.id.clone();
        refused!(bed.commit(organization, [insertion(&copy)]).await, "a taken id");
    }
    same!(bed.stored(&key).await?, key, "the key whose id was wanted");
    let account = bed.account(&ours);
    bed.insert_account(&account).await?;
    refused!(bed.commit(&ours, [Change::InsertAccount(account.clone())]).await, "a taken service account's id");
    Ok(())
}

pub(in crate::conformance) async fn given_a_deleted_key_when_its_digests_return_then_they_are_refused(
    bed: Arc<Bed>,
) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (mut key, other) = (bed.key(&ours), bed.key(&theirs));
    key.secrets.push(SecretRecord::new(bed.digest(), bed.at(-10)));
    bed.insert([&key, &other]).await?;
    bed.commit(&ours, [Change::DeleteKey(key.id.clone())]).await?;
    for secret in &key.secrets {
        for organization in [&ours, &theirs] {
            let mut copy = bed.key(organization);
            copy.secrets = vec![secret.clone()];
            refused!(bed.commit(organization, [insertion(&copy)]).await, "the digest of a deleted key");
            let mut change = bed.store.begin(organization).await?;
            let asked = [bed.digest(), secret.digest.clone()];
            same!(change.taken(&asked).await?, std::slice::from_ref(&secret.digest), "the digests that are taken");
        }
        let mut rotated = other.clone();
        rotated.secrets.insert(0, secret.clone());
        refused!(bed.commit(&theirs, [update(rotated)]).await, "the digest of a deleted key as a new secret");
        same!(bed.found_by(std::slice::from_ref(&secret.digest)).await?.len(), 0, "keys found by it");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_a_deleted_key_when_its_id_returns_then_it_is_refused(
    bed: Arc<Bed>,
) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let key = bed.key(&ours);
    bed.insert([&key]).await?;
    bed.commit(&ours, [Change::DeleteKey(key.id.clone())]).await?;
    for organization in [&ours, &theirs] {
        let mut copy = bed.key(organization);
        copy.id = key.id.clone();
        refused!(bed.commit(organization, [insertion(&copy)]).await, "the id of a deleted key");
        let mut change = bed.store.begin(organization).await?;
        let taken = change.taken_ids(&[bed.id(), key.id.clone(), bed.id()]).await?;
        same!(taken, std::slice::from_ref(&key.id), "the ids that are taken");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_digests_and_ids_when_asked_then_those_of_every_organization_are_taken(
    bed: Arc<Bed>,
) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (mut key, other) = (bed.key(&ours), bed.key(&theirs));
    key.secrets.push(SecretRecord::new(bed.digest(), bed.at(-10)));
    bed.insert([&key, &other]).await?;
    let mut change = bed.store.begin(&ours).await?;
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
    let taken = change.taken(&asked).await?.iter().map(ToString::to_string).collect();
    same!(sorted(taken), sorted(all), "the digests that are taken");
    let mut taken = change.taken_ids(&[bed.id(), other.id.clone(), key.id.clone(), bed.id()]).await?;
    taken.sort();
    same!(taken, [key.id.clone(), other.id.clone()], "the ids that are taken");
    same!(change.taken(&[]).await?.len() + change.taken_ids(&[]).await?.len(), 0, "what is taken of nothing");
    Ok(())
}

pub(in crate::conformance) async fn given_one_digest_when_ten_organizations_insert_it_at_once_then_one_has_it(
    bed: Arc<Bed>,
) -> Outcome {
    let digest = bed.digest();
    let wanted = digest.clone();
    let won = bed
        .at_once(10, move |bed, n| {
            let digest = wanted.clone();
            async move {
                let ours = bed.organization(&format!("organization {n}"));
                let mut key = bed.key(&ours);
                key.secrets[0].digest = digest;
                let change = bed.store.begin(&ours).await?;
                tokio::task::yield_now().await;
                match change.commit(crate::conformance::bed::affecting([insertion(&key)])).await {
                    Ok(_) => Ok(Some(key.id)),
                    Err(error) if error.is_conflict() => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        })
        .await?;
    let won: Vec<_> = won.into_iter().flatten().collect();
    same!(won.len(), 1, "how many got the digest");
    same!(bed.found(&digest).await?.id, won[0], "the key that the digest finds");
    Ok(())
}
