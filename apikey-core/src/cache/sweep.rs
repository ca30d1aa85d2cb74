//! The timer for keys that expire: it finds windows that are over and wakes their waiters.
//!
//! A revocation notifies entries, expiry does not. Entries that have an end and a waiter are therefore listed here.
//! While the list isn't empty, a thread checks it every half second, or sooner if an end is near. A task would not do:
//! runtimes may shut down or stall (actix has one for each worker), and no task polls a body that its client doesn't
//! read.
//!
//! A manual clock runs the sweep itself, without a thread.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use super::{
    entry::Entry,
    sync::{Arc, Mutex, Weak},
};
use crate::{
    clock::{Clock, Driven, Tick},
    telemetry,
};

/// The longest time between two checks of the list.
const NAP: Duration = Duration::from_millis(500);

/// The number of checks after which entries without waiters are removed.
const TURNS_A_TIDYING: u32 = 8;

pub(crate) struct Sweep {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listed: Vec<Listed>,
    /// `true` while a thread or the clock runs the sweep.
    is_driven: bool,
    turns: u32,
}

struct Listed {
    ends: Tick,
    entry: Weak<Entry>,
}

impl Sweep {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        let sweep = Arc::new(Sweep { clock, state: Mutex::default() });
        sweep.state.lock().is_driven = sweep.clock.drives(&sweep);
        sweep
    }

    /// Lists `entry`, so that its waiters are woken when its window is over.
    pub(super) fn list(self: &Arc<Self>, entry: &Arc<Entry>) {
        let mut state = self.state.lock();
        state.listed.push(Listed { ends: entry.ends(), entry: Arc::downgrade(entry) });
        let starts = !std::mem::replace(&mut state.is_driven, true);
        drop(state);
        if starts {
            self.start();
        }
    }

    fn start(self: &Arc<Self>) {
        let sweep = Arc::clone(self);
        if let Err(error) = thread::Builder::new().name("apikey-sweep".to_owned()).spawn(move || sweep.run()) {
            // The next entry that is listed tries again.
            self.state.lock().is_driven = false;
            telemetry::no_sweep(&error);
        }
    }

    fn run(&self) {
        loop {
            thread::sleep(self.nap());
            // Dropping an entry may run foreign destructors. A panic there must not end the sweep.
            if let Ok(false) = catch_unwind(AssertUnwindSafe(|| self.turn_or_stop())) {
                return;
            }
        }
    }

    fn nap(&self) -> Duration {
        let now = self.clock.now();
        let state = self.state.lock();
        let next = state.listed.iter().map(|listed| listed.ends.saturating_since(now)).min();
        // Not zero: the next check removes entries that are due.
        next.unwrap_or(NAP).clamp(Duration::from_millis(1), NAP)
    }

    /// Wakes the waiters of all expired keys. Returns `false` if the list is empty and the sweep stops.
    fn turn_or_stop(&self) -> bool {
        self.turn_or(|state| state.is_driven = !state.listed.is_empty())
    }

    fn turn_or(&self, at_last: impl FnOnce(&mut State)) -> bool {
        // Read before the entries' locks are taken: whoever takes such a lock after this check reads a later time.
        let now = self.clock.now();
        let (mut due, mut looked_at) = (Vec::new(), Vec::new());
        let goes_on = {
            let mut state = self.state.lock();
            state.turns = state.turns.wrapping_add(1);
            let tidies = state.turns.is_multiple_of(TURNS_A_TIDYING);
            state.listed.retain(|listed| {
                if listed.ends <= now {
                    due.extend(listed.entry.upgrade());
                    return false;
                }
                if !tidies {
                    return true;
                }
                // An upgraded handle may be the last one when it is dropped: never under the lock.
                let entry = listed.entry.upgrade();
                let is_waited_for = entry.as_ref().is_some_and(|entry| !entry.is_idle());
                looked_at.extend(entry);
                is_waited_for
            });
            if tidies {
                state.listed.shrink_to(2 * TURNS_A_TIDYING as usize);
            }
            at_last(&mut state);
            state.is_driven
        };
        drop(looked_at);
        // An end that was moved meanwhile is listed a second time.
        due.iter().filter(|entry| !entry.is_live()).for_each(|entry| entry.wake_waiters());
        goes_on
    }
}

impl Driven for Sweep {
    fn turn(&self) {
        self.turn_or(|_| {});
    }
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        task::{Context, Poll, Wake, Waker},
    };

    use super::*;
    use crate::{
        cache::{
            cache_key::CacheKey,
            entry::{
                Shared,
                tests::{digest_of, shared_with},
            },
        },
        caller::AuthenticatedKey,
        clock::{ManualClock, Tick},
        key::{Claims, KeyId},
    };

    fn entry(shared: &Arc<Shared>, ends: Tick) -> Arc<Entry> {
        let claims = Claims::new(KeyId::new("k").unwrap());
        Arc::new(Entry::new(Arc::clone(shared), CacheKey::of(b"s"), digest_of(b"s"), claims, ends, ends))
    }

    fn in_seconds(clock: &Clock, seconds: u64) -> Tick {
        clock.now().saturating_add(Duration::from_secs(seconds))
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn given_waiters_of_keys_that_expire_when_time_passes_then_each_is_woken_at_its_own_end() {
        let manual = ManualClock::new();
        let clock = Clock::from(manual.clone());
        let shared = shared_with(clock.clone());
        let entries = [Some(1), Some(2), None]
            .map(|seconds| entry(&shared, seconds.map_or(Tick::NEVER, |seconds| in_seconds(&clock, seconds))));
        let counts = [const { Count(AtomicUsize::new(0)) }; 3].map(Arc::new);
        for (entry, count) in entries.iter().zip(&counts) {
            assert!(entry.wait(&mut None, &Waker::from(Arc::clone(count))));
            assert!(entry.wait(&mut None, &Waker::from(Arc::clone(count))));
        }
        let woken = || counts.each_ref().map(|count| count.0.load(Ordering::SeqCst));
        assert_eq!(shared.sweep.state.lock().listed.len(), 2, "an entry is listed once, and only if it has an end");
        for expected in [[2, 0, 0], [2, 2, 0], [2, 2, 0]] {
            manual.advance(Duration::from_secs(1));
            assert_eq!(woken(), expected);
        }
        assert!(!entries[0].wait(&mut None, Waker::noop()) && entries[2].wait(&mut None, Waker::noop()));
        assert!(shared.sweep.state.lock().listed.is_empty());
    }

    #[test]
    fn given_entries_that_nobody_waits_for_any_more_when_swept_then_they_are_forgotten_until_somebody_does() {
        let manual = ManualClock::new();
        let clock = Clock::from(manual.clone());
        let shared = shared_with(clock.clone());
        let (waited_for, left, gone) = (
            entry(&shared, in_seconds(&clock, 60)),
            entry(&shared, in_seconds(&clock, 60)),
            entry(&shared, in_seconds(&clock, 60)),
        );
        let mut slot = None;
        for (entry, slot) in [(&waited_for, &mut None), (&left, &mut slot), (&gone, &mut None)] {
            assert!(entry.wait(slot, Waker::noop()));
        }
        left.stop_waiting(slot.unwrap());
        drop(gone);
        let listed = || shared.sweep.state.lock().listed.len();
        assert_eq!(listed(), 3);
        (0..TURNS_A_TIDYING).for_each(|_| shared.sweep.turn());
        assert_eq!(listed(), 1);
        assert!(left.wait(&mut None, Waker::noop()));
        assert_eq!(listed(), 2);
    }

    #[test]
    fn given_the_systems_clock_when_keys_expire_then_one_thread_tells_whoever_waits_and_ends() {
        let clock = Clock::system();
        let shared = shared_with(clock.clone());
        let soon = clock.now().saturating_add(Duration::from_millis(50));
        let key = AuthenticatedKey::new(entry(&shared, soon));
        let (told, tell) = mpsc::channel();
        struct Tell(mpsc::Sender<()>);
        impl Wake for Tell {
            fn wake(self: Arc<Self>) {
                let _ = self.0.send(());
            }
        }
        let waker = Waker::from(Arc::new(Tell(told)));
        let mut revoked = pin!(key.revoked());
        let mut others: Vec<_> = (0..10).map(|_| key.revoked()).collect();
        for other in &mut others {
            assert!(pin!(other).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        if revoked.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            tell.recv_timeout(Duration::from_secs(60)).expect("the sweep should have come");
        }
        assert_eq!(revoked.poll(&mut Context::from_waker(&waker)), Poll::Ready(()));
        assert_eq!(key.require_live().unwrap_err().status(), 401);
        // The list is empty: the thread ends and releases the sweep.
        let waits = std::time::Instant::now();
        while Arc::strong_count(&shared.sweep) > 1 {
            assert!(waits.elapsed() < Duration::from_secs(60), "the thread doesn't end");
            thread::yield_now();
        }
        assert!(!shared.sweep.state.lock().is_driven);
    }
}
