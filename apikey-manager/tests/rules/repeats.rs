//! Changes that are repeated because their answer was lost.

use std::time::Duration;

use apikey_core::ScopeSet;
use apikey_manager::{Actor, BulkRevocation, Expiry, ManageError, NewAccount, NewKey, Overlap, Rights, Selection};

use crate::{bed::Bed, stage::Stage};

const DAY: i64 = 86_400;

/// Returns the keys named by the error of a repeated change.
fn done<T: std::fmt::Debug>(repeated: Result<T, ManageError>) -> Vec<String> {
    match repeated.unwrap_err() {
        ManageError::AlreadyDone { keys } => {
            let mut ids: Vec<_> = keys.iter().map(ToString::to_string).collect();
            ids.sort_unstable();
            ids
        }
        other => panic!("{other:?}"),
    }
}

impl Stage {
    fn once(&self, key: &str) -> Actor {
        self.host.clone().with_idempotency_key(key, "POST /there", b"{}")
    }
}

/// Each change that yields secrets or ends many keys is made once, and the repetition names its keys.
#[tokio::test]
async fn a_repeated_change_names_its_keys_and_changes_nothing() {
    let stage = Stage::new(Bed::new());
    let keys = &stage.keys;
    let account = keys.create_account(&stage.host, NewAccount::new("robots")).await.unwrap();

    let issue =
        async |it: &str| keys.issue(&stage.once(it), NewKey::new("k").service_account(account.id.clone())).await;
    let key = issue("1").await.unwrap();
    let before = stage.dump().await;
    assert_eq!(done(issue("1").await), [key.id().to_string()]);
    let id = key.id();
    assert_eq!(stage.dump().await, before, "a repeated issue changes nothing");

    let copy = keys.duplicate(&stage.once("2"), id).await.unwrap();
    let overlap = Overlap::For(Duration::from_secs(60));
    keys.rotate(&stage.once("3"), id, overlap).await.unwrap();
    let rotated = keys.rotate_account(&stage.once("4"), &account.id, overlap).await.unwrap();
    assert_eq!(rotated.len(), 2);
    let mut both = [id.to_string(), copy.id().to_string()];
    both.sort_unstable();
    let before = stage.dump().await;
    assert_eq!(done(keys.duplicate(&stage.once("2"), id).await), [copy.id().to_string()]);
    assert_eq!(done(keys.rotate(&stage.once("3"), id, overlap).await), [id.to_string()]);
    assert_eq!(done(keys.rotate_account(&stage.once("4"), &account.id, overlap).await), both);
    assert_eq!(stage.dump().await, before, "nothing is changed again");

    let bulk = || BulkRevocation::new(Selection::ServiceAccount(account.id.clone()));
    keys.revoke_selected(&stage.once("5"), bulk()).await.unwrap();
    let before = stage.dump().await;
    assert_eq!(done(keys.revoke_selected(&stage.once("5"), bulk()).await), both);
    assert_eq!(stage.dump().await, before, "nothing is revoked again");
}

/// A request is identified by its actor, operation and input.
#[tokio::test]
async fn another_actor_operation_or_key_is_another_request() {
    let stage = Stage::new(Bed::new());
    let issue = async |actor: &Actor| stage.keys.issue(actor, NewKey::new("k")).await;
    issue(&stage.once("1")).await.unwrap();
    let everything = Rights::scopes(ScopeSet::everything());
    let alice = Actor::user("alice", stage.ours.clone(), everything).unwrap();
    for other in [
        stage.once("2"),
        stage.host.clone().with_idempotency_key("1", "POST /elsewhere", b"{}"),
        alice.with_idempotency_key("1", "POST /there", b"{}"),
        stage.host.clone(),
        stage.host.clone(),
    ] {
        issue(&other).await.unwrap();
    }
    let before = stage.dump().await;
    let other_input = stage.host.clone().with_idempotency_key("1", "POST /there", b"{ }");
    let refused = issue(&other_input).await.unwrap_err();
    assert!(matches!(refused, ManageError::IdempotencyKeyReused), "{refused:?}");
    assert_eq!(stage.dump().await, before, "a key with other input changes nothing");
}

/// A failed change can be repeated, and is then carried out.
#[tokio::test]
async fn a_change_that_fails_is_not_remembered() {
    let stage = Stage::new(Bed::new());
    let once = stage.once("1");
    let invalid = stage.keys.issue(&once, NewKey::new("")).await.unwrap_err();
    assert!(invalid.is_about("name"), "{invalid:?}");
    let late = NewKey::new("k").expiry(Expiry::At(stage.bed.at(-1)));
    let invalid = stage.keys.issue(&once, late).await.unwrap_err();
    assert!(invalid.is_about("expires_at"), "{invalid:?}");
    stage.keys.issue(&once, NewKey::new("k")).await.unwrap();
}

/// Within a day, the answer is the same; after that, the request is new.
#[tokio::test]
async fn a_request_is_remembered_for_a_day() {
    let stage = Stage::new(Bed::new());
    let issue = async || stage.keys.issue(&stage.once("1"), NewKey::new("k")).await;
    let first = issue().await.unwrap();
    stage.at(DAY);
    assert_eq!(done(issue().await), [first.id().to_string()]);
    stage.at(DAY + 1);
    let second = issue().await.unwrap();
    assert_eq!(done(issue().await), [second.id().to_string()]);
}

/// Of many concurrent repetitions, one is carried out.
#[tokio::test]
async fn of_two_at_once_one_is_carried_out() {
    let stage = Stage::new(Bed::new());
    let issue = async || stage.keys.issue(&stage.once("1"), NewKey::new("k")).await;
    let answers: [_; 2] = tokio::join!(issue(), issue()).into();
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 1));
    let id = made.into_iter().next().unwrap().unwrap().id().to_string();
    assert_eq!(done(refused.into_iter().next().unwrap()), [id]);
}

/// Operations that can be repeated safely ignore the request's key.
#[tokio::test]
async fn other_changes_may_be_repeated() {
    let stage = Stage::new(Bed::new());
    let (keys, once) = (&stage.keys, stage.once("1"));
    let account = keys.create_account(&once, NewAccount::new("robots")).await.unwrap();
    let key = keys.issue(&stage.host, NewKey::new("k").service_account(account.id.clone())).await.unwrap();
    for _ in 0..2 {
        keys.disable(&once, key.id()).await.unwrap();
    }
    for _ in 0..2 {
        keys.revoke_with_descendants(&once, key.id(), "over").await.unwrap();
    }
    keys.delete_account(&once, &account.id).await.unwrap();
    keys.issue(&once, NewKey::new("k")).await.unwrap();
}
