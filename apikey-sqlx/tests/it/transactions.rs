//! Transactions are atomic and serialized.

use std::time::Duration;

use apikey_manager::{Change, KeyStore, OrganizationId, Revocation, SecretRecord};

use crate::support::{Place, acme, at, changes, commit, digest, id, insert, key, someone};

#[tokio::test]
async fn given_a_transaction_when_dropped_then_nothing_is_locked_or_changed() {
    for place in Place::all() {
        let store = place.open().await;
        for _ in 0..50 {
            let mut transaction = store.begin(&acme()).await.unwrap();
            transaction.organization().await.unwrap();
        }
        assert_eq!(commit(&store, [insert(key(1))]).await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn given_one_who_changes_an_organization_when_another_begins_then_the_second_waits() {
    for place in Place::all() {
        let (store, other) = (place.open().await, place.open().await);
        let first = store.begin(&acme()).await.unwrap();
        let second = tokio::spawn(async move { other.begin(&acme()).await.unwrap().key(&id(1)).await });
        if place.name == "postgres" {
            let stranger = OrganizationId::new("stranger").unwrap();
            drop(store.begin(&stranger).await.unwrap());
        }
        assert!(!second.is_finished());
        first.commit(changes([insert(key(1))])).await.unwrap();
        assert!(second.await.unwrap().unwrap().is_some());
    }
}

#[tokio::test]
async fn given_a_step_that_conflicts_when_committed_then_the_steps_before_it_are_undone() {
    for place in Place::all() {
        let store = place.open().await;
        let mut rotated = key(1);
        rotated.secrets.insert(0, SecretRecord::new(digest(11), at(5)));
        commit(&store, [insert(rotated)]).await.unwrap();
        commit(&store, [insert(key(2)), Change::DeleteKey(id(2)), Change::SetMarker("m".into(), "1".into())])
            .await
            .unwrap();
        let mut taken_digest = key(3);
        taken_digest.secrets = vec![SecretRecord::new(digest(11), at(1))];
        let mut buried_digest = key(3);
        buried_digest.secrets = vec![SecretRecord::new(digest(2), at(1))];
        let mut buried_id = key(3);
        buried_id.id = id(2);
        let mut stale = key(1);
        stale.version = 3;
        let steps = [
            insert(taken_digest),
            insert(buried_digest),
            insert(buried_id),
            insert(key(1)),
            Change::UpdateKey(Box::new(stale)),
            Change::DeleteKey(id(9)),
            Change::SetMarker("m".into(), "2".into()),
        ];
        for step in steps {
            let described = format!("{}: {step:?}", place.name);
            let error = commit(&store, [insert(key(100)), step]).await.unwrap_err();
            assert!(error.is_conflict(), "{described}: {error:?}");
            assert!(store.key(&acme(), &id(100)).await.unwrap().is_none(), "{described}");
        }
        assert_eq!(store.revision().await.unwrap(), 2);
        let mut transaction = store.begin(&acme()).await.unwrap();
        let asked = [digest(11), digest(2), digest(100)];
        assert_eq!(transaction.taken(&asked).await.unwrap(), asked[..2]);
        assert_eq!(transaction.taken_ids(&[id(1), id(2), id(100)]).await.unwrap(), [id(1), id(2)]);
    }
}

#[tokio::test]
async fn given_two_imports_with_keys_in_common_when_concurrent_then_one_conflicts_and_none_hangs() {
    for place in Place::all() {
        let store = place.open().await;
        let import = |name: &str, numbers: Vec<u64>| {
            let (store, organization) = (store.clone(), OrganizationId::new(name).unwrap());
            tokio::spawn(async move {
                let keys = numbers.into_iter().map(|number| {
                    let mut key = key(number);
                    key.organization = organization.clone();
                    insert(key)
                });
                store.begin(&organization).await?.commit(changes(keys.collect::<Vec<_>>())).await
            })
        };
        let (one, other) = (import("one", (0..600).collect()), import("other", (0..600).rev().collect()));
        let (one, other) = (one.await.unwrap(), other.await.unwrap());
        assert_eq!([&one, &other].iter().filter(|result| result.is_ok()).count(), 1, "{one:?} {other:?}");
        let error = one.and(other).unwrap_err();
        assert!(error.is_conflict(), "{}: {error:?}", place.name);
        assert_eq!(store.scan(None, 5_000).await.unwrap().len(), 600);
    }
}

#[tokio::test]
async fn given_a_commit_when_cancelled_anywhere_then_the_change_is_whole_or_absent_and_the_store_goes_on() {
    for place in Place::all() {
        let store = place.open().await;
        let mut kept = 0;
        for n in 0..120 {
            let patience = Duration::from_micros(n * 40);
            let _ = tokio::time::timeout(patience, commit(&store, [insert(key(n))])).await;
            let (key, found) =
                (store.key(&acme(), &id(n)).await.unwrap(), store.find(&[digest(n)]).await.unwrap().found);
            // A commit that was already sent may take effect between the two queries, but it is never undone.
            assert!(key.is_none() || found.len() == 1, "{}", place.name);
            kept += u64::from(key.is_some());
        }
        assert_eq!(commit(&store, [insert(key(1_000))]).await.unwrap(), store.revision().await.map(Some).unwrap());
        assert!(kept <= store.revision().await.unwrap());
        let keys = store.scan(None, 1_000).await.unwrap();
        assert_eq!(keys.len() as u64, store.revision().await.unwrap(), "a revision for each change, a change for each");
        assert!(keys.iter().all(|key| key.secrets.len() == 1));
    }
}

#[tokio::test]
async fn given_fifty_who_change_fifty_organizations_when_concurrent_then_each_has_a_revision_of_its_own() {
    for place in Place::all() {
        let store = place.open().await;
        let change = |n: u64| {
            let store = store.clone();
            tokio::spawn(async move {
                let organization = OrganizationId::new(format!("organization {}", n % 7)).unwrap();
                let mut key = key(n);
                key.organization = organization.clone();
                key.revoked = Some(Revocation { at: at(1), by: someone(), reason: String::new() });
                store.begin(&organization).await.unwrap().commit(changes([insert(key)])).await.unwrap().unwrap()
            })
        };
        let mut revisions = Vec::new();
        for task in (0..50).map(change).collect::<Vec<_>>() {
            revisions.push(task.await.unwrap());
        }
        revisions.sort_unstable();
        assert!(revisions.iter().copied().eq(1..=50), "{}: {revisions:?}", place.name);
    }
}
