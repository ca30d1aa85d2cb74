//! Each kind of change during a load of the key. The store's answer is from before the change, and must not be used.
//! Tokio's clock is paused, so that a load that is never released times out immediately.

use std::sync::Arc;

use apikey_core::{KeyStatus, ScopeSet};
use support::{
    stand::{Setting, Stand, key_id},
    store::Behaviour,
};

/// A change, and the status of `name` after it.
struct Change {
    what: &'static str,
    name: &'static str,
    happen: fn(&Stand),
    after: u16,
}

impl Change {
    fn new(what: &'static str, name: &'static str, happen: fn(&Stand), after: u16) -> Self {
        Change { what, name, happen, after }
    }
}

fn changes() -> [Change; 9] {
    [
        Change::new(
            "revoke",
            "reader",
            |stand| {
                stand.change("reader", |claims| claims, |record| record.with_status(KeyStatus::Revoked));
                stand.authenticator.revoke(&key_id("reader"));
            },
            401,
        ),
        Change::new(
            "revoke_secret",
            "reader-too",
            |stand| {
                let end = stand.clock.wall();
                stand.change("reader-too", |claims| claims, |record| record.with_secret_end(end));
                stand.authenticator.revoke_secret(&key_id("reader"), &stand.digest("reader-too"));
            },
            401,
        ),
        Change::new(
            "refresh after fewer scopes",
            "reader",
            |stand| {
                stand.change("reader", |claims| claims.with_scopes(ScopeSet::empty()), |record| record);
                stand.authenticator.refresh(&key_id("reader"));
            },
            403,
        ),
        Change::new(
            "refresh after disabling",
            "reader",
            |stand| {
                stand.change("reader", |claims| claims, |record| record.with_status(KeyStatus::Disabled));
                stand.authenticator.refresh(&key_id("reader"));
            },
            401,
        ),
        Change::new(
            "refresh after an earlier expiry",
            "reader",
            |stand| {
                let now = stand.clock.wall();
                stand.change("reader", |claims| claims.with_expiry(now), |record| record);
                stand.authenticator.refresh(&key_id("reader"));
            },
            401,
        ),
        Change::new(
            "refresh after enabling",
            "disabled",
            |stand| {
                stand.change("disabled", |claims| claims, |record| record);
                stand.authenticator.refresh(&key_id("disabled"));
            },
            200,
        ),
        Change::new(
            "refresh of a key new to the store",
            "unknown",
            |stand| {
                stand.change("unknown", |claims| claims, |record| record);
                stand.authenticator.refresh(&key_id("unknown"));
            },
            200,
        ),
        Change::new(
            "refresh_all",
            "reader",
            |stand| {
                stand.change("reader", |claims| claims, |record| record.with_status(KeyStatus::Disabled));
                stand.authenticator.refresh_all();
            },
            401,
        ),
        Change::new(
            "forget_refused after an import",
            "unknown",
            |stand| {
                stand.change("unknown", |claims| claims, |record| record);
                stand.authenticator.forget_refused();
            },
            200,
        ),
    ]
}

fn held() -> Arc<Stand> {
    let stand = Stand::new(Setting::Plain);
    stand.store.behave(Behaviour::Hold);
    Arc::new(stand)
}

#[tokio::test(start_paused = true)]
async fn given_a_load_under_way_when_the_key_is_changed_then_all_who_wait_get_the_new_answer_and_it_is_cached() {
    for Change { what, name, happen, after } in changes() {
        let stand = held();
        let first = stand.spawn_ask(name);
        stand.store.entered().await;
        let joined = stand.spawn_ask(name);
        happen(&stand);
        let late = stand.spawn_ask(name);
        stand.store.release(1);
        stand.store.entered().await;
        stand.store.release(1);
        for request in [first, joined, late] {
            assert_eq!(request.await.unwrap(), after, "{what}");
        }
        assert_eq!(stand.store.calls(), 2, "{what}");
        assert_eq!(stand.ask_counted(name).await, (after, 0), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn given_a_stale_key_that_is_being_loaded_when_it_is_changed_then_the_new_answer_counts() {
    for Change { what, name, happen, after } in changes().into_iter().filter(|change| change.name.starts_with("reader"))
    {
        let stand = Arc::new(Stand::new(Setting::Plain));
        assert_eq!(stand.ask(name).await, 200);
        stand.clock.advance(std::time::Duration::from_secs(60));
        stand.store.behave(Behaviour::Hold);
        let request = stand.spawn_ask(name);
        stand.store.entered().await;
        happen(&stand);
        stand.store.release(2);
        assert_eq!(request.await.unwrap(), after, "{what}");
        assert_eq!(stand.store.calls(), 3, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn given_a_load_under_way_when_something_else_is_changed_then_its_answer_counts() {
    let others: [fn(&Stand); 3] = [
        |stand| stand.authenticator.revoke(&key_id("admin")),
        |stand| stand.authenticator.refresh(&key_id("admin")),
        |stand| stand.authenticator.forget_refused(),
    ];
    for happen in others {
        let stand = held();
        let request = stand.spawn_ask("reader");
        stand.store.entered().await;
        happen(&stand);
        stand.store.release(1);
        assert_eq!(request.await.unwrap(), 200);
        assert_eq!(stand.ask_counted("reader").await, (200, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn given_a_load_under_way_when_another_secret_of_the_key_is_revoked_then_it_is_loaded_again_and_let_in() {
    let stand = held();
    let request = stand.spawn_ask("reader");
    stand.store.entered().await;
    stand.authenticator.revoke_secret(&key_id("reader"), &stand.digest("reader-too"));
    stand.store.release(2);
    assert_eq!(request.await.unwrap(), 200);
    assert_eq!(stand.store.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn given_changes_that_outrun_three_loads_when_a_key_is_asked_for_then_503_and_nothing_is_remembered() {
    let stand = held();
    let request = stand.spawn_ask("reader");
    for _ in 0..3 {
        stand.store.entered().await;
        stand.authenticator.refresh(&key_id("reader"));
        stand.store.release(1);
    }
    assert_eq!(request.await.unwrap(), 503);
    assert_eq!(stand.store.calls(), 3);
    stand.store.behave(Behaviour::Answer);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
    assert_eq!(stand.ask_counted("reader").await, (200, 0));
}

#[tokio::test(start_paused = true)]
async fn given_two_loads_lost_when_the_third_is_not_then_its_answer_counts() {
    let stand = held();
    let request = stand.spawn_ask("reader");
    for _ in 0..2 {
        stand.store.entered().await;
        stand.authenticator.refresh_all();
        stand.store.release(1);
    }
    stand.store.entered().await;
    stand.store.release(1);
    assert_eq!(request.await.unwrap(), 200);
    assert_eq!(stand.store.calls(), 3);
}
