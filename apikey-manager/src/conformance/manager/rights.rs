//! Nobody hands out what they don't have, and nobody sees what is another's.

use std::{future::Future, pin::Pin, sync::Arc};

use apikey_core::KeyId;

use super::stage::{Stage, key_actor, user};
use crate::{
    Actor, KeyUpdate, ManageError, NewKey, Overlap, PageRequest, Set,
    account::ServiceAccountId,
    conformance::{
        bed::Bed,
        outcome::{Outcome, ensure, fail, same},
    },
    manager::{AccountUpdate, KeyManager, NewAccount},
    query::{AuditFilter, KeyFilter},
};

type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), ManageError>> + Send + 'a>>;

/// An operation on a key, by its name.
type Operation = (&'static str, for<'a> fn(&'a KeyManager, &'a Actor, &'a KeyId) -> Answer<'a>);

const ON_KEYS: [Operation; 10] = [
    ("get", |keys, actor, id| Box::pin(async move { keys.get(actor, id).await.map(drop) })),
    ("update", |keys, actor, id| {
        Box::pin(
            async move { keys.update(actor, id, KeyUpdate::new().name(Set::To("changed".to_owned()))).await.map(drop) },
        )
    }),
    ("rotate", |keys, actor, id| Box::pin(async move { keys.rotate(actor, id, Overlap::UntilEnded).await.map(drop) })),
    ("end_overlap", |keys, actor, id| Box::pin(async move { keys.end_overlap(actor, id).await.map(drop) })),
    ("disable", |keys, actor, id| Box::pin(async move { keys.disable(actor, id).await.map(drop) })),
    ("enable", |keys, actor, id| Box::pin(async move { keys.enable(actor, id).await.map(drop) })),
    ("duplicate", |keys, actor, id| Box::pin(async move { keys.duplicate(actor, id).await.map(drop) })),
    ("revoke", |keys, actor, id| Box::pin(async move { keys.revoke(actor, id, "").await.map(drop) })),
    ("revoke_with_descendants", |keys, actor, id| {
        Box::pin(async move { keys.revoke_with_descendants(actor, id, "").await.map(drop) })
    }),
    ("delete", |keys, actor, id| Box::pin(async move { keys.delete(actor, id).await })),
];

pub(in crate::conformance) async fn given_each_right_when_each_operation_is_asked_for_then_the_table_decides(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host) = (&stage.keys, &stage.host);
    // What the actor has; then for keys with `files:read`, `files:write` and `keys:read`: may it see them, touch them,
    // hand them out?
    let table = [
        ("files:read files:write", [(false, false, false); 3]),
        ("keys:read *:nothing", [(true, false, false); 3]),
        ("keys:write", [(true, false, false), (true, false, false), (true, true, false)]),
        ("keys:write files:read", [(true, true, true), (true, false, false), (true, true, false)]),
        ("keys:write files:*", [(true, true, true), (true, true, true), (true, true, false)]),
        ("keys:admin", [(true, true, false), (true, true, false), (true, true, true)]),
        ("keys:admin reader", [(true, true, true), (true, true, false), (true, true, true)]),
        ("*", [(true, true, true); 3]),
    ];
    for (scopes, expected) in table {
        let scopes = scopes.replace(" *:nothing", "");
        let actor = user(&stage.ours, &scopes)?;
        for (scope, (sees, touches, hands_out)) in ["files:read", "files:write", "keys:read"].into_iter().zip(expected)
        {
            let issued = keys.issue(&actor, NewKey::new("a key").scopes([scope])).await;
            same!(allowed(issued.map(drop))?, hands_out, "may {scopes} issue {scope}");
            for (name, operation) in ON_KEYS {
                let key = keys.issue(host, NewKey::new("a key").scopes([scope])).await?;
                if name == "enable" {
                    keys.disable(host, key.id()).await?;
                }
                let may = match name {
                    "get" => sees,
                    "rotate" | "end_overlap" | "enable" | "duplicate" => hands_out,
                    _ => touches,
                };
                let before = stage.dump().await?;
                same!(allowed(operation(keys, &actor, key.id()).await)?, may, "may {scopes} {name} {scope}");
                if !may {
                    same!(stage.dump().await?, before, "what is kept after {name} was refused to {scopes}");
                }
            }
        }
        let is_reader = scopes.contains("keys:") || scopes == "*";
        let is_admin = scopes.contains("keys:admin") || scopes == "*";
        let listed = keys.list(&actor, KeyFilter::default(), PageRequest::first()).await.map(drop);
        same!(allowed(listed)?, is_reader, "may {scopes} list keys");
        let told = keys.audit(&actor, AuditFilter::default(), PageRequest::first()).await.map(drop);
        same!(allowed(told)?, is_reader, "may {scopes} read the audit trail");
        let made = keys.create_account(&actor, NewAccount::new("an account")).await.map(drop);
        same!(allowed(made)?, is_admin, "may {scopes} make a service account");
    }
    Ok(())
}

/// Was it done, or forbidden? Anything else is a failure.
fn allowed(result: Result<(), ManageError>) -> Result<bool, crate::conformance::Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(ManageError::Forbidden(_)) => Ok(false),
        Err(other) => fail!("what is not allowed is forbidden, but: {other:?}"),
    }
}

pub(in crate::conformance) async fn given_an_actor_that_expires_when_it_issues_then_nothing_outlives_it(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let parent = keys.issue(host, NewKey::new("parent").scopes(["*"]).expires_at(bed.at(100))).await?;
    let actor = key_actor(parent.record());
    let forbidden = |error: &ManageError| error.code() == "forbidden";
    let new = || NewKey::new("child").scopes(["files:read"]);
    stage.fails("a key for ever", keys.issue(&actor, new()), "it outlives", forbidden).await?;
    stage
        .fails("a key for longer", keys.issue(&actor, new().expires_at(bed.at(101))), "it outlives", forbidden)
        .await?;
    let child = keys.issue(&actor, new().expires_at(bed.at(100))).await?;
    let extend = KeyUpdate::new().expires_at(Set::To(bed.at(101)));
    stage.fails("an extension", keys.update(&actor, child.id(), extend), "it outlives", forbidden).await?;
    let old = stage.issue().await?;
    stage.fails("a rotation", keys.rotate(&actor, old.id(), Overlap::None), "it outlives", forbidden).await?;
    // The key that asks is judged by its record, whatever the actor says.
    keys.update(host, parent.id(), KeyUpdate::new().scopes(Set::To(vec!["keys:write".to_owned()]))).await?;
    let asked = keys.issue(&actor, new().expires_at(bed.at(50)));
    stage.fails("a key beyond what is left", asked, "its scopes are fewer by now", forbidden).await?;
    keys.revoke(host, parent.id(), "").await?;
    let none = NewKey::new("child").expires_at(bed.at(50));
    stage.fails("a key by a revoked key", keys.issue(&actor, none), "it is not live", forbidden).await?;
    Ok(())
}

pub(in crate::conformance) async fn given_anothers_key_when_anything_is_asked_then_as_if_there_were_none(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, bed) = (&stage.keys, &stage.bed);
    let theirs = Actor::host("tests", bed.organization("theirs"))?;
    let account = keys.create_account(&theirs, NewAccount::new("an account")).await?;
    let key = keys.issue(&theirs, NewKey::new("theirs").service_account(account.id.clone())).await?;
    let before = bed.dump(&[&stage.ours, theirs.organization()]).await?;
    let (unknown, unknown_account) = (bed.id(), ServiceAccountId::new(bed.unique())?);
    for actor in [&stage.host, &user(&stage.ours, "*")?, &user(&stage.ours, "keys:write")?] {
        for (name, operation) in ON_KEYS {
            let [anothers, nobodys] = [operation(keys, actor, key.id()).await, operation(keys, actor, &unknown).await];
            let told = |result: Result<(), ManageError>| result.map_err(|error| (error.code(), error.to_string()));
            let [anothers, nobodys] = [told(anothers), told(nobodys)];
            ensure!(nobodys.is_err(), "{name} of a key that there is not");
            same!(anothers, nobodys, "what {name} tells of another's key, and of none");
        }
        let results = [keys.account(actor, &account.id).await, keys.account(actor, &unknown_account).await];
        let [anothers, nobodys] = results.map(|result| result.map_err(|error| error.to_string()));
        same!(anothers, nobodys, "what is told of another's account, and of none");
    }
    let host = &stage.host;
    let update = || AccountUpdate::new().name(Set::To("taken over".to_owned()));
    let results = [
        (
            keys.update_account(host, &account.id, update()).await,
            keys.update_account(host, &unknown_account, update()).await,
        ),
        (keys.disable_account(host, &account.id).await, keys.disable_account(host, &unknown_account).await),
        (keys.enable_account(host, &account.id).await, keys.enable_account(host, &unknown_account).await),
    ];
    for (anothers, nobodys) in results {
        let told = |result: Result<_, ManageError>| result.map_err(|error| error.to_string());
        same!(told(anothers), told(nobodys), "what is told of a change of another's account, and of none");
    }
    let bound = keys.issue(host, NewKey::new("bound").service_account(account.id.clone()));
    stage.refuses("a key of another's account", bound, "service_account", "unknown").await?;
    same!(bed.dump(&[&stage.ours, theirs.organization()]).await?, before, "what both organizations keep");
    Ok(())
}
