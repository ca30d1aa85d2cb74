//! The entries of each key, and the changes since each running load began, under one lock.
//!
//! This rule keeps a revoked key out: the check for changes since a load began, and the insertion of its result, are
//! one step under the lock that every change takes.

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
use crate::{
    clock::Tick,
    key::{KeyDigest, KeyId, OrganizationId},
};

/// A log of changes up to this length is not swept.
const SMALL_LOG: usize = 1_024;

#[derive(Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
    /// The version of the last change that may have made a refused key valid.
    refused_since: AtomicU64,
    hasher: RandomState,
    /// Set by the model's test that the comparison of versions is needed.
    #[cfg(shuttle)]
    pub(super) ignores_changes: bool,
}

#[derive(Default)]
struct State {
    /// The number of changes.
    version: u64,
    /// The version of the last change of all keys.
    everything: u64,
    /// The version of each key's last change, back to the beginning of the oldest running load.
    changed: HashMap<KeyId, u64>,
    /// The size at which `changed` is swept next.
    sweep_at: usize,
    /// The number of running loads that began at each version.
    loads: BTreeMap<u64, usize>,
    /// The entries of each key, by the id's hash. The id itself is in the entries' claims.
    entries: HashMap<u64, Handles, BuildWordHasher>,
}

/// Most keys have one entry; a vector for each would cost a third more memory.
enum Handles {
    One(Weak<Entry>),
    #[expect(clippy::box_collection, reason = "keeps the common variant at one word")]
    Many(Box<Vec<Weak<Entry>>>),
}

/// A running load. Changes are remembered while it exists.
pub(crate) struct Load<'r> {
    registry: &'r Registry,
    since: u64,
}

impl Registry {
    /// Begins a load. Its result is discarded if anything relevant changes from now on.
    pub(crate) fn begin_load(&self) -> Load<'_> {
        let mut state = self.state.lock();
        let since = state.version;
        *state.loads.entry(since).or_default() += 1;
        Load { registry: self, since }
    }

    /// Kills the entries of `key`, or of one of its secrets. Returns them, so that the caller wakes their waiters.
    ///
    /// An entry that was filled under another algorithm's digest may be the secret's: it becomes stale and is loaded
    /// again. `evict` takes an entry out of the table, under the lock.
    #[must_use]
    pub(crate) fn revoke(
        &self,
        key: &KeyId,
        secret: Option<&KeyDigest>,
        mut evict: impl FnMut(&Entry) -> Option<Arc<Entry>>,
    ) -> Vec<Arc<Entry>> {
        let mut state = self.state.lock();
        // For any secret: a running load may find it under another digest.
        state.record(key);
        let mut entries = self.entries_near(&state, key);
        let mut evicted = Vec::new();
        for entry in entries.iter().filter(|entry| entry.claims().key_id() == key) {
            match secret.map_or(Some(true), |digest| entry.has_digest(digest)) {
                Some(true) => {
                    entry.kill();
                    evicted.push(evict(entry));
                }
                Some(false) => {}
                None => entry.make_stale(),
            }
        }
        drop(state);
        drop(evicted);
        entries.retain(|entry| entry.is_dead());
        entries
    }

    /// Moves the end of the entries of `key`, or of one of its secrets. They are returned for those who wait to hear of
    /// it.
    ///
    /// An entry that may be of the secret, though it was filled under a digest of another algorithm, is made stale.
    #[must_use]
    pub(crate) fn end_at(&self, key: &KeyId, secret: Option<&KeyDigest>, ends: Tick) -> Vec<Arc<Entry>> {
        let mut state = self.state.lock();
        state.record(key);
        let entries = self.entries_near(&state, key);
        for entry in entries.iter().filter(|entry| entry.claims().key_id() == key) {
            match secret.map_or(Some(true), |digest| entry.has_digest(digest)) {
                Some(true) => entry.set_ends(ends),
                Some(false) => {}
                None => entry.make_stale(),
            }
        }
        drop(state);
        entries
    }

    /// Makes the entries of `key` and all refusals stale.
    pub(crate) fn refresh(&self, key: &KeyId) {
        let mut state = self.state.lock();
        state.record(key);
        self.refused_since.store(state.version, Ordering::Release);
        let entries = self.entries_near(&state, key);
        for entry in entries.iter().filter(|entry| entry.claims().key_id() == key) {
            entry.make_stale();
        }
        drop(state);
        drop(entries);
    }

    /// Makes all entries and all refusals stale.
    pub(crate) fn refresh_all(&self) {
        let mut state = self.state.lock();
        state.version += 1;
        state.everything = state.version;
        self.refused_since.store(state.version, Ordering::Release);
        let entries: Vec<_> = state.entries.values().flat_map(Handles::upgrade).collect();
        entries.iter().for_each(|entry| entry.make_stale());
        drop(state);
        drop(entries);
    }

    /// Makes the entries of `organization`, or all, doubtful, and all refusals stale. Returns the living entries with
    /// their ends, and the stamp of the doubt.
    #[must_use]
    pub(crate) fn doubt(&self, organization: Option<&OrganizationId>) -> (Vec<(Arc<Entry>, Tick)>, u64) {
        let mut state = self.state.lock();
        state.version += 1;
        state.everything = state.version;
        self.refused_since.store(state.version, Ordering::Release);
        let concerns = |entry: &Arc<Entry>| organization.is_none_or(|own| entry.claims().organization() == Some(own));
        let all: Vec<_> = state.entries.values().flat_map(Handles::upgrade).collect();
        all.iter().filter(|entry| concerns(entry)).for_each(|entry| entry.make_doubtful());
        let stamp = state.version;
        let ends: Vec<Tick> = all.iter().map(|entry| entry.ends()).collect();
        drop(state);
        (all.into_iter().zip(ends).filter(|(entry, _)| entry.is_doubtful()).collect(), stamp)
    }

    /// Lifts the doubt with this stamp, unless there is a newer one. Moves the end of the key's window, unless it has been
    /// moved since the doubt, and returns `true` if it did.
    #[must_use]
    pub(crate) fn confirm(&self, entry: &Entry, stamp: u64, (before, ends): (Tick, Tick)) -> bool {
        let state = self.state.lock();
        if state.everything != stamp {
            return false;
        }
        // Whoever moved it since then knows better than a lookup that may have been under way.
        let moves = entry.ends() == before && ends != before;
        if moves {
            entry.set_ends(ends);
        }
        entry.lift_doubt();
        moves
    }

    /// Makes all refusals stale.
    pub(crate) fn forget_refused(&self) {
        let mut state = self.state.lock();
        state.version += 1;
        self.refused_since.store(state.version, Ordering::Release);
    }

    /// Returns the stamp of current refusals.
    pub(crate) fn refused_since(&self) -> u64 {
        self.refused_since.load(Ordering::Acquire)
    }

    /// Forgets an entry of `key`. Called as it drops, so its weak handles no longer upgrade.
    pub(super) fn forget(&self, key: &KeyId) {
        let hash = self.hasher.hash_one(key);
        let mut state = self.state.lock();
        if state.entries.get_mut(&hash).is_some_and(|handles| !handles.retain_live()) {
            state.entries.remove(&hash);
        }
    }

    /// Returns the living entries of `key`, and of keys whose ids have the same hash.
    ///
    /// Each may be the last handle of its entry, whose drop takes the lock. Drop them after releasing it.
    fn entries_near(&self, state: &State, key: &KeyId) -> Vec<Arc<Entry>> {
        let handles = state.entries.get(&self.hasher.hash_one(key));
        handles.into_iter().flat_map(Handles::upgrade).collect()
    }
}

impl State {
    fn record(&mut self, key: &KeyId) {
        self.version += 1;
        if !self.loads.is_empty() {
            self.changed.insert(key.clone(), self.version);
        }
    }
}

impl Load<'_> {
    /// Registers a loaded entry and puts it into the table with `insert`, unless something changed meanwhile.
    ///
    /// Returns the entries that `insert` displaced, to be dropped outside the lock.
    pub(crate) fn fill<T>(&self, entry: &Arc<Entry>, insert: impl FnOnce() -> T) -> Result<T, Lost> {
        let key = entry.claims().key_id();
        let hash = self.registry.hasher.hash_one(key);
        let mut state = self.registry.state.lock();
        if self.has_lost(&state, Some(key)) {
            return Err(Lost);
        }
        let weak = Arc::downgrade(entry);
        match state.entries.get_mut(&hash) {
            Some(handles) => handles.push(weak),
            None => drop(state.entries.insert(hash, Handles::One(weak))),
        }
        Ok(insert())
    }

    /// Takes a refused key out of the table with `evict`, unless something changed meanwhile.
    ///
    /// Returns the evicted entry, to be dropped outside the lock, and the refusal's stamp. The refusal is cached
    /// afterwards, because its cache may run foreign destructors. If a change overtakes it, its stamp is old and it is
    /// ignored.
    pub(crate) fn refuse<T>(&self, key: Option<&KeyId>, evict: impl FnOnce() -> T) -> Result<(u64, T), Lost> {
        let state = self.registry.state.lock();
        let refused_since = self.registry.refused_since();
        if refused_since > self.since || self.has_lost(&state, key) {
            return Err(Lost);
        }
        Ok((refused_since, evict()))
    }

    fn has_lost(&self, state: &State, key: Option<&KeyId>) -> bool {
        #[cfg(shuttle)]
        if self.registry.ignores_changes {
            return false;
        }
        let changed = key.and_then(|key| state.changed.get(key)).is_some_and(|version| *version > self.since);
        state.everything > self.since || changed
    }
}

/// Something changed during the load. The answer must be loaded again.
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
            // On a busy service there is always a running load. Sweeping the log whenever it has doubled costs each
            // change a constant.
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

    /// Keeps the handles of living entries. Returns `false` if none is left.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cache::entry::tests::{digest_of, entry_of, shared},
        clock::Tick,
    };

    fn id(id: &str) -> KeyId {
        KeyId::new(id).unwrap()
    }

    fn nothing(_: &Entry) -> Option<Arc<Entry>> {
        None
    }

    #[test]
    fn given_changes_when_they_come_while_a_load_is_under_way_then_those_that_concern_it_make_it_lose() {
        type Change = fn(&Registry);
        let cases: [(&str, Change, bool); 10] = [
            ("nothing", |_| {}, false),
            ("this key revoked", |r| drop(r.revoke(&id("a"), None, nothing)), true),
            ("another key revoked", |r| drop(r.revoke(&id("b"), None, nothing)), false),
            ("this secret revoked", |r| drop(r.revoke(&id("a"), Some(&digest_of(b"s")), nothing)), true),
            ("another of its secrets revoked", |r| drop(r.revoke(&id("a"), Some(&digest_of(b"t")), nothing)), true),
            ("this key refreshed", |r| r.refresh(&id("a")), true),
            ("all refreshed", |r| r.refresh_all(), true),
            ("this key's end set", |r| drop(r.end_at(&id("a"), None, Tick::FIRST)), true),
            ("another key's end set", |r| drop(r.end_at(&id("b"), None, Tick::FIRST)), false),
            ("unknown forgotten", |r| r.forget_refused(), false),
        ];
        for (name, change, loses) in cases {
            let shared = shared();
            change(&shared.registry); // before the load began: no concern of its
            let load = shared.registry.begin_load();
            change(&shared.registry);
            let entry = entry_of(&shared, "a", b"s");
            let filled = load.fill(&entry, || ());
            assert_eq!(filled, if loses { Err(Lost) } else { Ok(()) }, "{name}");
        }
    }

    #[test]
    fn given_changes_when_they_come_while_an_unknown_key_is_loaded_then_additions_make_it_lose() {
        type Change = fn(&Registry);
        let cases: [(&str, Change, bool, bool); 5] = [
            ("nothing", |_| {}, false, false),
            ("a key refreshed", |r| r.refresh(&id("b")), true, true),
            ("all refreshed", |r| r.refresh_all(), true, true),
            ("unknown forgotten", |r| r.forget_refused(), true, true),
            ("the refused key revoked", |r| drop(r.revoke(&id("a"), None, nothing)), false, true),
        ];
        for (name, change, unknown_loses, refused_loses) in cases {
            let registry = Registry::default();
            let load = registry.begin_load();
            change(&registry);
            assert_eq!(load.refuse(None, || ()).is_err(), unknown_loses, "{name}");
            assert_eq!(load.refuse(Some(&id("a")), || ()).is_err(), refused_loses, "{name}");
        }
    }

    #[test]
    fn given_several_entries_of_a_key_when_revoked_then_all_die_evicted_or_not_and_no_other() {
        let shared = shared();
        let entries: Vec<_> = [("a", "1"), ("a", "2"), ("b", "3")]
            .map(|(id, secret)| {
                let entry = entry_of(&shared, id, secret.as_bytes());
                let load = shared.registry.begin_load();
                load.fill(&entry, || ()).unwrap();
                entry
            })
            .into();
        let ended = shared.registry.revoke(&id("a"), Some(&digest_of(b"2")), nothing);
        assert_eq!(ended.len(), 1);
        assert_eq!(entries.iter().map(|e| e.is_dead()).collect::<Vec<_>>(), [false, true, false]);
        let mut evicted = 0;
        drop(shared.registry.revoke(&id("a"), None, |_| {
            evicted += 1;
            None
        }));
        assert_eq!(evicted, 2);
        assert_eq!(entries.iter().map(|e| e.is_dead()).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn given_a_refreshed_entry_when_revoked_later_then_it_dies() {
        let shared = shared();
        let entry = entry_of(&shared, "a", b"s");
        shared.registry.begin_load().fill(&entry, || ()).unwrap();
        shared.registry.refresh(&id("a"));
        assert!(entry.is_live() && !entry.is_good(Tick::FIRST));
        drop(shared.registry.revoke(&id("a"), None, nothing));
        assert!(!entry.is_live());
    }

    #[test]
    fn given_entries_that_are_gone_when_looked_at_then_the_registry_has_forgotten_them() {
        let shared = shared();
        for n in 0..100 {
            let secret = format!("{n}");
            let entry = entry_of(&shared, &format!("k{}", n / 2), secret.as_bytes());
            shared.registry.begin_load().fill(&entry, || ()).unwrap();
        }
        assert!(shared.registry.state.lock().entries.is_empty());
    }

    #[test]
    fn given_no_load_under_way_when_keys_change_then_nothing_is_logged() {
        let registry = Registry::default();
        registry.refresh(&id("a"));
        assert!(registry.state.lock().changed.is_empty());
        let load = registry.begin_load();
        registry.refresh(&id("a"));
        assert_eq!(registry.state.lock().changed.len(), 1);
        drop(load);
        assert!(registry.state.lock().changed.is_empty() && registry.state.lock().loads.is_empty());
    }

    #[test]
    fn given_loads_that_overlap_without_end_when_many_keys_change_then_the_log_stays_bounded() {
        let registry = Registry::default();
        let mut oldest = registry.begin_load();
        let mut most = 0;
        for n in 0..20_000 {
            registry.refresh(&id(&format!("k{n}")));
            if n % 100 == 0 {
                oldest = registry.begin_load();
            }
            most = most.max(registry.state.lock().changed.len());
        }
        drop(oldest);
        assert!(most < 3 * SMALL_LOG, "{most}");
    }
}
