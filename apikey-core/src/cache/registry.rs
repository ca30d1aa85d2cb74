//! Which entries exist for which key, and what has changed since which load began. All of it under one lock.
//!
//! The rule that keeps a revoked key out: the question "has anything changed since this load began?" and the insertion
//! of what it loaded are one step under the lock that every change takes.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
};

use super::{
    cache_key::BuildWordHasher,
    entry::Entry,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use crate::{digest::KeyDigest, key_id::KeyId};

/// A log of changes this short is not worth sweeping.
const SMALL_LOG: usize = 1_024;

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target {
    Key(KeyId),
    Secret(KeyId, KeyDigest),
}

#[derive(Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
    /// The version of the last change that may have made an unknown key known.
    unknown_since: AtomicU64,
    hasher: RandomState,
}

#[derive(Default)]
struct State {
    /// Counts changes.
    version: u64,
    /// The last change of everything.
    everything: u64,
    /// The last change of each target, as far back as the oldest load under way began.
    changed: HashMap<Target, u64>,
    /// The size of `changed` at which it is swept next.
    sweep_at: usize,
    /// How many loads under way began at each version.
    loads: BTreeMap<u64, usize>,
    /// The entries of each key, by the id's hash: the id itself stands in the entries' claims.
    entries: HashMap<u64, Handles, BuildWordHasher>,
}

/// Most keys have one entry; a vector for each would cost a third more memory.
enum Handles {
    One(Weak<Entry>),
    #[expect(clippy::box_collection, reason = "keeps the common variant at one word")]
    Many(Box<Vec<Weak<Entry>>>),
}

/// A load under way. While it lives, changes are remembered for it.
pub(crate) struct Load<'r> {
    registry: &'r Registry,
    since: u64,
}

impl Registry {
    /// Begins a load: whatever changes from now on will be held against it.
    pub(crate) fn begin_load(&self) -> Load<'_> {
        let mut state = self.state.lock();
        let since = state.version;
        *state.loads.entry(since).or_default() += 1;
        Load { registry: self, since }
    }

    /// Kills the entries of `key`, or of one of its secrets. They are returned for their waiters to be woken.
    ///
    /// `evict` takes an entry out of the table, under the lock.
    #[must_use]
    pub(crate) fn revoke(
        &self,
        key: &KeyId,
        secret: Option<&KeyDigest>,
        mut evict: impl FnMut(&Entry) -> Option<Arc<Entry>>,
    ) -> Vec<Arc<Entry>> {
        let mut state = self.state.lock();
        state.record(match secret {
            None => Target::Key(key.clone()),
            Some(digest) => Target::Secret(key.clone(), digest.clone()),
        });
        let mut entries = self.entries_near(&state, key);
        let mut evicted = Vec::new();
        for entry in &entries {
            let secret_matches = secret.is_none_or(|digest| entry.has_digest(digest));
            if entry.claims().key_id() == key && secret_matches {
                entry.kill();
                evicted.push(evict(entry));
            }
        }
        drop(state);
        drop(evicted);
        entries.retain(|entry| entry.is_dead());
        entries
    }

    /// Makes the entries of `key` stale, and whatever was said of unknown keys.
    pub(crate) fn refresh(&self, key: &KeyId) {
        let mut state = self.state.lock();
        state.record(Target::Key(key.clone()));
        self.unknown_since.store(state.version, Ordering::Release);
        let entries = self.entries_near(&state, key);
        for entry in entries.iter().filter(|entry| entry.claims().key_id() == key) {
            entry.make_stale();
        }
        drop(state);
        drop(entries);
    }

    /// Makes every entry stale, and whatever was said of unknown keys.
    pub(crate) fn refresh_all(&self) {
        let mut state = self.state.lock();
        state.version += 1;
        state.everything = state.version;
        self.unknown_since.store(state.version, Ordering::Release);
        let entries: Vec<_> = state.entries.values().flat_map(Handles::upgrade).collect();
        entries.iter().for_each(|entry| entry.make_stale());
        drop(state);
        drop(entries);
    }

    /// Forgets whatever was said of unknown keys.
    pub(crate) fn forget_unknown(&self) {
        let mut state = self.state.lock();
        state.version += 1;
        self.unknown_since.store(state.version, Ordering::Release);
    }

    /// The stamp that an answer about an unknown key must bear to be believed.
    pub(crate) fn unknown_since(&self) -> u64 {
        self.unknown_since.load(Ordering::Acquire)
    }

    /// An entry of `key` is gone. Called as it drops, so its weak handles no longer upgrade.
    pub(super) fn forget(&self, key: &KeyId) {
        let hash = self.hasher.hash_one(key);
        let mut state = self.state.lock();
        if state.entries.get_mut(&hash).is_some_and(|handles| !handles.retain_live()) {
            state.entries.remove(&hash);
        }
    }

    /// The living entries of `key`, and of any key whose id hashes alike.
    ///
    /// Each may turn out to be the last handle of its entry, whose drop takes the lock: so all are handed out, to be
    /// dropped after it.
    fn entries_near(&self, state: &State, key: &KeyId) -> Vec<Arc<Entry>> {
        let handles = state.entries.get(&self.hasher.hash_one(key));
        handles.into_iter().flat_map(Handles::upgrade).collect()
    }
}

impl State {
    fn record(&mut self, target: Target) {
        self.version += 1;
        if !self.loads.is_empty() {
            self.changed.insert(target, self.version);
        }
    }
}

impl Load<'_> {
    /// Registers what was loaded and puts it into the table with `insert`, unless something changed meanwhile.
    ///
    /// Returns what `insert` displaced, to be dropped outside the lock, or `Err` if the load has lost.
    pub(crate) fn fill<T>(
        &self,
        entry: &Arc<Entry>,
        digest: &KeyDigest,
        insert: impl FnOnce() -> T,
    ) -> Result<T, Lost> {
        let key = entry.claims().key_id();
        let hash = self.registry.hasher.hash_one(key);
        let mut state = self.registry.state.lock();
        let targets = [Target::Key(key.clone()), Target::Secret(key.clone(), digest.clone())];
        if self.has_lost(&state, &targets) {
            return Err(Lost);
        }
        let weak = Arc::downgrade(entry);
        match state.entries.get_mut(&hash) {
            Some(handles) => handles.push(weak),
            None => drop(state.entries.insert(hash, Handles::One(weak))),
        }
        Ok(insert())
    }

    /// Puts what was learned of a key that is not let in into the cache of such with `insert`, which is given the stamp
    /// it has to bear, unless something changed meanwhile.
    pub(crate) fn fill_unknown<T>(&self, key: Option<&KeyId>, insert: impl FnOnce(u64) -> T) -> Result<T, Lost> {
        let state = self.registry.state.lock();
        let unknown_since = self.registry.unknown_since();
        let target = key.map(|key| Target::Key(key.clone()));
        if unknown_since > self.since || self.has_lost(&state, target.as_slice()) {
            return Err(Lost);
        }
        Ok(insert(unknown_since))
    }

    fn has_lost(&self, state: &State, targets: &[Target]) -> bool {
        let changed = |target| state.changed.get(target).is_some_and(|version| *version > self.since);
        state.everything > self.since || targets.iter().any(changed)
    }
}

/// Something changed while the answer was being loaded; it must be loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost;

impl Drop for Load<'_> {
    fn drop(&mut self) {
        let mut state = self.registry.state.lock();
        if let Some(count) = state.loads.get_mut(&self.since) {
            *count -= 1;
            if *count == 0 {
                state.loads.remove(&self.since);
            }
        }
        match state.loads.first_key_value().map(|(oldest, _)| *oldest) {
            None => state.changed.clear(),
            // On a busy service loads overlap without end. Swept each time it has doubled, the log costs each change a
            // constant.
            Some(oldest) if state.changed.len() > state.sweep_at => {
                state.changed.retain(|_, version| *version > oldest);
                state.sweep_at = (2 * state.changed.len()).max(SMALL_LOG);
            }
            Some(_) => {}
        }
    }
}

impl Handles {
    fn push(&mut self, handle: Weak<Entry>) {
        match self {
            Handles::Many(handles) => handles.push(handle),
            Handles::One(first) => *self = Handles::Many(Box::new(vec![std::mem::take(first), handle])),
        }
    }

    fn upgrade(&self) -> impl Iterator<Item = Arc<Entry>> + '_ {
        let handles = match self {
            Handles::One(handle) => std::slice::from_ref(handle),
            Handles::Many(handles) => handles,
        };
        handles.iter().filter_map(Weak::upgrade)
    }

    /// Keeps the handles of living entries; `false` if none is left.
    fn retain_live(&mut self) -> bool {
        match self {
            Handles::One(handle) => handle.strong_count() > 0,
            Handles::Many(handles) => {
                handles.retain(|handle| handle.strong_count() > 0);
                !handles.is_empty()
            }
        }
    }
}
