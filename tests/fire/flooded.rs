//! Floods of unknown keys.

use std::{sync::atomic::Ordering, time::Duration};

use apikey_core::{Authenticator, ManualClock, adapter::Authentication};

use crate::{
    sized,
    stand::{Bearer, Gated, decide, format, load, poll_once, unknown_keys},
};

const CAPACITY: usize = 10_000;
const HOT: usize = 100;
/// The most memory that a flood may use, in bytes.
const MEMORY: u64 = 16 << 20;

#[test]
fn given_a_flood_of_unknown_keys_when_hot_keys_are_in_use_then_they_stay_cached_and_memory_bounded() {
    let flood = sized(100_000, 1_000_000);
    let hot = unknown_keys(HOT);
    let store = Gated::open(&hot);
    let authenticator = Authenticator::builder(store.clone())
        .format(format())
        .cache_capacity(CAPACITY)
        .refused_capacity(CAPACITY)
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let format = format();
    let mut hits = 0;
    // The allocator counts by thread, and this runtime has only one.
    let taken = allocation_counter::measure(|| {
        runtime.block_on(async {
            for n in 0..flood {
                let unknown = format.generate().unwrap();
                assert_eq!(decide(&authenticator, unknown.expose_secret()).await.unwrap_err().status(), 401);
                match authenticator.authenticate(&Bearer::new(&hot[n % HOT])) {
                    Authentication::Done(decision) => hits += usize::from(decision.unwrap().is_some()),
                    Authentication::Loading(loading) => assert!(loading.await.unwrap().is_some()),
                }
            }
        });
    });
    assert!(hits * 100 >= flood * 99, "{hits} hits of {flood}");
    assert!(taken.bytes_max <= MEMORY, "{} bytes at the most", taken.bytes_max);
    assert_eq!(store.most_running.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn given_a_flood_of_wrong_checksums_when_it_comes_then_the_resolver_is_never_asked() {
    let flood = sized(100_000, 1_000_000);
    let hot = unknown_keys(1);
    let store = Gated::open(&hot);
    let authenticator = Authenticator::builder(store.clone()).format(format()).build().unwrap();
    assert!(decide(&authenticator, &hot[0]).await.unwrap().is_some());
    let format = format();
    for _ in 0..flood {
        let mut key = format.generate().unwrap().expose_secret().to_owned();
        let last = key.pop();
        key.push(if last == Some('x') { 'y' } else { 'x' });
        let Authentication::Done(decision) = authenticator.authenticate(&Bearer::new(&key)) else {
            panic!("a wrong checksum is refused at once");
        };
        assert_eq!(decision.unwrap_err().status(), 401);
    }
    assert_eq!(store.calls(), 1);
}

#[tokio::test]
async fn given_every_turn_taken_by_unknown_keys_when_a_hot_key_is_due_then_it_is_looked_up_all_the_same() {
    let hot = unknown_keys(HOT);
    let store = Gated::open(&hot);
    let clock = ManualClock::new();
    let authenticator = Authenticator::builder(store.clone())
        .format(format())
        .clock(clock.clone())
        .resolver_concurrency(8)
        .build()
        .unwrap();
    for key in &hot {
        assert!(decide(&authenticator, key).await.unwrap().is_some());
    }
    store.hold_back();
    let mut flood: Vec<_> = unknown_keys(1_000).iter().map(|key| load(&authenticator, key)).collect();
    for request in &mut flood {
        assert!(poll_once(request).is_pending());
    }
    assert_eq!(store.running.load(Ordering::SeqCst), 6);
    clock.advance(Duration::from_secs(3_600));
    let mut due: Vec<_> = hot.iter().map(|key| load(&authenticator, key)).collect();
    for request in &mut due {
        assert!(poll_once(request).is_pending());
    }
    assert_eq!(store.running.load(Ordering::SeqCst), 8, "the turns kept back for known keys, and no more");
    // The flood is still waiting; the store answers the next call. Semaphores are fair, so all calls are released.
    store.let_through();
    for request in due {
        assert!(request.await.unwrap().is_some());
    }
    for request in flood {
        assert_eq!(request.await.unwrap_err().status(), 401);
    }
    assert_eq!(store.most_running.load(Ordering::SeqCst), 8);
}
