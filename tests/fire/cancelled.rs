//! Clients that disconnect during the lookup of their key.

use std::{sync::atomic::Ordering, task::Poll};

use apikey_core::{Authenticator, RejectionKind};

use crate::{
    sized,
    stand::{Gated, format, load, poll_once, unknown_keys},
};

#[tokio::test]
async fn given_500_leaders_that_hang_up_when_50_wait_for_the_same_key_then_all_50_are_answered() {
    for fails in [false, true] {
        let keys = unknown_keys(1);
        let store = Gated::closed(&keys);
        let authenticator = Authenticator::builder(store.clone()).format(format()).build().unwrap();
        let mut leaders: Vec<_> = (0..500).map(|_| load(&authenticator, &keys[0])).collect();
        for leader in &mut leaders {
            assert!(poll_once(leader).is_pending());
        }
        let mut waiters: Vec<_> = (0..50).map(|_| load(&authenticator, &keys[0])).collect();
        for (n, leader) in leaders.into_iter().enumerate() {
            assert!(poll_once(&mut waiters[n % 50]).is_pending());
            drop(leader);
        }
        store.fails.store(fails, Ordering::SeqCst);
        store.let_through();
        for waiter in waiters {
            match (waiter.await, fails) {
                (Ok(Some(key)), false) => assert_eq!(key.key_id().as_str(), "k0"),
                (Err(rejection), true) => assert_eq!(rejection.kind(), RejectionKind::Unavailable),
                (decision, _) => panic!("{decision:?}"),
            }
        }
        assert_eq!(store.calls(), 1, "one look-up served them all");
    }
}

#[tokio::test]
async fn given_leaders_that_hang_up_one_by_one_when_each_has_a_follower_then_the_follower_drives_on() {
    let keys = unknown_keys(1);
    let store = Gated::closed(&keys);
    let authenticator = Authenticator::builder(store.clone()).format(format()).build().unwrap();
    let mut driving = load(&authenticator, &keys[0]);
    assert!(poll_once(&mut driving).is_pending());
    for _ in 0..500 {
        let mut follower = load(&authenticator, &keys[0]);
        assert!(poll_once(&mut follower).is_pending());
        driving = follower;
    }
    store.let_through();
    assert!(driving.await.unwrap().is_some());
    assert_eq!(store.calls(), 1);
}

#[tokio::test]
async fn given_10000_cancelled_look_ups_when_over_then_every_turn_at_the_resolver_is_free_again() {
    const CONCURRENCY: usize = 8;
    const FOR_UNKNOWN_KEYS: usize = 6; // a quarter is kept for keys known to be good
    let cancelled = sized(10_000, 100_000);
    let store = Gated::closed(&[]);
    let authenticator =
        Authenticator::builder(store.clone()).format(format()).resolver_concurrency(CONCURRENCY).build().unwrap();
    for batch in unknown_keys(cancelled).chunks(20) {
        // Some disconnect while they hold a turn, the others while they wait for one.
        let mut loads: Vec<_> = batch.iter().map(|key| load(&authenticator, key)).collect();
        for load in &mut loads {
            assert!(poll_once(load).is_pending());
        }
        assert_eq!(store.running.load(Ordering::SeqCst), FOR_UNKNOWN_KEYS);
        drop(loads);
        assert_eq!(store.running.load(Ordering::SeqCst), 0);
    }
    let mut loads: Vec<_> = unknown_keys(20).iter().map(|key| load(&authenticator, key)).collect();
    for load in &mut loads {
        assert!(matches!(poll_once(load), Poll::Pending));
    }
    assert_eq!(store.running.load(Ordering::SeqCst), FOR_UNKNOWN_KEYS);
    store.let_through();
    for load in loads {
        assert_eq!(load.await.unwrap_err().kind(), RejectionKind::InvalidToken);
    }
    assert_eq!(store.most_running.load(Ordering::SeqCst), FOR_UNKNOWN_KEYS);
}
