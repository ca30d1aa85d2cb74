//! Actors grant only what they have, and see only their own organization.

use std::{future::Future, pin::Pin};

use apikey_core::KeyId;
use apikey_manager::{
    AccountUpdate, Actor, AuditFilter, KeyFilter, KeyManager, KeyUpdate, ManageError, NewAccount, NewKey, Overlap,
    PageRequest, Patch, ServiceAccountId,
};

use crate::{bed::Bed, stage::Stage, stage::user};

type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), ManageError>> + Send + 'a>>;

/// An operation on a key, by name.
type Operation = (&'static str, for<'a> fn(&'a KeyManager, &'a Actor, &'a KeyId) -> Answer<'a>);

const ON_KEYS: [Operation; 10] = [
    ("get", |keys, actor, id| Box::pin(async move { keys.get(actor, id).await.map(drop) })),
    ("update", |keys, actor, id| {
        Box::pin(async move {
            keys.update(actor, id, KeyUpdate::new().name(Patch::To("changed".to_owned()))).await.map(drop)
        })
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

/// Each operation is allowed to actors whose scopes cover what it grants or changes.
#[tokio::test]
async fn each_right_opens_what_the_table_says() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    // The actor's scopes. Then, for keys with `files:read`, `files:write` and `keys:read`: whether it may see, change
    // and grant them.
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
        let actor = user(&stage.ours, &scopes);
        for (scope, (sees, touches, hands_out)) in ["files:read", "files:write", "keys:read"].into_iter().zip(expected)
        {
            let issued = keys.issue(&actor, NewKey::new("a key").scopes([scope])).await;
            assert_eq!(allowed(issued.map(drop)), hands_out, "may {scopes} issue {scope}");
            for (name, operation) in ON_KEYS {
                let key = keys.issue(host, NewKey::new("a key").scopes([scope])).await.unwrap();
                if name == "enable" {
                    keys.disable(host, key.id()).await.unwrap();
                }
                let may = match name {
                    "get" => sees,
                    "rotate" | "end_overlap" | "enable" | "duplicate" => hands_out,
                    _ => touches,
                };
                let before = stage.dump().await;
                assert_eq!(allowed(operation(keys, &actor, key.id()).await), may, "may {scopes} {name} {scope}");
                if !may {
                    assert_eq!(stage.dump().await, before, "what is kept after {name} was refused to {scopes}");
                }
            }
        }
        let is_reader = scopes.contains("keys:") || scopes == "*";
        let is_admin = scopes.contains("keys:admin") || scopes == "*";
        let listed = keys.list(&actor, KeyFilter::default(), PageRequest::first()).await.map(drop);
        assert_eq!(allowed(listed), is_reader, "may {scopes} list keys");
        let told = keys.audit(&actor, AuditFilter::default(), PageRequest::first()).await.map(drop);
        assert_eq!(allowed(told), is_reader, "may {scopes} read the audit trail");
        let made = keys.create_account(&actor, NewAccount::new("an account")).await.map(drop);
        assert_eq!(allowed(made), is_admin, "may {scopes} make a service account");
    }
}

/// Returns `true` if the operation was done, and `false` if it was forbidden. Panics on any other result.
fn allowed(result: Result<(), ManageError>) -> bool {
    match result {
        Ok(()) => true,
        Err(ManageError::Forbidden(_)) => false,
        Err(other) => panic!("what is not allowed is forbidden, but: {other:?}"),
    }
}

/// No key outlives the key that issued it. An acting key is judged by its record.
#[tokio::test]
async fn nothing_outlives_the_key_that_issued_it() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let parent = keys.issue(host, NewKey::new("parent").scopes(["*"]).expires_at(bed.at(100))).await.unwrap();
    let actor = stage.actor(&parent).await;
    let forbidden = |error: &ManageError| error.code() == "forbidden";
    let new = || NewKey::new("child").scopes(["files:read"]);
    stage.fails("a key for ever", keys.issue(&actor, new()), "it outlives", forbidden).await;
    stage.fails("a key for longer", keys.issue(&actor, new().expires_at(bed.at(101))), "it outlives", forbidden).await;
    let child = keys.issue(&actor, new().expires_at(bed.at(100))).await.unwrap();
    let extend = KeyUpdate::new().expires_at(Patch::To(bed.at(101)));
    stage.fails("an extension", keys.update(&actor, child.id(), extend), "it outlives", forbidden).await;
    let old = stage.issue().await.unwrap();
    stage.fails("a rotation", keys.rotate(&actor, old.id(), Overlap::None), "it outlives", forbidden).await;
    // The acting key is judged by its record, not by the actor.
    keys.update(host, parent.id(), KeyUpdate::new().scopes(Patch::To(vec!["keys:write".to_owned()]))).await.unwrap();
    let asked = keys.issue(&actor, new().expires_at(bed.at(50)));
    stage.fails("a key beyond what is left", asked, "its scopes are fewer by now", forbidden).await;
    keys.revoke(host, parent.id(), "").await.unwrap();
    let none = NewKey::new("child").expires_at(bed.at(50));
    stage.fails("a key by a revoked key", keys.issue(&actor, none), "it is not live", forbidden).await;
}

/// Another organization's key is not found, with the same error as an unknown key.
#[tokio::test]
async fn another_organizations_key_is_not_found() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, bed) = (&stage.keys, &stage.bed);
    let theirs = Actor::host("tests", bed.organization("theirs")).unwrap();
    let account = keys.create_account(&theirs, NewAccount::new("an account")).await.unwrap();
    let key = keys.issue(&theirs, NewKey::new("theirs").service_account(account.id.clone())).await.unwrap();
    let before = bed.dump(&[&stage.ours, theirs.organization()]).await;
    let (unknown, unknown_account) = (bed.id(), ServiceAccountId::new(bed.unique()).unwrap());
    for actor in [&stage.host, &user(&stage.ours, "*"), &user(&stage.ours, "keys:write")] {
        for (name, operation) in ON_KEYS {
            let [anothers, nobodys] = [operation(keys, actor, key.id()).await, operation(keys, actor, &unknown).await];
            let told = |result: Result<(), ManageError>| result.map_err(|error| (error.code(), error.to_string()));
            let [anothers, nobodys] = [told(anothers), told(nobodys)];
            assert!(nobodys.is_err(), "{name} of a key that there is not");
            assert_eq!(anothers, nobodys, "what {name} tells of another's key, and of none");
        }
        let results = [keys.account(actor, &account.id).await, keys.account(actor, &unknown_account).await];
        let [anothers, nobodys] = results.map(|result| result.map_err(|error| error.to_string()));
        assert_eq!(anothers, nobodys, "what is told of another's account, and of none");
    }
    let host = &stage.host;
    let update = || AccountUpdate::new().name(Patch::To("taken over".to_owned()));
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
        assert_eq!(told(anothers), told(nobodys), "what is told of a change of another's account, and of none");
    }
    let bound = keys.issue(host, NewKey::new("bound").service_account(account.id.clone()));
    stage.refuses("a key of another's account", bound, "service_account", "unknown").await;
    assert_eq!(bed.dump(&[&stage.ours, theirs.organization()]).await, before, "what both organizations keep");
}
