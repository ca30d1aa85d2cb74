//! Looks up keys that requests under way hold, after this process may have missed a revocation.

use std::{collections::HashMap, sync::Arc, time::Duration};

use apikey_core::{Doubt, KeyDigest, KeyStatus, WeakAuthenticator};
use tokio::runtime::Handle;

use crate::{
    backoff::Backoff,
    resolver::StoreResolver,
    store::{Found, FoundKey, StoreError},
};

/// The most keys in one statement.
const BATCH: usize = 256;

/// Runs on the host's runtime. If that stalls, so do the requests that this is about.
pub(super) struct Recheck {
    resolver: Arc<StoreResolver>,
    authenticator: WeakAuthenticator,
    runtime: Handle,
}

impl Recheck {
    pub(super) fn new(resolver: Arc<StoreResolver>, authenticator: WeakAuthenticator, runtime: Handle) -> Self {
        Recheck { resolver, authenticator, runtime }
    }

    /// Confirms these keys or ends them, once the store tells.
    pub(super) fn add(&self, doubts: Vec<Doubt>) {
        if doubts.is_empty() {
            return;
        }
        let (resolver, authenticator) = (Arc::clone(&self.resolver), self.authenticator.clone());
        self.runtime.spawn(async move {
            let mut backoff = Backoff::default();
            let mut left = doubts;
            while !left.is_empty() {
                let rest = left.split_off(left.len().min(BATCH));
                if let Some(failed) = settle(&resolver, &authenticator, left).await {
                    left = failed;
                    left.extend(rest);
                    tokio::time::sleep(backoff.next().min(Duration::from_secs(5))).await;
                } else {
                    left = rest;
                    backoff.reset();
                }
            }
        });
    }
}

fn of_digest(found: Found) -> (KeyDigest, Result<FoundKey, StoreError>) {
    match found {
        Found::Key(key) => (key.digest.clone(), Ok(*key)),
        Found::Corrupt { digest, error } => (digest, Err(error)),
    }
}

/// Returns the keys if the store did not tell.
async fn settle(resolver: &StoreResolver, authenticator: &WeakAuthenticator, doubts: Vec<Doubt>) -> Option<Vec<Doubt>> {
    let digests: Vec<KeyDigest> = doubts.iter().map(|doubt| doubt.key().secret_digest()).collect();
    let Ok(found) = resolver.look_up(&digests).await else { return Some(doubts) };
    // Nobody is left whose requests could be under way.
    let authenticator = authenticator.upgrade()?;
    let mut found: HashMap<KeyDigest, Result<FoundKey, StoreError>> = found.into_iter().map(of_digest).collect();
    for (doubt, digest) in doubts.into_iter().zip(digests) {
        let key = doubt.key().key_id().clone();
        match found.remove(&digest) {
            // A row that can't be read is no reason to end anything; the next request is answered 503.
            Some(Err(_)) => authenticator.confirm(doubt),
            Some(Ok(found)) if found.status() == KeyStatus::Active => {
                authenticator.confirm_until(doubt, found.ends_at())
            }
            Some(Ok(_)) | None => authenticator.revoke_secret(&key, &digest),
        }
    }
    None
}
