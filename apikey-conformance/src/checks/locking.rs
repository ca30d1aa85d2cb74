//! Only one transaction changes an organization at a time.

use std::sync::Arc;

use crate::bed::{Bed, affecting, insertion, update};

/// The second of two changes in one organization waits, and sees the result of the first.
pub(crate) async fn the_second_change_waits_and_sees_the_first(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    let first = bed.store.begin(&ours).await.unwrap();
    let second = tokio::spawn({
        let (store, ours, id) = (Arc::clone(&bed.store), ours.clone(), key.id.clone());
        async move { store.begin(&ours).await.unwrap().key(&id).await }
    });
    // As long as a hundred other calls of the store take.
    for _ in 0..100 {
        bed.store.organization(&ours).await.unwrap();
        tokio::task::yield_now().await;
        assert!(!second.is_finished(), "a second transaction began while the first was under way");
    }
    let mut changed = key.clone();
    changed.name = "changed by the first".to_owned();
    first.commit(affecting([update(changed)])).await.unwrap();
    match second.await {
        Ok(seen) => {
            assert_eq!(seen.unwrap().map(|key| key.version), Some(2), "the version that the second transaction sees")
        }
        Err(panic) => panic!("the second transaction panicked: {panic}"),
    }
}

/// The counts that a transaction has read stay valid until it ends.
pub(crate) async fn fifty_callers_that_count_and_add_keep_the_limit(bed: Arc<Bed>) {
    const LIMIT: u64 = 10;
    let ours = bed.organization("ours");
    let added = bed
        .at_once(50, |bed, _| async move {
            let ours = bed.organization("ours");
            let mut change = bed.store.begin(&ours).await.unwrap();
            let used = change.counts(bed.now()).await.unwrap().keys;
            tokio::task::yield_now().await;
            if used < LIMIT {
                change.commit(affecting([insertion(&bed.key(&ours))])).await.unwrap();
            }
            used < LIMIT
        })
        .await;
    assert_eq!(added.into_iter().filter(|added| *added).count() as u64, LIMIT, "the callers that were let add");
    assert_eq!(bed.store.counts(&ours, bed.now()).await.unwrap().keys, LIMIT, "the keys that there are");
}

/// The keys that a transaction has read stay valid until it ends.
pub(crate) async fn fifty_changes_of_one_key_are_all_kept(bed: Arc<Bed>) {
    let key = bed.key(&bed.organization("ours"));
    bed.insert([&key]).await;
    let id = key.id.clone();
    bed.at_once(50, move |bed, _| {
        let id = id.clone();
        async move {
            let mut change = bed.store.begin(&bed.organization("ours")).await.unwrap();
            let Some(mut key) = change.key(&id).await.unwrap() else { panic!("the key is gone") };
            tokio::task::yield_now().await;
            key.description.push('x');
            change.commit(affecting([update(key)])).await.unwrap();
        }
    })
    .await;
    let stored = bed.stored(&key).await;
    assert_eq!((stored.description.len(), stored.version), (50, 51), "the changes that were kept, and the version");
}

/// Changes in different organizations don't affect each other.
pub(crate) async fn organizations_change_at_once(bed: Arc<Bed>) {
    bed.at_once(40, |bed, n| async move {
        let ours = bed.organization(&format!("organization {}", n % 8));
        for _ in 0..5 {
            let mut change = bed.store.begin(&ours).await.unwrap();
            let before = change.counts(bed.now()).await.unwrap().keys;
            tokio::task::yield_now().await;
            let mut key = bed.key(&ours);
            key.description = before.to_string();
            change.commit(affecting([insertion(&key)])).await.unwrap();
        }
    })
    .await;
    for n in 0..8 {
        let keys = bed.store.keys(&bed.every_key(&bed.organization(&format!("organization {n}")))).await.unwrap();
        let mut numbers: Vec<_> = keys.iter().filter_map(|key| key.description.parse::<u64>().ok()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..25).collect::<Vec<u64>>(), "the keys of organization {n}, numbered as they were added");
    }
}

/// Reads don't wait for a change in progress.
pub(crate) async fn reads_do_not_wait_for_changes(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    let mut change = bed.store.begin(&ours).await.unwrap();
    let seen = change.key(&key.id).await.unwrap();
    assert_eq!(bed.stored(&key).await, key, "the key, read during a change");
    assert_eq!(bed.found(&key.secrets[0].digest).await.id, key.id, "the key, found during a change");
    assert_eq!(bed.store.keys(&bed.every_key(&ours)).await.unwrap().len(), 1, "the list, read during a change");
    assert_eq!(bed.store.counts(&ours, bed.now()).await.unwrap().keys, 1, "the count, read during a change");
    assert_eq!(seen, Some(key), "the key, as the change sees it");
}
