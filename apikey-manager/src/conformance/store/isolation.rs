//! What belongs to one organization is not there for another.

use std::sync::Arc;

use crate::{
    audit::Action,
    conformance::{
        bed::{Bed, insertion, switched, update},
        outcome::{Outcome, ensure, refused, same},
    },
    organization::OrganizationRecord,
    query::{Activity, ActivityQuery, KeyFilter, UsageOf},
    store::Change,
};

pub(in crate::conformance) async fn given_anothers_rows_when_read_then_they_are_not_found(bed: Arc<Bed>) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (account, mut key) = (bed.account(&theirs), bed.key(&theirs));
    (key.service_account, key.environment) = (Some(account.id.clone()), Some("live".to_owned()));
    bed.insert_account(&account).await?;
    let event = bed.event(&theirs, Action::KeyIssued, &key.id);
    bed.commit(&theirs, [insertion(&key), Change::Audit(event)]).await?;
    bed.store.add_usage(&bed.batch([bed.used(&key, 3, 4)])).await?;
    let request = Activity {
        organization: theirs.clone(),
        key: key.id.clone(),
        at: bed.now(),
        method: "GET".to_owned(),
        route: None,
        status: 200,
        address: None,
        user_agent: None,
    };
    bed.store.add_activity(&[request]).await?;
    for (organization, is_there) in [(&theirs, true), (&ours, false)] {
        let n = usize::from(is_there);
        same!(bed.store.key(organization, &key.id).await?.is_some(), is_there, "is the key there");
        same!(bed.store.account(organization, &account.id).await?.is_some(), is_there, "is the account there");
        same!(bed.store.keys(&bed.every_key(organization)).await?.len(), n, "the keys of the list");
        same!(bed.store.accounts(&bed.every_account(organization)).await?.len(), n, "the accounts of the list");
        same!(bed.store.audit(&bed.every_event(organization)).await?.len(), n, "the events");
        let counts = bed.store.counts(organization, bed.now()).await?;
        same!((counts.keys, counts.service_accounts), (n as u64, n as u64), "the counts");
        let whose = [
            UsageOf::Key(key.id.clone()),
            UsageOf::Account(account.id.clone()),
            UsageOf::Environment("live".to_owned()),
            UsageOf::Organization,
        ];
        for of in whose {
            let usage = bed.store.usage(&bed.all_usage(organization, of.clone())).await?;
            same!(usage.len(), n, "the usage of {of:?}");
        }
        let query = ActivityQuery {
            organization: organization.clone(),
            key: key.id.clone(),
            from: bed.at(-10),
            to: bed.at(10),
            after: None,
            limit: 10,
        };
        same!(bed.store.activity(&query).await?.len(), n, "the activity");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_anothers_rows_when_a_change_names_them_then_it_is_refused(
    bed: Arc<Bed>,
) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (account, key) = (bed.account(&theirs), bed.key(&theirs));
    bed.insert_account(&account).await?;
    bed.insert([&key]).await?;
    let before = bed.dump(&[&ours, &theirs]).await?;

    let mut change = bed.store.begin(&ours).await?;
    ensure!(change.key(&key.id).await?.is_none(), "another organization's key is there within a change");
    ensure!(change.account(&account.id).await?.is_none(), "another's account is there within a change");
    ensure!(change.ids(&KeyFilter::default(), bed.now()).await?.is_empty(), "another's keys are listed in a change");
    ensure!(change.heads(std::slice::from_ref(&key.id)).await?.is_empty(), "another's key has a head in a change");
    same!(change.counts(bed.now()).await?.keys, 0, "the keys counted within a change");
    same!(change.organization().await?, OrganizationRecord::new(ours.clone()), "the organization of a change");
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
        refused!(bed.commit(&ours, [attempt]).await, "{what}");
        same!(bed.dump(&[&ours, &theirs]).await?, before, "what is kept after {what}");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_a_change_when_it_holds_rows_of_another_then_they_are_not_written(
    bed: Arc<Bed>,
) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let before = bed.dump(&[&ours, &theirs]).await?;
    let mut suspended = OrganizationRecord::new(theirs.clone());
    suspended.suspended = Some(switched(bed.now()));
    let attempts = [
        ("a key of another organization", insertion(&bed.key(&theirs))),
        ("an account of another organization", Change::InsertAccount(bed.account(&theirs))),
        ("another organization's record", Change::SetOrganization(suspended)),
        ("an event of another organization", Change::Audit(bed.event(&theirs, Action::KeyIssued, "x"))),
    ];
    for (what, attempt) in attempts {
        refused!(bed.commit(&ours, [attempt]).await, "{what}");
        same!(bed.dump(&[&ours, &theirs]).await?, before, "what is kept after {what}");
    }
    Ok(())
}
