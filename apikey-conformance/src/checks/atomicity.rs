//! Transactions are atomic.

use std::sync::Arc;

use apikey_manager::{Action, Change};

use crate::bed::{Bed, affecting, assert_conflict, for_steps, insertion, switched, update};

/// A rejected transaction leaves none of its changes.
pub(crate) async fn a_conflict_at_the_end_undoes_everything(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (known, gone, account) = (bed.key(&ours), bed.key(&ours), bed.account(&ours));
    bed.insert([&known, &gone]).await;
    bed.insert_account(&account).await;
    bed.store.add_usage(&bed.batch([bed.used(&known, 1, 0)])).await.unwrap();
    let before = bed.dump(&[&ours]).await;

    let (new, marker) = (bed.key(&ours), bed.unique());
    let mut changed = known.clone();
    changed.name = "changed".to_owned();
    let mut changed_account = account.clone();
    changed_account.version += 1;
    changed_account.name = "changed".to_owned();
    let mut suspended = bed.store.organization(&ours).await.unwrap();
    suspended.suspended = Some(switched(bed.now()));
    let stale = Change::UpdateKey(Box::new(known.clone()));
    let changes = [
        insertion(&new),
        update(changed),
        Change::DeleteKey(gone.id.clone()),
        Change::InsertAccount(bed.account(&ours)),
        Change::UpdateAccount(changed_account),
        Change::SetOrganization(suspended),
        Change::SetMarker(marker.clone(), "set".to_owned()),
        Change::Audit(bed.event(&ours, Action::KeyIssued, &new.id)),
        stale,
    ];
    assert_conflict(bed.commit(&ours, changes).await, "a transaction with a stale change");
    assert_eq!(bed.dump(&[&ours]).await, before, "what is kept after a refused transaction");
    assert_eq!(bed.store.marker(&marker).await.unwrap(), None, "the marker of a refused transaction");
    let mut again = bed.store.begin(&ours).await.unwrap();
    let digests = [new.secrets[0].digest.clone()];
    assert!(again.taken(&digests).await.unwrap().is_empty(), "a refused transaction keeps no digest");
    assert!(
        again.taken_ids(std::slice::from_ref(&new.id)).await.unwrap().is_empty(),
        "a refused transaction keeps no id"
    );
    drop(again);
    bed.commit(&ours, [insertion(&new), Change::DeleteKey(gone.id.clone())]).await.unwrap();
}

/// A dropped transaction leaves nothing, not even its lock.
pub(crate) async fn a_dropped_transaction_releases_its_lock(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    let before = bed.dump(&[&ours]).await;
    for _ in 0..20 {
        let mut dropped = bed.store.begin(&ours).await.unwrap();
        assert!(dropped.key(&key.id).await.unwrap().is_some(), "a transaction must see its organization's key");
        drop(dropped);
    }
    assert_eq!(bed.dump(&[&ours]).await, before, "what is kept after transactions that were dropped");
    bed.commit(&ours, [update(key)]).await.unwrap();
}

/// A commit whose caller is dropped is complete or absent.
pub(crate) async fn a_commit_dropped_midway_is_whole_or_absent(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    for steps in [0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64, 256, 1_024] {
        let [first, second] = [bed.key(&ours), bed.key(&ours)];
        let event = bed.event(&ours, Action::KeyIssued, &first.id);
        let transaction = bed.store.begin(&ours).await.unwrap();
        let changes = affecting([insertion(&first), insertion(&second), Change::Audit(event.clone())]);
        let committed = for_steps(transaction.commit(changes), steps).await.transpose().unwrap();
        // A rollback in progress holds the lock.
        let mut after = bed.store.begin(&ours).await.unwrap();
        let kept = [after.key(&first.id).await.unwrap().is_some(), after.key(&second.id).await.unwrap().is_some()];
        drop(after);
        let told = bed.store.audit(&bed.every_event(&ours)).await.unwrap().iter().any(|kept| kept.id == event.id);
        match (kept, told) {
            ([true, true], true) => {}
            ([false, false], false) if committed.is_none() => {}
            (kept, told) => panic!("after {steps} steps of a commit ({committed:?}), keys {kept:?}, event {told}"),
        }
    }
}

/// A transaction may contain more than a thousand keys.
pub(crate) async fn a_thousand_keys_fit_one_transaction(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let keys: Vec<_> = (0..1_000).map(|_| bed.key(&ours)).collect();
    let event = bed.event(&ours, Action::KeyImported, ours.as_str());
    bed.commit(&ours, keys.iter().map(insertion).chain([Change::Audit(event)])).await.unwrap();
    assert_eq!(bed.store.counts(&ours, bed.now()).await.unwrap().keys, 1_000, "the number of keys");
    let digests: Vec<_> = keys.iter().map(|key| key.secrets[0].digest.clone()).collect();
    let mut found: Vec<_> = bed.found_by(&digests).await.into_iter().map(|found| found.id).collect();
    found.sort();
    let mut expected: Vec<_> = keys.into_iter().map(|key| key.id).collect();
    expected.sort();
    assert_eq!(found, expected, "the keys that a thousand digests find");
}

/// Changes are applied in order, each to the result of the previous ones.
pub(crate) async fn changes_are_applied_in_order(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (key, account) = (bed.key(&ours), bed.account(&ours));
    let mut bound = key.clone();
    bound.service_account = Some(account.id.clone());
    let mut renamed = account.clone();
    renamed.version += 1;
    renamed.name = "renamed".to_owned();
    let changes = [
        insertion(&key),
        Change::InsertAccount(account.clone()),
        Change::UpdateAccount(renamed),
        update(bound.clone()),
        update({
            bound.version += 1;
            bound.name = "last".to_owned();
            bound
        }),
    ];
    bed.commit(&ours, changes).await.unwrap();
    let stored = bed.stored(&key).await;
    assert_eq!((stored.name.as_str(), stored.version), ("last", 3), "the key after three changes");
    let account = bed.store.account(&ours, &account.id).await.unwrap().map(|account| account.name);
    assert_eq!(account.as_deref(), Some("renamed"), "the account after two changes");
    let again = [Change::DeleteKey(key.id.clone()), insertion(&key)];
    assert_conflict(bed.commit(&ours, again).await, "a deletion and an insertion of the same key");
    assert_eq!(bed.stored(&key).await.version, 3, "the key's version after a refused transaction");
}
