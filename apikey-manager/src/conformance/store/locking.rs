//! One organization is changed by one transaction at a time.

use std::sync::Arc;

use crate::conformance::{
    bed::{Bed, affecting, insertion, update},
    outcome::{Outcome, ensure, fail, same},
};

pub(in crate::conformance) async fn given_a_change_under_way_when_another_begins_then_it_waits_and_sees_the_first(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await?;
    let first = bed.store.begin(&ours).await?;
    let second = tokio::spawn({
        let (store, ours, id) = (Arc::clone(&bed.store), ours.clone(), key.id.clone());
        async move { store.begin(&ours).await?.key(&id).await }
    });
    // As long as it takes to ask the store for other things a hundred times.
    for _ in 0..100 {
        bed.store.organization(&ours).await?;
        tokio::task::yield_now().await;
        ensure!(!second.is_finished(), "a second transaction began while the first was under way");
    }
    let mut changed = key.clone();
    changed.name = "changed by the first".to_owned();
    first.commit(affecting([update(changed)])).await?;
    match second.await {
        Ok(seen) => same!(seen?.map(|key| key.version), Some(2), "the version that the second transaction sees"),
        Err(panic) => fail!("the second transaction panicked: {panic}"),
    }
    Ok(())
}

pub(in crate::conformance) async fn given_fifty_callers_when_each_counts_and_then_adds_then_the_limit_holds(
    bed: Arc<Bed>,
) -> Outcome {
    const LIMIT: u64 = 10;
    let ours = bed.organization("ours");
    let added = bed
        .at_once(50, |bed, _| async move {
            let ours = bed.organization("ours");
            let mut change = bed.store.begin(&ours).await?;
            let used = change.counts(bed.now()).await?.keys;
            tokio::task::yield_now().await;
            if used < LIMIT {
                change.commit(affecting([insertion(&bed.key(&ours))])).await?;
            }
            Ok(used < LIMIT)
        })
        .await?;
    same!(added.into_iter().filter(|added| *added).count() as u64, LIMIT, "the callers that were let add");
    same!(bed.store.counts(&ours, bed.now()).await?.keys, LIMIT, "the keys that there are");
    Ok(())
}

pub(in crate::conformance) async fn given_one_key_when_fifty_callers_change_it_then_no_change_is_lost(
    bed: Arc<Bed>,
) -> Outcome {
    let key = bed.key(&bed.organization("ours"));
    bed.insert([&key]).await?;
    let id = key.id.clone();
    bed.at_once(50, move |bed, _| {
        let id = id.clone();
        async move {
            let mut change = bed.store.begin(&bed.organization("ours")).await?;
            let Some(mut key) = change.key(&id).await? else { fail!("the key is gone") };
            tokio::task::yield_now().await;
            key.description.push('x');
            change.commit(affecting([update(key)])).await?;
            Ok(())
        }
    })
    .await?;
    let stored = bed.stored(&key).await?;
    same!((stored.description.len(), stored.version), (50, 51), "the changes that were kept, and the version");
    Ok(())
}

pub(in crate::conformance) async fn given_many_organizations_when_changed_at_once_then_each_has_its_own(
    bed: Arc<Bed>,
) -> Outcome {
    bed.at_once(40, |bed, n| async move {
        let ours = bed.organization(&format!("organization {}", n % 8));
        for _ in 0..5 {
            let mut change = bed.store.begin(&ours).await?;
            let before = change.counts(bed.now()).await?.keys;
            tokio::task::yield_now().await;
            let mut key = bed.key(&ours);
            key.description = before.to_string();
            change.commit(affecting([insertion(&key)])).await?;
        }
        Ok(())
    })
    .await?;
    for n in 0..8 {
        let keys = bed.store.keys(&bed.every_key(&bed.organization(&format!("organization {n}")))).await?;
        let mut numbers: Vec<_> = keys.iter().filter_map(|key| key.description.parse::<u64>().ok()).collect();
        numbers.sort_unstable();
        same!(numbers, (0..25).collect::<Vec<u64>>(), "the keys of organization {n}, numbered as they were added");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_a_change_under_way_when_read_then_the_answer_does_not_wait(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await?;
    let mut change = bed.store.begin(&ours).await?;
    let seen = change.key(&key.id).await?;
    same!(bed.stored(&key).await?, key, "the key, read during a change");
    same!(bed.found(&key.secrets[0].digest).await?.id, key.id, "the key, found during a change");
    same!(bed.store.keys(&bed.every_key(&ours)).await?.len(), 1, "the list, read during a change");
    same!(bed.store.counts(&ours, bed.now()).await?.keys, 1, "the count, read during a change");
    same!(seen, Some(key), "the key, as the change sees it");
    Ok(())
}
