//! Every way of ending a key.

use std::time::Duration;

use apikey_manager::{
    Actor, BulkRevocation, Invalidation, KeyManager, KeyStore, ManageError, NewAccount, NewKey, Overlap, Selection,
};

use crate::bed::{PATIENCE, admit, ended, host, issue, on_each_database, receipt_of, refusal};

type Way = (&'static str, fn(&KeyManager, Actor, &apikey_manager::IssuedKey) -> Ended);
type Ended = std::pin::Pin<Box<dyn Future<Output = Result<(), ManageError>> + Send>>;

macro_rules! way {
    ($name:literal, |$keys:ident, $actor:ident, $key:ident| $end:expr) => {
        ($name, |keys, actor, key| {
            let ($keys, $actor, $key) = (keys.clone(), actor, key.id().clone());
            Box::pin(async move { $end.await.map(drop) })
        })
    };
}

const WAYS: [Way; 6] = [
    way!("revoked", |keys, actor, id| keys.revoke(&actor, &id, "leaked")),
    way!("disabled", |keys, actor, id| keys.disable(&actor, &id)),
    way!("deleted", |keys, actor, id| keys.delete(&actor, &id)),
    way!("rotated without an overlap", |keys, actor, id| keys.rotate(&actor, &id, Overlap::None)),
    way!("revoked with its descendants", |keys, actor, id| keys.revoke_with_descendants(&actor, &id, "")),
    way!("revoked with all", |keys, actor, id| async {
        let _ = id;
        keys.revoke_selected(&actor, BulkRevocation::new(Selection::Everything)).await
    }),
];

#[tokio::test]
async fn given_a_key_in_use_elsewhere_when_it_ends_in_any_way_then_it_is_dead_there_when_the_operation_returns() {
    on_each_database(async |bed| {
        let (here, there) = (bed.manager().await, bed.manager().await);
        for (name, end) in WAYS {
            let key = issue(&here, NewKey::new(name)).await;
            let (caller, _) = (admit(&there, &key).await, admit(&here, &key).await);
            let receipt = receipt_of(async |actor| end(&here, actor, &key).await).await;
            assert_eq!((receipt.nodes, receipt.waited_out.len()), (2, 0), "{name}");
            assert!(!caller.is_live(), "{name}: what is under way");
            assert_eq!([refusal(&there, &key).await, refusal(&here, &key).await], [401, 401], "{name}");
            // Whoever repeats it can't know whether the first was told to all.
            let again = receipt_of(async |actor| match end(&here, actor, &key).await {
                Err(ManageError::NotFound(_)) => here.revoke_selected(&host(), everything()).await.map(drop),
                ended => ended,
            });
            if !matches!(name, "deleted" | "rotated without an overlap") {
                assert!(again.await.revision > receipt.revision, "{name}: repeated");
            }
        }
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn given_two_who_end_keys_at_once_when_each_waits_for_the_other_then_both_have_receipts() {
    on_each_database(async |bed| {
        let (here, there) = (bed.manager().await, bed.manager().await);
        for n in 0..10 {
            let keys =
                [issue(&here, NewKey::new(format!("a{n}"))).await, issue(&there, NewKey::new(format!("b{n}"))).await];
            for key in &keys {
                let _ = (admit(&here, key).await, admit(&there, key).await);
            }
            let (one, other) = tokio::join!(
                receipt_of(async |actor| here.revoke(&actor, keys[0].id(), "").await),
                receipt_of(async |actor| there.revoke(&actor, keys[1].id(), "").await),
            );
            assert!(one.waited_out.is_empty() && other.waited_out.is_empty() && one.revision != other.revision);
            // The same key at both is no conflict, either.
            let _ = tokio::join!(
                receipt_of(async |actor| here.revoke(&actor, keys[0].id(), "").await),
                receipt_of(async |actor| there.revoke(&actor, keys[0].id(), "").await),
            );
            for key in &keys {
                assert_eq!([refusal(&here, key).await, refusal(&there, key).await], [401, 401]);
            }
        }
        // Whoever hangs up while a change waits for its receipt has made it nevertheless.
        let key = issue(&here, NewKey::new("hung up")).await;
        admit(&there, &key).await;
        let actor = host();
        let revocation = here.revoke(&actor, key.id(), "");
        assert!(tokio::time::timeout(Duration::ZERO, revocation).await.is_err(), "it takes a moment");
        let revoked = async {
            while crate::bed::request(&there, &key).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, revoked).await.is_ok(), "it was not made");
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

fn everything() -> BulkRevocation {
    BulkRevocation::new(Selection::Everything)
}

#[tokio::test]
async fn given_an_account_or_an_organization_when_it_ends_and_comes_back_then_its_keys_follow_elsewhere() {
    on_each_database(async |bed| {
        let (here, there) = (bed.manager().await, bed.manager().await);
        let account = here.create_account(&host(), NewAccount::new("deploy")).await.unwrap();
        let key = issue(&here, NewKey::new("ci").service_account(account.id.clone())).await;
        let caller = admit(&there, &key).await;
        here.disable_account(&host(), &account.id).await.unwrap();
        assert!(!caller.is_live());
        assert_eq!(refusal(&there, &key).await, 401);
        here.enable_account(&host(), &account.id).await.unwrap();
        let caller = admit(&there, &key).await;
        there.suspend_organization(&host()).await.unwrap();
        assert_eq!(refusal(&here, &key).await, 401);
        assert!(!caller.is_live());
        let resumed = receipt_of(async |actor| here.resume_organization(&actor).await).await;
        let again = receipt_of(async |actor| here.resume_organization(&actor).await).await;
        assert!(again.revision > resumed.revision);
        let caller = admit(&there, &key).await;
        here.delete_account(&host(), &account.id).await.unwrap();
        assert!(!caller.is_live());
        assert_eq!(refusal(&there, &key).await, 401);
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn given_an_overlap_when_it_ends_or_its_end_moves_then_requests_elsewhere_end_with_it() {
    on_each_database(async |bed| {
        let (here, there) = (bed.manager().await, bed.manager().await);
        let old = issue(&here, NewKey::new("rotated")).await;
        let new = here.rotate(&host(), old.id(), Overlap::UntilEnded).await.unwrap();
        let (with_old, with_new) = (admit(&there, &old).await, admit(&there, &new).await);
        here.end_overlap(&host(), old.id()).await.unwrap();
        assert_eq!((with_old.is_live(), with_new.is_live()), (false, true));
        assert_eq!(refusal(&there, &old).await, 401);
        // An expiry that is moved reaches what is under way.
        let soon = here.now() + Duration::from_secs(3);
        let update = apikey_manager::KeyUpdate::new().expires_at(apikey_manager::Patch::To(soon));
        here.update(&host(), new.id(), update).await.unwrap();
        ended(&with_new).await;
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn given_more_keys_than_are_told_one_by_one_when_they_end_then_each_is_looked_up_again_elsewhere() {
    on_each_database(async |bed| {
        let (here, there) = (bed.manager().await, bed.manager().await);
        let (dead, alive) = (issue(&here, NewKey::new("dead")).await, issue(&here, NewKey::new("alive")).await);
        let (with_dead, with_alive) = (admit(&there, &dead).await, admit(&there, &alive).await);
        // As a bulk change of many keys is told: this one, and the one that has ended, are of the organization.
        let store = bed.store().await;
        let mut transaction = store.begin(host().organization()).await.unwrap();
        let key = transaction.key(dead.id()).await.unwrap().unwrap();
        let at = here.now();
        let changes = apikey_manager::Changes {
            changes: vec![apikey_manager::Change::EndSecrets(
                key.id.clone(),
                key.version + 1,
                vec![key.secrets[0].digest.clone()],
                at,
            )],
            affects_callers: true,
            invalidations: vec![Invalidation::Organization(host().organization().clone()), Invalidation::Refused],
        };
        transaction.commit(changes).await.unwrap();
        ended(&with_dead).await;
        let confirmed = async {
            while with_alive.require_live().is_err() {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, confirmed).await.is_ok(), "a key that is valid stays in doubt");
        assert_eq!(refusal(&there, &dead).await, 401);
        admit(&there, &alive).await;
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}
