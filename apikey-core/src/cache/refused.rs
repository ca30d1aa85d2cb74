//! Presented keys that were refused, so that a client that repeats one doesn't keep the store busy.
//!
//! The cache is bounded and separate from the verified keys: a flood of random keys evicts only others of its kind.

use std::hash::RandomState;

use moka::sync::Cache;

use super::cache_key::CacheKey;
use crate::{clock::Tick, key::KeyId, rejection::Reason};

/// A refused key's record.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) key_id: Option<KeyId>,
    pub(crate) until: Tick,
    /// The registry's stamp when this was learned. The record is valid while the stamp is current.
    pub(crate) refused_since: u64,
}

#[derive(Debug)]
// Hashed again under a secret seed: senders of unknown keys can partly choose their SHA-256.
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
