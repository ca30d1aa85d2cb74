//! One verified secret: its claims, and the word that tells until when they are valid.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
};

use slab::Slab;

use super::{
    cache_key::CacheKey,
    gate::TrustGate,
    registry::Registry,
    sweep::Sweep,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    usage::{Counts, Usage},
};
use crate::{
    clock::{Clock, Tick},
    key::{Claims, DigestAlgorithm, KeyDigest},
    rejection::Terms,
};

/// Marks in `good_until`, both before any clock's first tick.
const DEAD: u64 = 0;
const STALE: u64 = 1;
const DOUBTFUL: u64 = 2;

/// State that the entries of one authenticator share.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    pub(crate) sweep: Arc<Sweep>,
    pub(crate) terms: Arc<Terms>,
    /// `None` if the cache may always be used.
    pub(crate) gate: Option<Box<dyn TrustGate>>,
    /// `None` if usage is not counted.
    pub(crate) usage: Option<Usage>,
    pub(crate) emits_metrics: bool,
}

impl Shared {
    pub(crate) fn new(clock: Clock, terms: Terms) -> Self {
        let sweep = Sweep::new(clock.clone());
        Shared {
            registry: Registry::default(),
            clock,
            sweep,
            terms: Arc::new(terms),
            gate: None,
            usage: None,
            emits_metrics: false,
        }
    }

    /// Returns `true` if a request that came before this call may use the cache.
    #[inline]
    pub(crate) fn trusts_cache(&self) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.trusts_cache())
    }
}

// In this order in memory: a hit's reads share the first cache line with the handle's counters.
#[repr(C)]
pub(crate) struct Entry {
    /// The word that decides a hit: a tick that is fixed at fill, or a mark. Written under the registry's lock.
    good_until: AtomicU64,
    cache_key: CacheKey,
    /// A hit's counter begins on the same line.
    counts: Counts,
    /// The end of the key's window, as a tick. Unlike `good_until`, it doesn't depend on the cache TTL. Written under
    /// the registry's lock.
    ends: AtomicU64,
    /// The digest under which the store keeps the secret; `None` if it is the cache key's own.
    digest: Option<Box<KeyDigest>>,
    waiters: Mutex<Option<Box<Waiters>>>,
    claims: Claims,
    shared: Arc<Shared>,
}

/// The waiters for the entry's end.
#[derive(Default)]
struct Waiters {
    wakers: Slab<Waker>,
    /// `true` once the entry is on the sweep's list.
    is_listed: bool,
}

/// The number of waiters for which an entry without any keeps room.
const ROOM_KEPT: usize = 32;

impl Entry {
    pub(crate) fn new(
        shared: Arc<Shared>,
        cache_key: CacheKey,
        digest: KeyDigest,
        claims: Claims,
        good_until: Tick,
        ends: Tick,
    ) -> Self {
        let is_cache_key =
            digest.algorithm() == DigestAlgorithm::Sha256 && CacheKey::from_bytes(digest.as_bytes()) == cache_key;
        Entry {
            good_until: AtomicU64::new(good_until.as_nanos()),
            cache_key,
            counts: Counts::default(),
            ends: AtomicU64::new(ends.as_nanos()),
            digest: (!is_cache_key).then(|| Box::new(digest)),
            waiters: Mutex::default(),
            claims,
            shared,
        }
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn cache_key(&self) -> &CacheKey {
        &self.cache_key
    }

    /// Returns the bytes that the entry occupies, without extras of the resolver.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.digest.as_ref().map_or(0, |_| size_of::<KeyDigest>()) + self.claims.heap_bytes()
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Returns the digest under which the store keeps the secret.
    pub(crate) fn digest(&self) -> KeyDigest {
        match &self.digest {
            Some(digest) => KeyDigest::clone(digest),
            None => KeyDigest::sha256_from_bytes(self.cache_key.to_bytes()),
        }
    }

    /// Returns whether `digest` is the secret's, or `None` if the secret was found under another algorithm.
    pub(crate) fn has_digest(&self, digest: &KeyDigest) -> Option<bool> {
        let presented = || digest.algorithm() == DigestAlgorithm::Sha256;
        match &self.digest {
            Some(own) if own.algorithm() == digest.algorithm() => Some(**own == *digest),
            _ if presented() => Some(CacheKey::from_bytes(digest.as_bytes()) == self.cache_key),
            _ => None,
        }
    }

    /// Returns `true` if the entry lets a request in at `now`.
    #[inline]
    pub(crate) fn is_good(&self, now: Tick) -> bool {
        now.as_nanos() < self.good_until.load(Ordering::Acquire)
    }

    /// Returns `true` if the key has not changed since the entry was filled, apart from the passing of time.
    ///
    /// Accepts waiters for the load: the answer may be newer than any cache TTL allows.
    pub(crate) fn is_unmarked(&self) -> bool {
        self.good_until.load(Ordering::Acquire) > DOUBTFUL
    }

    /// Returns `true` if the key may have been revoked, and nobody has looked it up since that became possible.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.good_until.load(Ordering::Acquire) == DOUBTFUL
    }

    /// Returns `true` if requests that were let in before may go on. They may while the entry is stale.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_dead() && !self.is_expired(|| self.shared.clock.now())
    }

    /// Returns the end of the key's window.
    pub(super) fn ends(&self) -> Tick {
        Tick::from_nanos(self.ends.load(Ordering::Acquire))
    }

    /// Moves the end of the key's window. Call it under the registry's lock only, and
    /// [`end_has_moved`](Entry::end_has_moved) after it.
    pub(super) fn set_ends(&self, ends: Tick) {
        self.ends.store(ends.as_nanos(), Ordering::Release);
        let good_until = self.good_until.load(Ordering::Acquire);
        // `good_until` only falls: marks are lower than any tick, and the store has to confirm a later end.
        if ends.as_nanos() < good_until {
            self.good_until.store(ends.as_nanos(), Ordering::Release);
        }
    }

    /// Arranges for the waiters to be woken at the new end. Never call it under the registry's lock.
    pub(crate) fn end_has_moved(self: &Arc<Self>) {
        // Whoever begins to wait from now on reads the new end under the lock that is taken here.
        if self.ends() != Tick::NEVER
            && let Some(waiters) = &mut *self.waiters.lock()
        {
            waiters.is_listed = true;
        } else {
            return;
        }
        self.shared.sweep.list(self);
        if !self.is_live() {
            self.wake_waiters();
        }
    }

    /// Returns `true` if the window is over. Most keys have no end and need no clock.
    fn is_expired(&self, now: impl FnOnce() -> Tick) -> bool {
        let ends = self.ends();
        ends != Tick::NEVER && ends <= now()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.good_until.load(Ordering::Acquire) == DEAD
    }

    /// Only under the registry's lock. The caller wakes the waiters after releasing it.
    pub(super) fn kill(&self) {
        self.good_until.store(DEAD, Ordering::Release);
    }

    /// Only under the registry's lock: a dead entry must not come back, and a doubt is only lifted by a lookup.
    pub(super) fn make_stale(&self) {
        if self.is_unmarked() {
            self.good_until.store(STALE, Ordering::Release);
        }
    }

    /// Only under the registry's lock.
    pub(super) fn make_doubtful(&self) {
        if !self.is_dead() {
            self.good_until.store(DOUBTFUL, Ordering::Release);
        }
    }

    /// Only under the registry's lock.
    pub(super) fn lift_doubt(&self) {
        if self.is_doubtful() {
            self.good_until.store(STALE, Ordering::Release);
        }
    }

    /// Wakes the waiters. Never under the registry's lock: a waker may drop a task, and with it an entry.
    ///
    /// A waker may also run foreign destructors. If one panics, the others are woken all the same, and the caller
    /// doesn't notice.
    pub(crate) fn wake_waiters(&self) {
        let waiters = self.waiters.lock().take();
        for (_, waker) in waiters.into_iter().flat_map(|waiters| waiters.wakers.into_iter()) {
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }

    /// Registers `waker` for the entry's end, in `slot` or a new place. Returns `false` if the end has come.
    pub(crate) fn wait(self: &Arc<Self>, slot: &mut Option<usize>, waker: &Waker) -> bool {
        if let Some(slot) = *slot
            && let Some(waiters) = &*self.waiters.lock()
            && waiters.wakers.get(slot).is_some_and(|left| left.will_wake(waker))
        {
            // The killer takes the wakers afterwards, so this one will be woken while it is here.
            return self.is_live();
        }
        // Cloning or dropping a waker may run foreign code: neither is done under the lock.
        let waker = waker.clone();
        let mut waiters = self.waiters.lock();
        // Checked under the lock: `kill` precedes `wake_waiters`, which takes it, so either this sees the mark or that
        // sees the waker. The same holds at a window's end: the sweep reads the clock before it takes the lock.
        if !self.is_live() {
            return false;
        }
        let left = waiters.get_or_insert_default();
        let is_new = self.ends() != Tick::NEVER && !std::mem::replace(&mut left.is_listed, true);
        let replaced = match *slot {
            Some(slot) => Some(std::mem::replace(&mut left.wakers[slot], waker)),
            None => {
                *slot = Some(left.wakers.insert(waker));
                None
            }
        };
        drop(waiters);
        drop(replaced);
        if is_new {
            self.shared.sweep.list(self);
            // The window may have ended before the entry was listed. Others that began to wait meanwhile took it for
            // listed.
            if !self.is_live() {
                self.wake_waiters();
                return false;
            }
        }
        true
    }

    pub(crate) fn stop_waiting(&self, slot: usize) {
        let mut waiters = self.waiters.lock();
        let waker = waiters.as_mut().and_then(|waiters| {
            let waker = waiters.wakers.try_remove(slot);
            if waiters.wakers.is_empty() && waiters.wakers.capacity() > ROOM_KEPT {
                waiters.wakers = Slab::new();
            }
            waker
        });
        drop(waiters);
        drop(waker);
    }

    /// Returns `true` if nobody waits any more. The sweep then drops the entry until somebody does.
    pub(super) fn is_idle(&self) -> bool {
        match &mut *self.waiters.lock() {
            Some(waiters) => {
                waiters.is_listed = !waiters.wakers.is_empty();
                !waiters.is_listed
            }
            None => true,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.registry.forget(self.claims.key_id());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{sync::atomic::AtomicUsize, task::Wake, time::Duration};

    use super::*;
    use crate::key::KeyId;

    pub(crate) fn shared() -> Arc<Shared> {
        shared_with(Clock::system())
    }

    pub(crate) fn shared_with(clock: Clock) -> Arc<Shared> {
        let terms = Terms { realm: "test".into(), retry_after: Duration::from_secs(1), explain_refusals: false };
        Arc::new(Shared::new(clock, terms))
    }

    pub(crate) fn entry_of(shared: &Arc<Shared>, id: &str, secret: &[u8]) -> Arc<Entry> {
        let cache_key = CacheKey::of(secret);
        let claims = Claims::new(KeyId::new(id).unwrap());
        Arc::new(Entry::new(Arc::clone(shared), cache_key, digest_of(secret), claims, Tick::NEVER, Tick::NEVER))
    }

    pub(crate) fn entry_for(shared: &Arc<Shared>, cache_key: CacheKey) -> Arc<Entry> {
        let claims = Claims::new(KeyId::new("k").unwrap());
        let digest = KeyDigest::sha256_from_bytes([0; 32]);
        Arc::new(Entry::new(Arc::clone(shared), cache_key, digest, claims, Tick::NEVER, Tick::NEVER))
    }

    pub(crate) fn entry_with(shared: &Arc<Shared>, cache_key: CacheKey, metadata: usize) -> Arc<Entry> {
        let metadata: crate::JsonObject = format!(r#"{{"x":"{}"}}"#, "x".repeat(metadata)).parse().unwrap();
        let claims = Claims::new(KeyId::new("k").unwrap()).with_metadata(metadata);
        let digest = KeyDigest::sha256_from_bytes([0; 32]);
        Arc::new(Entry::new(Arc::clone(shared), cache_key, digest, claims, Tick::NEVER, Tick::NEVER))
    }

    pub(crate) fn digest_of(secret: &[u8]) -> KeyDigest {
        use sha2::Digest;
        KeyDigest::sha256_from_bytes(sha2::Sha256::digest(secret).into())
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn given_waiters_when_killed_and_woken_then_each_is_woken_once_and_none_may_wait_any_more() {
        let entry = entry_of(&shared(), "k", b"s");
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut slots = [None; 3];
        for slot in &mut slots {
            assert!(entry.wait(slot, &waker));
            assert!(entry.wait(slot, &waker), "polled again, it keeps its slot");
        }
        entry.stop_waiting(slots[1].unwrap());
        entry.kill();
        entry.wake_waiters();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        assert!(!entry.wait(&mut slots[0], &waker));
        entry.stop_waiting(slots[0].unwrap());
    }

    #[test]
    fn given_a_waker_that_panics_when_the_end_comes_then_the_others_are_woken_all_the_same() {
        struct Panics;
        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                // `resume_unwind` bypasses the panic hook, which would print it.
                std::panic::resume_unwind(Box::new(()));
            }
        }
        let entry = entry_of(&shared(), "k", b"s");
        let count = Arc::new(Count::default());
        for waker in [Waker::from(Arc::new(Panics)), Waker::from(Arc::clone(&count)), Waker::from(Arc::new(Panics))] {
            assert!(entry.wait(&mut None, &waker));
        }
        entry.kill();
        entry.wake_waiters();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn given_a_rush_of_waiters_when_all_have_left_then_their_room_is_given_back() {
        let entry = entry_of(&shared(), "k", b"s");
        let mut slots = vec![None; 1_000];
        slots.iter_mut().for_each(|slot| assert!(entry.wait(slot, Waker::noop())));
        slots.into_iter().flatten().for_each(|slot| entry.stop_waiting(slot));
        assert_eq!(entry.waiters.lock().as_ref().unwrap().wakers.capacity(), 0);
    }

    #[test]
    fn given_a_dead_entry_when_made_stale_then_it_stays_dead() {
        let entry = entry_of(&shared(), "k", b"s");
        entry.make_stale();
        assert!(!entry.is_good(Tick::FIRST) && entry.is_live() && !entry.is_unmarked());
        entry.kill();
        entry.make_stale();
        assert!(entry.is_dead() && !entry.is_live());
    }

    #[test]
    fn given_a_peppered_digest_when_asked_then_only_that_one_is_the_entrys() {
        let shared = shared();
        let pepper = |n| KeyDigest::hmac_sha256_from_bytes(crate::PepperVersion::new(n), [7; 32]);
        let claims = Claims::new(KeyId::new("k").unwrap());
        let key = CacheKey::of(b"s");
        let entry = Entry::new(shared, key, pepper(1), claims, Tick::NEVER, Tick::NEVER);
        assert_eq!(entry.has_digest(&pepper(1)), Some(true));
        assert_eq!(
            entry.has_digest(&KeyDigest::hmac_sha256_from_bytes(crate::PepperVersion::new(1), [8; 32])),
            Some(false)
        );
        assert_eq!(entry.has_digest(&pepper(2)), None, "it may be the same secret under another pepper");
        assert_eq!(entry.has_digest(&digest_of(b"s")), Some(true), "the plain digest is known as well");
        assert_eq!(entry.has_digest(&digest_of(b"t")), Some(false));
        assert_eq!(entry.digest(), pepper(1));
    }

    #[test]
    fn given_a_plain_digest_when_asked_then_only_that_one_is_the_entrys() {
        let entry = entry_of(&shared(), "k", b"s");
        assert_eq!(entry.has_digest(&digest_of(b"s")), Some(true));
        assert_eq!(entry.has_digest(&digest_of(b"t")), Some(false));
        let pepper = KeyDigest::hmac_sha256_from_bytes(crate::PepperVersion::new(1), [7; 32]);
        assert_eq!(entry.has_digest(&pepper), None);
        assert_eq!(entry.digest(), digest_of(b"s"));
    }
}
