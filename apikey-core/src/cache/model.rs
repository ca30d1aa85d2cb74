//! The cache's core under a model checker: threads in many random interleavings, switched at every lock and atomic.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p apikey-core --lib model`

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use shuttle::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    cache_key::CacheKey,
    entry::{
        Entry, Shared,
        tests::{digest_of, entry_of, shared_with},
    },
    sync::Arc,
    usage::Usage,
};
use crate::{
    caller::AuthenticatedKey,
    clock::{Clock, ManualClock, Tick},
    in_flight::WhileLive,
    key::{Claims, KeyId},
    rejection::Terms,
};

const SCHEDULES: usize = 20_000;

/// A store with one key, and a table's slot for its entry.
struct World {
    shared: Arc<Shared>,
    is_active: AtomicBool,
    table: Mutex<Option<Arc<Entry>>>,
}

impl World {
    fn new(ignores_changes: bool) -> Arc<Self> {
        let terms = Terms { realm: "model".into(), retry_after: Duration::ZERO, explain_refusals: false };
        let mut shared = Shared::new(Clock::system(), terms);
        shared.registry.ignores_changes = ignores_changes;
        let shared = Arc::new(shared);
        Arc::new(World { shared, is_active: AtomicBool::new(true), table: Mutex::new(None) })
    }

    fn id() -> KeyId {
        KeyId::new("k").unwrap()
    }

    /// A miss: asks the store and fills the table with the answer.
    fn load(&self) -> Option<Arc<Entry>> {
        let load = self.shared.registry.begin_load();
        let is_active = self.is_active.load(Ordering::SeqCst);
        // The store's answer takes a while to arrive.
        thread::yield_now();
        if !is_active {
            return None;
        }
        let entry = entry_of(&self.shared, "k", b"s");
        let filled = load.fill(&entry, || self.table.lock().unwrap().replace(Arc::clone(&entry)));
        filled.ok().map(|_| entry)
    }

    fn revoke(&self) {
        self.is_active.store(false, Ordering::SeqCst);
        let ended = self.shared.registry.revoke(&World::id(), None, |entry| {
            let mut table = self.table.lock().unwrap();
            let is_same = table.as_deref().is_some_and(|found| std::ptr::eq(found, entry));
            is_same.then(|| table.take()).flatten()
        });
        ended.iter().for_each(|entry| entry.wake_waiters());
    }

    fn lets_in(&self) -> bool {
        let found = self.table.lock().unwrap().clone();
        found.is_some_and(|entry| entry.is_good(Tick::FIRST))
    }
}

fn load_against_revoke(ignores_changes: bool) {
    let world = World::new(ignores_changes);
    let loader = thread::spawn({
        let world = Arc::clone(&world);
        move || {
            let first = world.load();
            let second = world.load();
            (first, second)
        }
    });
    let revoker = thread::spawn({
        let world = Arc::clone(&world);
        move || {
            world.revoke();
            assert!(!world.lets_in(), "a request that came after the revocation was let in");
        }
    });
    let (first, second) = loader.join().unwrap();
    revoker.join().unwrap();
    assert!(!world.lets_in(), "what was loaded before the revocation was cached after it");
    for handle in [first, second].into_iter().flatten() {
        assert!(!handle.is_live(), "a handle outlived the revocation");
    }
}

#[test]
fn given_a_load_and_a_revocation_in_any_order_then_nothing_loaded_before_is_served_after() {
    shuttle::check_random(|| load_against_revoke(false), SCHEDULES);
}

#[test]
fn given_no_comparison_of_versions_when_explored_then_the_model_finds_the_stale_fill() {
    let found = catch_unwind(AssertUnwindSafe(|| shuttle::check_random(|| load_against_revoke(true), SCHEDULES)));
    assert!(found.is_err(), "the model can't tell a registry that compares versions from one that doesn't");
}

#[test]
fn given_an_unknown_key_and_its_import_in_any_order_then_no_refusal_learned_before_is_believed_after() {
    shuttle::check_random(
        || {
            let world = World::new(false);
            world.is_active.store(false, Ordering::SeqCst);
            let refused = Arc::new(Mutex::new(None));
            let loader = thread::spawn({
                let (world, refused) = (Arc::clone(&world), Arc::clone(&refused));
                move || {
                    let load = world.shared.registry.begin_load();
                    let is_active = world.is_active.load(Ordering::SeqCst);
                    thread::yield_now();
                    if !is_active {
                        if let Ok((stamp, ())) = load.refuse(None, || ()) {
                            *refused.lock().unwrap() = Some(stamp);
                        }
                    }
                }
            });
            world.is_active.store(true, Ordering::SeqCst);
            world.shared.registry.forget_refused();
            let believed = || *refused.lock().unwrap() == Some(world.shared.registry.refused_since());
            assert!(!believed());
            loader.join().unwrap();
            assert!(!believed());
        },
        SCHEDULES,
    );
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn given_a_waiter_and_a_revocation_in_any_order_then_no_wake_up_is_missed() {
    shuttle::check_random(
        || {
            let world = World::new(false);
            let entry = world.load().unwrap();
            let count = Arc::new(Count::default());
            let waiter = thread::spawn({
                let (entry, waker) = (Arc::clone(&entry), Waker::from(Arc::clone(&count)));
                move || {
                    let mut slot = None;
                    // Polled twice, as a future in a `select!` is.
                    entry.wait(&mut slot, &waker) && entry.wait(&mut slot, &waker)
                }
            });
            world.revoke();
            let waits = waiter.join().unwrap();
            assert!(!waits || count.0.load(Ordering::SeqCst) == 1, "it waits, and nobody woke it");
        },
        SCHEDULES,
    );
}

#[test]
fn given_a_waiter_and_the_end_of_its_window_in_any_order_then_no_wake_up_is_missed() {
    shuttle::check_random(
        || {
            let manual = ManualClock::new();
            let shared = shared_with(Clock::from(manual.clone()));
            let ends = Tick::FIRST.saturating_add(Duration::from_secs(1));
            let claims = Claims::new(World::id());
            let entry = Entry::new(shared, CacheKey::of(b"s"), digest_of(b"s"), claims, ends, ends);
            let entry = Arc::new(entry);
            let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
            let waiters = counts.each_ref().map(|count| {
                let (entry, waker) = (Arc::clone(&entry), Waker::from(Arc::clone(count)));
                thread::spawn(move || {
                    let mut slot = None;
                    let waits = entry.wait(&mut slot, &waker) && entry.wait(&mut slot, &waker);
                    thread::yield_now();
                    waits
                })
            });
            // Some turns find nothing due. They may forget waiters that left, and must not forget those that wait.
            (0..4).for_each(|_| manual.advance(Duration::from_millis(100)));
            manual.advance(Duration::from_secs(1));
            // All of them first: one may depend on the other.
            let waiting = waiters.map(|waiter| waiter.join().unwrap());
            for (waits, count) in waiting.into_iter().zip(counts) {
                assert!(!waits || count.0.load(Ordering::SeqCst) == 1, "it waits, and nobody woke it");
            }
        },
        SCHEDULES,
    );
}

#[test]
fn given_something_kept_for_a_key_and_a_revocation_in_any_order_then_it_is_dropped_and_its_reader_told() {
    struct Kept(Arc<AtomicUsize>);
    impl Drop for Kept {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    shuttle::check_random(
        || {
            let world = World::new(false);
            let key = AuthenticatedKey::new(world.load().unwrap());
            let (dropped, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(Count::default()));
            let reader = thread::spawn({
                let (value, waker) = (Kept(Arc::clone(&dropped)), Waker::from(Arc::clone(&count)));
                move || {
                    let mut kept = WhileLive::new(value, key.revoked());
                    let mut cx = Context::from_waker(&waker);
                    let mut polled = Poll::Ready(None);
                    for _ in 0..2 {
                        polled = kept.poll(&mut cx, |_, _| {
                            thread::yield_now();
                            Poll::<()>::Pending
                        });
                    }
                    (kept, polled.is_pending())
                }
            });
            world.revoke();
            let (kept, waits) = reader.join().unwrap();
            assert!(kept.is_over() && dropped.load(Ordering::SeqCst) == 1, "it outlives its key, unread");
            assert!(!waits || count.0.load(Ordering::SeqCst) >= 1, "it waits, and nobody woke it");
        },
        SCHEDULES,
    );
}

#[test]
fn given_handles_that_drop_during_changes_then_nothing_deadlocks_and_the_registry_forgets_them() {
    shuttle::check_random(
        || {
            let world = World::new(false);
            let first = world.load();
            let dropper = thread::spawn(move || drop(first));
            let refresher = thread::spawn({
                let world = Arc::clone(&world);
                move || world.shared.registry.refresh(&World::id())
            });
            let second = world.load();
            world.revoke();
            dropper.join().unwrap();
            refresher.join().unwrap();
            drop(second);
            assert!(!world.lets_in());
        },
        SCHEDULES,
    );
}

fn count_against_take(takes_in_two_steps: bool) {
    let world = World::new(false);
    let entry = world.load().unwrap();
    let mut usage = Usage::new();
    usage.takes_in_two_steps = takes_in_two_steps;
    let usage = Arc::new(usage);
    let taken = |usage: &Usage| {
        let mut sums = (0, 0);
        usage.take(|_, counted| sums = (sums.0 + counted.requests, sums.1 + counted.refused));
        sums
    };
    let counters: Vec<_> = (0..2)
        .map(|_| {
            let (usage, entry) = (Arc::clone(&usage), Arc::clone(&entry));
            thread::spawn(move || {
                usage.accepted(&entry, Tick::FIRST);
                usage.refused(&entry);
                usage.accepted(&entry, Tick::FIRST);
            })
        })
        .collect();
    let taker = thread::spawn({
        let usage = Arc::clone(&usage);
        move || {
            let (first, second) = (taken(&usage), taken(&usage));
            (first.0 + second.0, first.1 + second.1)
        }
    });
    counters.into_iter().for_each(|counter| counter.join().unwrap());
    let (before, last) = (taker.join().unwrap(), taken(&usage));
    assert_eq!((before.0 + last.0, before.1 + last.1), (4, 2), "a count was lost or doubled");
}

#[test]
fn given_requests_and_a_taker_in_any_order_then_each_is_taken_once() {
    shuttle::check_random(|| count_against_take(false), SCHEDULES);
}

#[test]
fn given_counts_taken_in_two_steps_when_explored_then_the_model_finds_the_lost_one() {
    let found = catch_unwind(AssertUnwindSafe(|| shuttle::check_random(|| count_against_take(true), SCHEDULES)));
    assert!(found.is_err(), "the model can't tell an exchange from a load and a store");
}
