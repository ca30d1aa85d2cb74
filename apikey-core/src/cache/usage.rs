//! Counts of requests, kept in the entries of verified keys. An entry puts itself on a list at its first count.
//!
//! A hit costs one atomic addition, and taking the counts costs in proportion to the keys used, not to those cached.
//! The list keeps entries that are evicted or refreshed until their counts are taken.

use std::mem;

use tokio::sync::Notify;

use super::{
    entry::Entry,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};
use crate::clock::Tick;

/// One under the model: steps that change nothing hide those that do.
const SHARDS: usize = if cfg!(shuttle) { 1 } else { 16 };
/// The length at which the waiter for a long list is notified.
const LONG: usize = 8_192;
/// The length at which further entries are rejected and their counts lost, to bound memory if nobody takes them.
const LIMIT: usize = 16 * LONG;

/// The counts of one entry since they were last taken.
///
/// The entry is on the list, or about to be, exactly while `requests` is not zero: whoever raises it from zero lists
/// the entry, and whoever takes the entry off the list resets it.
#[derive(Default)]
#[repr(C)]
pub(super) struct Counts {
    /// Twice the number of requests let in. The lowest bit is set if some were refused.
    requests: AtomicU64,
    last_used: AtomicU64,
    refused: AtomicU64,
}

/// The counts taken from one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) requests: u64,
    pub(crate) refused: u64,
    pub(crate) last_used: u64,
}

impl Counts {
    /// `true` if the entry has to be enlisted.
    #[inline]
    fn accept(&self, now: Tick) -> bool {
        self.last_used.store(now.as_nanos(), Ordering::Relaxed);
        self.requests.fetch_add(2, Ordering::Release) == 0
    }

    /// `true` if the entry has to be enlisted.
    fn refuse(&self) -> bool {
        // Counted before it is announced: whoever takes the announcement finds the count. A count that was taken
        // without one leaves an empty announcement.
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_or(1, Ordering::Release) == 0
    }

    fn take(&self) -> Counted {
        let requests = self.requests.swap(0, Ordering::Acquire) >> 1;
        let refused = self.refused.swap(0, Ordering::Relaxed);
        Counted { requests, refused, last_used: self.last_used.load(Ordering::Relaxed) }
    }

    /// What the model has to find fault with.
    #[cfg(shuttle)]
    fn take_in_two_steps(&self) -> Counted {
        let requests = self.requests.load(Ordering::Acquire) >> 1;
        self.requests.store(0, Ordering::Release);
        let refused = self.refused.swap(0, Ordering::Relaxed);
        Counted { requests, refused, last_used: self.last_used.load(Ordering::Relaxed) }
    }
}

/// The entries of one authenticator that were used since the counts were last taken.
pub(crate) struct Usage {
    shards: [Shard; SHARDS],
    /// The number of entries on the list, or about to be.
    listed: AtomicUsize,
    lost: AtomicU64,
    long: usize,
    limit: usize,
    grew_long: Notify,
    /// Set by the model's test that the exchange is needed.
    #[cfg(shuttle)]
    pub(super) takes_in_two_steps: bool,
}

#[derive(Default)]
#[repr(align(64))]
struct Shard(Mutex<Listed>);

#[derive(Default)]
struct Listed {
    entries: Vec<Arc<Entry>>,
    /// Entries refer to the list and the list to entries. The list accepts none once its authenticator is gone.
    is_closed: bool,
}

impl Usage {
    pub(crate) fn new() -> Self {
        Usage::with_limits(LONG, LIMIT)
    }

    fn with_limits(long: usize, limit: usize) -> Self {
        Usage {
            shards: Default::default(),
            listed: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            long,
            limit,
            grew_long: Notify::new(),
            #[cfg(shuttle)]
            takes_in_two_steps: false,
        }
    }

    /// Counts a request that is accepted at `now`.
    #[inline]
    pub(crate) fn accepted(&self, entry: &Arc<Entry>, now: Tick) {
        if entry.counts().accept(now) {
            self.enlist(entry);
        }
    }

    /// Counts a request that was let in and then lacked a scope.
    pub(crate) fn refused(&self, entry: &Arc<Entry>) {
        if entry.counts().refuse() {
            self.enlist(entry);
        }
    }

    #[cold]
    fn enlist(&self, entry: &Arc<Entry>) {
        // Before it is on the list, so that taking it off never makes this negative.
        let listed = self.listed.fetch_add(1, Ordering::Relaxed);
        if listed >= self.limit || !self.push(entry) {
            self.listed.fetch_sub(1, Ordering::Relaxed);
            self.lost.fetch_add(entry.counts().take().requests, Ordering::Relaxed);
        } else if listed + 1 == self.long {
            self.grew_long.notify_one();
        }
    }

    fn push(&self, entry: &Arc<Entry>) -> bool {
        let shard = entry.cache_key().words()[1] as usize % SHARDS;
        let entry = Arc::clone(entry);
        let mut listed = self.shards[shard].0.lock();
        if listed.is_closed {
            // The clone may be the last handle by now. Entries are never dropped under a lock.
            drop(listed);
            drop(entry);
            return false;
        }
        listed.entries.push(entry);
        true
    }

    /// Takes the counts of all calls that returned before this one, and perhaps of concurrent ones.
    pub(crate) fn take(&self, mut found: impl FnMut(&Entry, Counted)) {
        for shard in &self.shards {
            let entries = mem::take(&mut shard.0.lock().entries);
            self.listed.fetch_sub(entries.len(), Ordering::Relaxed);
            for entry in entries {
                let counted = self.take_from(&entry);
                if counted.requests > 0 || counted.refused > 0 {
                    found(&entry, counted);
                }
            }
        }
    }

    #[cfg(not(shuttle))]
    fn take_from(&self, entry: &Entry) -> Counted {
        entry.counts().take()
    }

    #[cfg(shuttle)]
    fn take_from(&self, entry: &Entry) -> Counted {
        match self.takes_in_two_steps {
            true => entry.counts().take_in_two_steps(),
            false => entry.counts().take(),
        }
    }

    /// Returns the number of requests whose counts were lost since the last call.
    pub(crate) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Completes when the list has grown long since the counts were last taken.
    pub(crate) async fn grows_long(&self) {
        self.grew_long.notified().await;
    }

    /// Drops all entries and accepts no more.
    pub(crate) fn close(&self) {
        for shard in &self.shards {
            let mut listed = shard.0.lock();
            listed.is_closed = true;
            let entries = mem::take(&mut listed.entries);
            drop(listed);
            drop(entries);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures_util::FutureExt;

    use super::*;
    use crate::cache::entry::tests::{entry_of, shared};

    fn at(nanos: u64) -> Tick {
        Tick::FIRST.saturating_add(std::time::Duration::from_nanos(nanos))
    }

    fn taken(usage: &Usage) -> Vec<(String, Counted)> {
        let mut taken = Vec::new();
        usage.take(|entry, counted| taken.push((entry.claims().key_id().to_string(), counted)));
        taken.sort_by(|a, b| a.0.cmp(&b.0));
        taken
    }

    #[test]
    fn given_requests_and_refusals_when_taken_then_each_is_there_once() {
        let (shared, usage) = (shared(), Usage::new());
        let (a, b) = (entry_of(&shared, "a", b"a"), entry_of(&shared, "b", b"b"));
        usage.accepted(&a, at(1));
        usage.accepted(&a, at(2));
        usage.accepted(&b, at(3));
        usage.refused(&a);
        let counted = |requests, refused, tick: Tick| Counted { requests, refused, last_used: tick.as_nanos() };
        let expected = [("a".to_owned(), counted(2, 1, at(2))), ("b".to_owned(), counted(1, 0, at(3)))];
        assert_eq!(taken(&usage), expected);
        assert_eq!(taken(&usage), []);
        usage.refused(&b);
        assert_eq!(taken(&usage), [("b".to_owned(), counted(0, 1, at(3)))], "let in before, refused now");
    }

    #[test]
    fn given_an_entry_that_all_have_left_when_taken_then_its_counts_are_there_and_it_is_gone() {
        let (shared, usage) = (shared(), Usage::new());
        let entry = entry_of(&shared, "a", b"a");
        let weak = Arc::downgrade(&entry);
        usage.accepted(&entry, at(1));
        drop(entry);
        assert_eq!(taken(&usage).len(), 1);
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn given_a_closed_list_when_counted_then_nothing_is_held() {
        let (shared, usage) = (shared(), Usage::new());
        let entry = entry_of(&shared, "a", b"a");
        usage.accepted(&entry, at(1));
        usage.close();
        usage.accepted(&entry, at(1));
        usage.refused(&entry);
        assert_eq!(Arc::strong_count(&entry), 1);
        assert_eq!(taken(&usage), []);
    }

    #[test]
    fn given_more_entries_than_the_list_takes_when_counted_then_it_calls_once_and_says_what_was_lost() {
        let (shared, usage) = (shared(), Usage::with_limits(3, 5));
        let entries: Vec<_> = (0..8).map(|n| entry_of(&shared, &format!("k{n}"), &[n])).collect();
        for (n, entry) in entries.iter().enumerate() {
            usage.accepted(entry, at(1));
            usage.accepted(entry, at(1));
            assert_eq!(usage.grows_long().now_or_never().is_some(), n == 2, "{n}");
        }
        // Rejected at each request.
        assert_eq!((usage.take_lost(), usage.take_lost()), (6, 0));
        assert_eq!(taken(&usage).iter().map(|(_, counted)| counted.requests).sum::<u64>(), 10);
        assert_eq!(usage.listed.load(Ordering::Relaxed), 0);
        entries.iter().take(3).for_each(|entry| usage.accepted(entry, at(2)));
        assert!(usage.grows_long().now_or_never().is_some(), "it calls again after it was taken");
    }

    #[test]
    fn given_threads_that_count_when_others_take_all_the_while_then_none_is_lost_or_doubled() {
        const EACH: u64 = 20_000;
        let (shared, usage) = (shared(), Usage::new());
        let entries: Vec<_> = (0..3).map(|n| entry_of(&shared, &format!("k{n}"), &[n])).collect();
        let running = AtomicUsize::new(4);
        let sum = |sums: (u64, u64), taken: Vec<(String, Counted)>| {
            taken.iter().fold(sums, |(ok, refused), (_, c)| (ok + c.requests, refused + c.refused))
        };
        let (requests, refused) = thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..EACH {
                        let entry = &entries[n as usize % entries.len()];
                        usage.accepted(entry, at(n));
                        if n % 5 == 0 {
                            usage.refused(entry);
                        }
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                });
            }
            let takers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut sums = (0, 0);
                        while running.load(Ordering::SeqCst) > 0 {
                            sums = sum(sums, taken(&usage));
                        }
                        sums
                    })
                })
                .collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
        });
        assert_eq!(sum((requests, refused), taken(&usage)), (4 * EACH, 4 * EACH / 5));
    }
}
