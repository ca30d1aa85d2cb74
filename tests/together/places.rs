//! Processes that lose their place among the changes, and databases that somebody has touched.

use apikey_fleet::Settings;
use apikey_manager::{Fleet, NewKey};
use tokio::time::timeout;

use crate::bed::{PATIENCE, admit, ended, issue, on_each_database, receipt_of, refusal, request};

#[tokio::test]
async fn given_a_log_that_somebody_emptied_when_a_key_ends_then_others_look_all_keys_up_again() {
    on_each_database(async |bed| {
        let (here, there) = (bed.manager().await, bed.manager().await);
        let (dead, alive) = (issue(&here, NewKey::new("dead")).await, issue(&here, NewKey::new("alive")).await);
        let (with_dead, with_alive) = (admit(&there, &dead).await, admit(&there, &alive).await);
        // The change and its disappearance are one for the other process.
        bed.run(&format!(
            "BEGIN; UPDATE apikey_fleet SET revision = revision + 2, nonce = '{:032x}'; \
             UPDATE apikey_key SET revoked_at = 1, revoked_by = 'host:test', revoked_reason = '' WHERE id = '{}'; \
             DELETE FROM apikey_change_target; DELETE FROM apikey_change; COMMIT",
            7,
            dead.id()
        ))
        .await;
        ended(&with_dead).await;
        let confirmed = async {
            while with_alive.require_live().is_err() {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(PATIENCE, confirmed).await.is_ok(), "{:?}", with_alive.require_live());
        assert_eq!(refusal(&there, &dead).await, 401);
        let receipt = receipt_of(async |actor| here.revoke(&actor, alive.id(), "").await).await;
        assert_eq!(receipt.waited_out.len(), 0);
        assert_eq!(refusal(&there, &alive).await, 401);
        // The log lacks the change before this one, so the place is lost once more, and what is under way is looked up.
        assert!(with_alive.require_live().is_err());
        ended(&with_alive).await;
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn given_rows_of_processes_that_somebody_deleted_when_keys_end_then_processes_come_back_and_follow() {
    on_each_database(async |bed| {
        let (here, there) = (bed.manager().await, bed.manager().await);
        for n in 0..5 {
            bed.run("DELETE FROM apikey_node").await;
            let key = issue(&here, NewKey::new(format!("k{n}"))).await;
            // Without its row the other is not waited for, and holds a lease: the limit of what an operator may do.
            while here.readiness().await.is_err() || rows(bed).await < 2 {
                tokio::task::yield_now().await;
            }
            admit(&there, &key).await;
            let receipt = receipt_of(async |actor| here.revoke(&actor, key.id(), "").await).await;
            assert_eq!((receipt.nodes, receipt.waited_out.len()), (2, 0));
            assert_eq!(refusal(&there, &key).await, 401);
        }
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

async fn rows(bed: &crate::bed::Bed) -> usize {
    use apikey_manager::KeyStore;
    bed.store().await.fleet().nodes().await.unwrap().1.len()
}

#[tokio::test]
async fn given_a_process_that_has_left_when_asked_then_it_serves_nothing() {
    on_each_database(async |bed| {
        let (here, there) = (bed.manager().await, bed.manager().await);
        let key = issue(&here, NewKey::new("k")).await;
        let caller = admit(&there, &key).await;
        there.shutdown().await;
        assert_eq!(refusal(&there, &key).await, 503);
        assert_eq!(caller.require_live().unwrap_err().status(), 503);
        let receipt = receipt_of(async |actor| here.revoke(&actor, key.id(), "").await).await;
        assert_eq!(receipt.nodes, 1);
        here.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn given_the_fleets_row_that_somebody_deleted_when_it_is_written_as_the_guide_says_then_keys_are_let_in_again() {
    const WRITTEN: &str =
        "INSERT INTO apikey_fleet SELECT 1, revision, nonce FROM apikey_change ORDER BY revision DESC LIMIT 1";
    assert!(include_str!("../../docs/fleet.md").contains(WRITTEN));
    on_each_database(async |bed| {
        let fleet = Fleet::new().lease(Settings::SHORTEST);
        let keys = bed.builder().await.fleet(fleet).build().unwrap();
        let key = issue(&keys, NewKey::new("k")).await;
        keys.readiness().await.unwrap();
        admit(&keys, &key).await;
        bed.run("DELETE FROM apikey_fleet").await;
        while request(&keys, &key).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(refusal(&keys, &key).await, 503);
        bed.run(WRITTEN).await;
        while keys.readiness().await.is_err() {}
        admit(&keys, &key).await;
        receipt_of(async |actor| keys.revoke(&actor, key.id(), "").await).await;
        assert_eq!(refusal(&keys, &key).await, 401);
        keys.shutdown().await;
    })
    .await;
}
