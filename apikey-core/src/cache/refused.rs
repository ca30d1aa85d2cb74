//! Presented keys that were not let in, so that a client which keeps sending one doesn't keep the store busy.
//!
//! Bounded, and apart from the verified keys: a flood of random keys evicts nothing but its like.

use std::hash::RandomState;

use moka::sync::Cache;

use super::cache_key::CacheKey;
use crate::{clock::Tick, key::KeyId, rejection::Reason};

/// What is remembered of a presented key that was not let in.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) key_id: Option<KeyId>,
    pub(crate) until: Tick,
    /// The registry's stamp when this was learned; believed while it is still the registry's.
    pub(crate) refused_since: u64,
}

#[derive(Debug)]
// Hashed anew under a secret seed: who sends unknown keys can choose their SHA-256 in part.
pub(crate) struct RefusedKeys(Cache<CacheKey, Refusal, RandomState>);

impl RefusedKeys {
    pub(crate) fn new(capacity: u64) -> Self {
        RefusedKeys(Cache::builder().max_capacity(capacity).build_with_hasher(RandomState::new()))
    }

    pub(crate) fn get(&self, key: &CacheKey, now: Tick, refused_since: u64) -> Option<Refusal> {
        let refusal = self.0.get(key)?;
        (now < refusal.until && refusal.refused_since == refused_since).then_some(refusal)
    }

    pub(crate) fn insert(&self, key: CacheKey, refusal: Refusal) {
        self.0.insert(key, refusal);
    }
}
