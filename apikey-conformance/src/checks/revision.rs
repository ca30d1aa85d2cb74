//! The revision counts changes of access, in the order in which they become visible.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use apikey_manager::{Action, Change, Changes};

use crate::bed::{Bed, affecting, assert_conflict, insertion, update};

/// The revision grows with each change of access, and with no other change.
pub(crate) async fn only_changes_that_affect_callers_take_a_revision(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    let start = bed.store.revision().await.unwrap();
    let first = bed.commit(&ours, [insertion(&key)]).await.unwrap();
    assert!(first.is_some_and(|first| first > start), "the revision after {start} is {first:?}");
    assert_eq!(Some(bed.store.revision().await.unwrap()), first, "the revision of the store");

    let mut renamed = key.clone();
    (renamed.version, renamed.name) = (2, "renamed".to_owned());
    let quiet = Changes {
        changes: vec![Change::UpdateKey(Box::new(renamed.clone()))],
        affects_callers: false,
        ..Changes::default()
    };
    assert_eq!(
        bed.store.begin(&ours).await.unwrap().commit(quiet).await.unwrap(),
        None,
        "the revision of a change that affects nobody"
    );
    assert_eq!(bed.stored(&key).await.name, "renamed", "the name after such a change");
    assert_eq!(Some(bed.store.revision().await.unwrap()), first, "the revision after a change that affects nobody");
    let told = vec![Change::Audit(bed.event(&ours, Action::KeyUpdated, &key.id))];
    let told = Changes { changes: told, affects_callers: false, ..Changes::default() };
    assert_eq!(
        bed.store.begin(&ours).await.unwrap().commit(told).await.unwrap(),
        None,
        "the revision of an event alone"
    );
    bed.store.add_usage(&bed.batch([bed.used(&key, 1, 1)])).await.unwrap();
    assert_eq!(Some(bed.store.revision().await.unwrap()), first, "the revision after usage was added");

    let second = bed.commit(&ours, [update(renamed)]).await.unwrap();
    assert!(second > first, "the revision after {first:?} is {second:?}");
    let third = bed.commit(&bed.organization("theirs"), []).await.unwrap();
    assert!(third > second, "the revision after {second:?} is {third:?}, in another organization");
    assert_eq!(Some(bed.store.revision().await.unwrap()), third, "the revision of the store");
    let (revision, _) = bed.look_up(&[key.secrets[0].digest.clone()]).await;
    assert_eq!(Some(revision), third, "the revision of what is found");
}

/// A failed change takes no revision.
pub(crate) async fn a_change_that_is_not_committed_takes_no_revision(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    let before = bed.store.revision().await.unwrap();
    assert_conflict(bed.commit(&ours, [insertion(&key)]).await, "a taken id");
    assert_eq!(bed.store.revision().await.unwrap(), before, "the revision after a refusal");
    drop(bed.store.begin(&ours).await.unwrap());
    assert_eq!(bed.store.revision().await.unwrap(), before, "the revision after a transaction was dropped");
}

/// No two changes share a revision.
pub(crate) async fn no_two_changes_share_a_revision(bed: Arc<Bed>) {
    let start = bed.store.revision().await.unwrap();
    let revisions = bed
        .at_once(50, |bed, n| async move {
            let ours = bed.organization(&format!("organization {}", n % 10));
            let change = bed.store.begin(&ours).await.unwrap();
            tokio::task::yield_now().await;
            change.commit(affecting([insertion(&bed.key(&ours))])).await.unwrap()
        })
        .await;
    let distinct: BTreeSet<_> = revisions.iter().flatten().copied().collect();
    assert_eq!(distinct.len(), 50, "how many different revisions fifty changes took");
    assert!(distinct.first().is_some_and(|first| *first > start), "a revision that was there before: {distinct:?}");
    assert_eq!(
        distinct.last().copied(),
        Some(bed.store.revision().await.unwrap()),
        "the last revision taken, and the store's"
    );
}

/// A reader that sees a revision sees every change up to it.
pub(crate) async fn a_revision_covers_every_change_up_to_it(bed: Arc<Bed>) {
    let keys: Vec<_> = (0..50).map(|n| bed.key(&bed.organization(&format!("organization {}", n % 10)))).collect();
    let digests: Vec<_> = keys.iter().map(|key| key.secrets[0].digest.clone()).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (bed, is_over) = (Arc::clone(&bed), Arc::clone(&is_over));
        async move {
            let mut seen = Vec::new();
            while !is_over.load(Ordering::Acquire) {
                let revision = bed.store.revision().await.unwrap();
                let found = bed.found_by(&digests).await;
                seen.push((revision, found.into_iter().map(|found| found.id).collect::<BTreeSet<_>>()));
                tokio::task::yield_now().await;
            }
            seen
        }
    });
    let shared = Arc::new(keys);
    let committed = bed
        .at_once(50, |bed, n| {
            let keys = Arc::clone(&shared);
            async move {
                let key = &keys[n];
                let change = bed.store.begin(&key.organization).await.unwrap();
                tokio::task::yield_now().await;
                let revision = change.commit(affecting([insertion(key)])).await.unwrap();
                (key.id.clone(), revision)
            }
        })
        .await;
    is_over.store(true, Ordering::Release);
    for (revision, found) in reader.await.unwrap() {
        for (id, of) in &committed {
            let is_due = of.is_some_and(|of| of <= revision);
            assert!(!is_due || found.contains(id), "revision {revision} was seen, but not the change of {of:?}");
        }
    }
}
