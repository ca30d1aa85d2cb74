//! The revision counts the changes that affect who may call, in the order in which they can be seen.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    audit::Action,
    conformance::{
        bed::{Bed, affecting, insertion, update},
        outcome::{Outcome, ensure, fail, refused, same},
    },
    store::{Change, Changes},
};

pub(in crate::conformance) async fn given_changes_when_committed_then_only_those_that_affect_callers_take_a_revision(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    let start = bed.store.revision().await?;
    let first = bed.commit(&ours, [insertion(&key)]).await?;
    ensure!(first.is_some_and(|first| first > start), "the revision after {start} is {first:?}");
    same!(Some(bed.store.revision().await?), first, "the revision of the store");

    let mut renamed = key.clone();
    (renamed.version, renamed.name) = (2, "renamed".to_owned());
    let quiet = Changes { changes: vec![Change::UpdateKey(Box::new(renamed.clone()))], affects_callers: false };
    same!(bed.store.begin(&ours).await?.commit(quiet).await?, None, "the revision of a change that affects nobody");
    same!(bed.stored(&key).await?.name, "renamed", "the name after such a change");
    same!(Some(bed.store.revision().await?), first, "the revision after a change that affects nobody");
    let told = vec![Change::Audit(bed.event(&ours, Action::KeyUpdated, &key.id))];
    let told = Changes { changes: told, affects_callers: false };
    same!(bed.store.begin(&ours).await?.commit(told).await?, None, "the revision of an event alone");
    bed.store.add_usage(&bed.batch([bed.used(&key, 1, 1)])).await?;
    same!(Some(bed.store.revision().await?), first, "the revision after usage was added");

    let second = bed.commit(&ours, [update(renamed)]).await?;
    ensure!(second > first, "the revision after {first:?} is {second:?}");
    let third = bed.commit(&bed.organization("theirs"), []).await?;
    ensure!(third > second, "the revision after {second:?} is {third:?}, in another organization");
    same!(Some(bed.store.revision().await?), third, "the revision of the store");
    same!(Some(bed.found(&key.secrets[0].digest).await?.revision), third, "the revision of what is found");
    Ok(())
}

pub(in crate::conformance) async fn given_a_refused_or_dropped_change_when_over_then_the_revision_stands(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await?;
    let before = bed.store.revision().await?;
    refused!(bed.commit(&ours, [insertion(&key)]).await, "a taken id");
    same!(bed.store.revision().await?, before, "the revision after a refusal");
    drop(bed.store.begin(&ours).await?);
    same!(bed.store.revision().await?, before, "the revision after a transaction was dropped");
    Ok(())
}

pub(in crate::conformance) async fn given_fifty_changes_at_once_when_committed_then_each_has_its_own_revision(
    bed: Arc<Bed>,
) -> Outcome {
    let start = bed.store.revision().await?;
    let revisions = bed
        .at_once(50, |bed, n| async move {
            let ours = bed.organization(&format!("organization {}", n % 10));
            let change = bed.store.begin(&ours).await?;
            tokio::task::yield_now().await;
            Ok(change.commit(affecting([insertion(&bed.key(&ours))])).await?)
        })
        .await?;
    let distinct: BTreeSet<_> = revisions.iter().flatten().copied().collect();
    same!(distinct.len(), 50, "how many different revisions fifty changes took");
    ensure!(distinct.first().is_some_and(|first| *first > start), "a revision that was there before: {distinct:?}");
    same!(distinct.last().copied(), Some(bed.store.revision().await?), "the last revision taken, and the store's");
    Ok(())
}

pub(in crate::conformance) async fn given_a_revision_when_seen_then_all_changes_up_to_it_are_seen(
    bed: Arc<Bed>,
) -> Outcome {
    let keys: Vec<_> = (0..50).map(|n| bed.key(&bed.organization(&format!("organization {}", n % 10)))).collect();
    let digests: Vec<_> = keys.iter().map(|key| key.secrets[0].digest.clone()).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (bed, is_over) = (Arc::clone(&bed), Arc::clone(&is_over));
        async move {
            let mut seen = Vec::new();
            while !is_over.load(Ordering::Acquire) {
                let revision = bed.store.revision().await?;
                let found = bed.found_by(&digests).await?;
                seen.push((revision, found.into_iter().map(|found| found.id).collect::<BTreeSet<_>>()));
                tokio::task::yield_now().await;
            }
            Ok::<_, crate::conformance::Failure>(seen)
        }
    });
    let shared = Arc::new(keys);
    let committed = bed
        .at_once(50, |bed, n| {
            let keys = Arc::clone(&shared);
            async move {
                let key = &keys[n];
                let change = bed.store.begin(&key.organization).await?;
                tokio::task::yield_now().await;
                let revision = change.commit(affecting([insertion(key)])).await?;
                Ok((key.id.clone(), revision))
            }
        })
        .await;
    is_over.store(true, Ordering::Release);
    let seen = match reader.await {
        Ok(seen) => seen?,
        Err(panic) => fail!("the reader panicked: {panic}"),
    };
    let committed = committed?;
    for (revision, found) in seen {
        for (id, of) in &committed {
            let is_due = of.is_some_and(|of| of <= revision);
            ensure!(!is_due || found.contains(id), "revision {revision} was seen, but not the change of {of:?}");
        }
    }
    Ok(())
}
