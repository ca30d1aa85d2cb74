//! Many concurrent requests: each sees its own caller, one load serves all that wait for it, and clients that
//! disconnect don't disturb others.
//!
//! Tokio's clock is paused: if everything waits, time jumps to the timeouts, so that nothing hangs.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use support::{
    calls::{answer, request, whoami},
    stand::{Setting, Stand},
    store::Behaviour,
};
use tokio::task::JoinHandle;
use tower::{Layer, service_fn};
use tower_apikey::ApiKeyLayer;

/// Creates a stand with this many more keys, and this many turns at the store.
fn crowd(keys: usize, turns: usize) -> (Arc<Stand>, Vec<String>) {
    let mut stand = Stand::with(Setting::Plain, |builder| builder.resolver_concurrency(turns));
    let names: Vec<_> = (0..keys).map(|number| format!("crowd-{number}")).collect();
    names.iter().for_each(|name| stand.issue(name, "files:read"));
    (Arc::new(stand), names)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_200_requests_at_once_when_each_has_another_key_then_each_sees_its_own_caller() {
    let (stand, names) = crowd(200, 64);
    let service = ApiKeyLayer::new(stand.authenticator.clone()).layer(service_fn(whoami));
    // Twice: from the store, delayed until many wait, and from the cache.
    stand.store.behave(Behaviour::Hold);
    for _ in 0..2 {
        let asked: Vec<_> =
            names.iter().map(|name| tokio::spawn(answer(service.clone(), request(stand.token(name))))).collect();
        stand.store.release(names.len());
        for (name, asked) in names.iter().zip(asked) {
            assert_eq!(asked.await.unwrap(), (200, name.clone()));
        }
    }
    assert!(stand.store.calls() >= names.len());
}

#[tokio::test(start_paused = true)]
async fn given_many_requests_with_one_key_when_it_is_loaded_then_the_store_is_asked_once() {
    let stand = Arc::new(Stand::new(Setting::Plain));
    stand.store.behave(Behaviour::Hold);
    let first = stand.spawn_ask("reader");
    stand.store.entered().await;
    let joined: Vec<_> = (0..50).map(|_| stand.spawn_ask("reader")).collect();
    tokio::task::yield_now().await;
    stand.store.release(1);
    assert_eq!(first.await.unwrap(), 200);
    for request in joined {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(stand.store.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn given_a_load_that_others_wait_for_when_the_request_that_began_it_is_dropped_then_they_complete() {
    let stand = Arc::new(Stand::new(Setting::Plain));
    stand.store.behave(Behaviour::Hold);
    let leader = stand.spawn_ask("reader");
    stand.store.entered().await;
    let others: Vec<_> = (0..10).map(|_| stand.spawn_ask("reader")).collect();
    tokio::task::yield_now().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    stand.store.release(1);
    for request in others {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(stand.store.calls(), 1);
}

/// Loads of unknown keys have three quarters of the turns; the rest is reserved for keys that were valid before.
async fn every_turn_is_there(stand: &Arc<Stand>, fresh: &[String], known: &[String]) {
    for name in known {
        assert_eq!(stand.ask(name).await, 200);
    }
    stand.clock.advance(Duration::from_secs(60));
    stand.store.behave(Behaviour::Hold);
    let requests: Vec<_> = fresh.iter().chain(known).map(|name| stand.spawn_ask(name)).collect();
    for _ in &requests {
        stand.store.entered().await;
    }
    stand.store.release(requests.len());
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(stand.store.most_at_once(), fresh.len() + known.len());
}

#[tokio::test(start_paused = true)]
async fn given_many_loads_that_were_dropped_when_asked_again_then_every_turn_at_the_store_is_there() {
    let (stand, names) = crowd(60, 8);
    stand.store.behave(Behaviour::Hold);
    let dropped: Vec<_> = names[..50].iter().map(|name| stand.spawn_ask(name)).collect();
    for _ in 0..6 {
        stand.store.entered().await;
    }
    dropped.iter().for_each(JoinHandle::abort);
    for request in dropped {
        assert!(request.await.unwrap_err().is_cancelled());
    }
    // The others waited for a turn and got none.
    assert_eq!(stand.store.calls(), 6);
    stand.store.behave(Behaviour::Answer);
    every_turn_is_there(&stand, &names[50..56], &names[56..58]).await;
}

#[tokio::test(start_paused = true)]
async fn given_clients_that_hang_up_again_and_again_when_asked_then_the_store_still_answers() {
    let stand = Arc::new(Stand::new(Setting::Plain));
    stand.store.behave(Behaviour::Hold);
    for _ in 0..300 {
        let request = stand.spawn_ask("reader");
        stand.store.entered().await;
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
    }
    stand.store.behave(Behaviour::Answer);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
}

#[tokio::test(start_paused = true)]
async fn given_loads_that_panicked_or_failed_when_asked_again_then_every_turn_at_the_store_is_there() {
    let (stand, names) = crowd(60, 8);
    for behaviour in [Behaviour::Panic, Behaviour::PanicAtOnce, Behaviour::Fail] {
        stand.store.behave(behaviour);
        for name in &names[..20] {
            assert_eq!(stand.ask(name).await, 503);
        }
    }
    stand.store.behave(Behaviour::Answer);
    every_turn_is_there(&stand, &names[50..56], &names[56..58]).await;
}

#[tokio::test(start_paused = true)]
async fn given_a_store_that_hangs_when_loads_time_out_even_before_their_turn_then_all_get_503_and_turns_are_free() {
    let (stand, names) = crowd(60, 8);
    stand.store.behave(Behaviour::Hang);
    let requests: Vec<_> = names[..50].iter().map(|name| stand.spawn_ask(name)).collect();
    let mut answers = BTreeSet::new();
    for request in requests {
        answers.insert(request.await.unwrap());
    }
    assert_eq!(answers, BTreeSet::from([503]));
    assert_eq!(stand.store.most_at_once(), 6);
    stand.store.behave(Behaviour::Answer);
    every_turn_is_there(&stand, &names[50..56], &names[56..58]).await;
}

#[tokio::test(start_paused = true)]
async fn given_a_flood_of_unknown_keys_when_it_fills_the_store_then_a_known_key_is_still_loaded() {
    let (stand, names) = crowd(60, 8);
    assert_eq!(stand.ask("reader").await, 200);
    stand.clock.advance(Duration::from_secs(60));
    stand.store.behave(Behaviour::Hold);
    let flood: Vec<_> = names.iter().map(|name| stand.spawn_ask(name)).collect();
    for _ in 0..6 {
        stand.store.entered().await;
    }
    stand.store.behave(Behaviour::Answer);
    assert_eq!(stand.ask("reader").await, 200);
    flood.iter().for_each(JoinHandle::abort);
}
