//! Organizations can't see or change each other's data.

use std::sync::Arc;

use apikey_manager::{Action, Activity, ActivityQuery, Change, KeyFilter, OrganizationRecord, UsageOf};

use crate::bed::{Bed, assert_conflict, insertion, switched, update};

/// Another organization's rows can't be read.
pub(crate) async fn another_organizations_rows_are_not_found(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (account, mut key) = (bed.account(&theirs), bed.key(&theirs));
    (key.service_account, key.environment) = (Some(account.id.clone()), Some("live".to_owned()));
    bed.insert_account(&account).await;
    let event = bed.event(&theirs, Action::KeyIssued, &key.id);
    bed.commit(&theirs, [insertion(&key), Change::Audit(event)]).await.unwrap();
    bed.store.add_usage(&bed.batch([bed.used(&key, 3, 4)])).await.unwrap();
    let request = Activity::new(theirs.clone(), key.id.clone(), bed.now(), "GET", 200);
    bed.store.add_activity(&[request]).await.unwrap();
    for (organization, is_there) in [(&theirs, true), (&ours, false)] {
        let n = usize::from(is_there);
        assert_eq!(bed.store.key(organization, &key.id).await.unwrap().is_some(), is_there, "is the key there");
        assert_eq!(
            bed.store.account(organization, &account.id).await.unwrap().is_some(),
            is_there,
            "is the account there"
        );
        assert_eq!(bed.store.keys(&bed.every_key(organization)).await.unwrap().len(), n, "the keys of the list");
        assert_eq!(
            bed.store.accounts(&bed.every_account(organization)).await.unwrap().len(),
            n,
            "the accounts of the list"
        );
        assert_eq!(bed.store.audit(&bed.every_event(organization)).await.unwrap().len(), n, "the events");
        let counts = bed.store.counts(organization, bed.now()).await.unwrap();
        assert_eq!((counts.keys, counts.service_accounts), (n as u64, n as u64), "the counts");
        let whose = [
            UsageOf::Key(key.id.clone()),
            UsageOf::Account(account.id.clone()),
            UsageOf::Environment("live".to_owned()),
            UsageOf::Organization,
        ];
        for of in whose {
            let usage = bed.store.usage(&bed.all_usage(organization, of.clone())).await.unwrap();
            assert_eq!(usage.len(), n, "the usage of {of:?}");
        }
        let query = ActivityQuery {
            organization: organization.clone(),
            key: key.id.clone(),
            from: bed.at(-10),
            to: bed.at(10),
            after: None,
            limit: 10,
        };
        assert_eq!(bed.store.activity(&query).await.unwrap().len(), n, "the activity");
    }
}

/// A transaction can't see or change another organization's rows.
pub(crate) async fn changing_another_organizations_rows_is_refused(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (account, key) = (bed.account(&theirs), bed.key(&theirs));
    bed.insert_account(&account).await;
    bed.insert([&key]).await;
    let before = bed.dump(&[&ours, &theirs]).await;

    let mut change = bed.store.begin(&ours).await.unwrap();
    assert!(change.key(&key.id).await.unwrap().is_none(), "another organization's key is there within a change");
    assert!(change.account(&account.id).await.unwrap().is_none(), "another's account is there within a change");
    assert!(
        change.ids(&KeyFilter::default(), bed.now()).await.unwrap().is_empty(),
        "another's keys are listed in a change"
    );
    assert!(
        change.heads(std::slice::from_ref(&key.id)).await.unwrap().is_empty(),
        "another's key has a head in a change"
    );
    assert_eq!(change.counts(bed.now()).await.unwrap().keys, 0, "the keys counted within a change");
    assert_eq!(
        change.organization().await.unwrap(),
        OrganizationRecord::new(ours.clone()),
        "the organization of a change"
    );
    drop(change);

    let mut renamed = account.clone();
    (renamed.version, renamed.name) = (2, "taken over".to_owned());
    let mut own_name = renamed.clone();
    own_name.organization = ours.clone();
    let mut moved = key.clone();
    moved.organization = ours.clone();
    let attempts = [
        ("an update of another's key", update(key.clone())),
        ("an update that moves another's key here", update(moved)),
        ("a deletion of another's key", Change::DeleteKey(key.id.clone())),
        ("an update of another's account", Change::UpdateAccount(renamed)),
        ("an update that moves another's account here", Change::UpdateAccount(own_name)),
        ("a deletion of another's account", Change::DeleteAccount(account.id.clone())),
    ];
    for (what, attempt) in attempts {
        assert_conflict(bed.commit(&ours, [attempt]).await, what);
        assert_eq!(bed.dump(&[&ours, &theirs]).await, before, "what is kept after {what}");
    }
}

/// A transaction writes no row for another organization.
pub(crate) async fn rows_of_another_organization_are_not_written(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let before = bed.dump(&[&ours, &theirs]).await;
    let mut suspended = OrganizationRecord::new(theirs.clone());
    suspended.suspended = Some(switched(bed.now()));
    let attempts = [
        ("a key of another organization", insertion(&bed.key(&theirs))),
        ("an account of another organization", Change::InsertAccount(bed.account(&theirs))),
        ("another organization's record", Change::SetOrganization(suspended)),
        ("an event of another organization", Change::Audit(bed.event(&theirs, Action::KeyIssued, "x"))),
    ];
    for (what, attempt) in attempts {
        assert_conflict(bed.commit(&ours, [attempt]).await, what);
        assert_eq!(bed.dump(&[&ours, &theirs]).await, before, "what is kept after {what}");
    }
}
