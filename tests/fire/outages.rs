//! Stores that fail, hang and panic, and runtimes that end.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use apikey_core::{
    Authenticator, BoxError, Claims, KeyId, PresentedKey, RejectionKind, Resolution, Resolver, adapter::Decision,
};

use crate::stand::{Gated, decide, format, load, poll_once, unknown_keys};

#[derive(Clone, Copy, Debug)]
enum Mood {
    Answers,
    Fails,
    Hangs,
    PanicsAtOnce,
    PanicsLater,
}

struct Moody {
    mood: Mutex<Mood>,
    calls: AtomicUsize,
}

impl Resolver for Moody {
    type Error = BoxError;

    // Not an `async fn`, because one of the faults is a panic before there is a future.
    fn resolve(&self, key: &PresentedKey) -> impl Future<Output = Result<Option<Resolution>, BoxError>> + Send {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mood = *self.mood.lock().unwrap();
        assert!(!matches!(mood, Mood::PanicsAtOnce), "the store panics at once");
        let digest = key.digest().clone();
        async move {
            tokio::task::yield_now().await;
            match mood {
                Mood::Answers => Ok(Some(Resolution::new(digest, Claims::new(KeyId::new("k")?)))),
                Mood::Fails => Err("the store is down".into()),
                Mood::Hangs => std::future::pending().await,
                Mood::PanicsAtOnce | Mood::PanicsLater => panic!("the store panics"),
            }
        }
    }
}

fn is_unavailable(decision: Decision) -> bool {
    decision.is_err_and(|rejection| {
        rejection.kind() == RejectionKind::Unavailable
            && rejection.status() == 503
            && rejection.retry_after() == Some(1)
    })
}

#[tokio::test(start_paused = true)]
async fn given_a_store_in_trouble_when_it_recovers_then_requests_are_503_until_then_and_normal_right_after() {
    for trouble in [Mood::Fails, Mood::Hangs, Mood::PanicsAtOnce, Mood::PanicsLater] {
        let store = Arc::new(Moody { mood: Mutex::new(trouble), calls: AtomicUsize::new(0) });
        let authenticator = Authenticator::builder(store.clone())
            .format(format())
            .resolver_timeout(Duration::from_secs(2))
            .build()
            .unwrap();
        let keys = unknown_keys(1);
        for n in 1..=3 {
            assert!(is_unavailable(decide(&authenticator, &keys[0]).await), "{trouble:?}");
            assert_eq!(store.calls.load(Ordering::SeqCst), n, "{trouble:?}: nothing is remembered of an outage");
        }
        *store.mood.lock().unwrap() = Mood::Answers;
        assert!(decide(&authenticator, &keys[0]).await.unwrap().is_some(), "{trouble:?}");
        *store.mood.lock().unwrap() = trouble;
        assert!(decide(&authenticator, &keys[0]).await.unwrap().is_some(), "{trouble:?}: what is cached serves on");
        assert_eq!(store.calls.load(Ordering::SeqCst), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn given_every_turn_taken_for_good_when_a_request_waits_for_one_then_it_too_times_out() {
    let store = Gated::closed(&[]);
    let authenticator = Authenticator::builder(store.clone())
        .format(format())
        .resolver_concurrency(1)
        .resolver_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let keys = unknown_keys(2);
    let (first, second) = tokio::join!(decide(&authenticator, &keys[0]), decide(&authenticator, &keys[1]));
    assert!(is_unavailable(first) && is_unavailable(second));
    assert_eq!(store.calls(), 1, "the second never had its turn");
}

#[tokio::test(start_paused = true)]
async fn given_more_cold_keys_than_turns_when_the_store_hangs_then_it_is_not_called_for_those_whose_time_is_up() {
    let store = Gated::closed(&[]);
    let authenticator = Authenticator::builder(store.clone())
        .format(format())
        .resolver_concurrency(8)
        .resolver_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let decisions = unknown_keys(50).into_iter().map(|key| {
        let authenticator = authenticator.clone();
        tokio::spawn(async move { decide(&authenticator, &key).await })
    });
    for decision in decisions.collect::<Vec<_>>() {
        assert!(is_unavailable(decision.await.unwrap()));
    }
    assert_eq!(store.calls(), 6, "one for each turn of cold keys");
}

#[test]
fn given_a_runtime_that_ends_under_a_look_up_when_others_wait_for_it_then_they_get_an_answer() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let keys = unknown_keys(1);
    let store = Gated::closed(&keys);
    let authenticator = Authenticator::builder(store.clone()).format(format()).build().unwrap();
    let dying = runtime();
    // The lookup begins on a runtime that then ends, along with its timer.
    let mut leader = load(&authenticator, &keys[0]);
    assert!(dying.block_on(async { poll_once(&mut leader).is_pending() }));
    let waiter = load(&authenticator, &keys[0]);
    drop(dying);
    let _ = poll_once(&mut leader);
    drop(leader);
    store.let_through();
    let living = runtime();
    // The timer may panic or still answer; that is up to tokio. The waiter gets an answer and no panic.
    match living.block_on(waiter) {
        Ok(key) => assert!(key.is_some()),
        decision => assert!(is_unavailable(decision)),
    }
    assert!(living.block_on(decide(&authenticator, &keys[0])).unwrap().is_some());
}
