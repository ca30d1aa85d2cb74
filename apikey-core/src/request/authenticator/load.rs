//! One look-up: a turn, a call of the resolver, a judgement, and an entry in the cache.
//!
//! Many requests may wait for it and any of them may drive it, so nothing unwinds through it: a panic anywhere inside is
//! an answer like any other.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::select};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, error::Elapsed, timeout_at},
};

use super::{Inner, Lookup};
use crate::{
    cache::{
        entry::Entry,
        refused::Refusal,
        registry::{Load, Lost},
    },
    clock::Tick,
    key::KeyDigest,
    rejection::Reason,
    source::{KeyStatus, PresentedKey, Proof, Resolution},
    telemetry::{self, Failure},
};

/// How a look-up ended, for all who waited.
#[derive(Clone)]
pub(super) enum Loaded {
    Known(Arc<Entry>),
    Refused(Refusal),
    /// The resolver failed, panicked or took too long. Nothing is remembered of it.
    Unavailable,
    /// Something changed meanwhile: to be loaded again.
    Lost,
}

pub(super) async fn load(inner: Arc<Inner>, presented: PresentedKey, lookup: Lookup) -> Loaded {
    // Outermost: the timer panics on a runtime that is shutting down, the resolver may panic anywhere, and so may a
    // subscriber that is told of its error.
    let guarded = AssertUnwindSafe(async {
        inner.load(presented, lookup).await.unwrap_or_else(|failure| {
            telemetry::resolver_failed(&failure);
            Loaded::Unavailable
        })
    });
    guarded.catch_unwind().await.unwrap_or_else(|_| {
        let _ = catch_unwind(|| telemetry::resolver_failed(&Failure::Panicked));
        Loaded::Unavailable
    })
}

/// `future`, unless `deadline` passes first. There is none if it lies beyond what the clock can say.
async fn within<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await,
        None => Ok(future.await),
    }
}

impl Inner {
    /// What the cache says of a key by now.
    pub(super) fn cached(&self, lookup: &Lookup) -> Option<Loaded> {
        if let Some(entry) = self.table.get(&lookup.cache_key).filter(|entry| entry.is_good(lookup.now)) {
            return Some(Loaded::Known(entry));
        }
        let refused_since = self.shared.registry.refused_since();
        self.refused.get(&lookup.cache_key, lookup.now, refused_since).map(Loaded::Refused)
    }

    async fn load(&self, presented: PresentedKey, lookup: Lookup) -> Result<Loaded, Failure> {
        let deadline = Instant::now().checked_add(self.resolver_timeout);
        let answered = within(deadline, async {
            let _permit = self.take_turn(lookup.known).await;
            // A turn may come with the last of the time. A store that is slow enough for that is spared a call that nobody
            // would wait for.
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                std::future::pending::<()>().await;
            }
            let load = self.shared.registry.begin_load();
            let called = self.shared.clock.now();
            let resolved = Arc::clone(&self.resolver).load(presented.clone()).await;
            let result = match &resolved {
                Ok(Some(_)) => "found",
                Ok(None) => "not_found",
                Err(_) => "failed",
            };
            let latency = self.shared.clock.now().saturating_since(called);
            telemetry::resolver_called(result, latency, self.shared.emits_metrics);
            (load, called, resolved)
        });
        let (load, called, resolved) = answered.await.map_err(|_| Failure::TimedOut(self.resolver_timeout))?;
        let filled = match resolved.map_err(Failure::Failed)? {
            Some(resolution) => self.fill(&load, &presented, &lookup, called, resolution),
            None => self.refuse(&load, &lookup, called, Reason::Unknown, None, Tick::NEVER),
        };
        Ok(filled.unwrap_or(Loaded::Lost))
    }

    /// Waits for a turn at the resolver. Keys known to be good have turns of their own besides.
    async fn take_turn(&self, known: bool) -> Option<OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.permits).acquire_owned();
        if !known {
            return turn.await.ok();
        }
        let own = Arc::clone(&self.reserved_permits).acquire_owned();
        select(pin!(turn), pin!(own)).await.factor_first().0.ok()
    }

    fn fill(
        &self,
        load: &Load<'_>,
        presented: &PresentedKey,
        lookup: &Lookup,
        called: Tick,
        resolution: Resolution,
    ) -> Result<Loaded, Lost> {
        let now = self.shared.clock.now();
        let key = resolution.claims.key_id().clone();
        let digest = match self.judge(presented, &resolution) {
            Ok(digest) => digest,
            Err((reason, until)) => return self.refuse(load, lookup, called, reason, Some(key), until),
        };
        let ends = match resolution.ends_at() {
            Some(ends_at) => now.saturating_add(self.shared.clock.until(ends_at)),
            None => Tick::NEVER,
        };
        // From the call on, not from the answer: the store may have changed while the answer travelled.
        let good_until = ends.min(called.saturating_add(self.cache_ttl));
        let environment = match resolution.claims.environment() {
            Some(recorded) => Some(self.shared_environment(recorded)),
            None => presented.shared_environment(),
        };
        let scopes = self.catalog.expand(resolution.claims.scopes());
        let claims = resolution.claims.with_scopes(scopes).with_shared_environment(environment);
        let shared = Arc::clone(&self.shared);
        let entry = Arc::new(Entry::new(shared, lookup.cache_key, digest.clone(), claims, good_until, ends));
        let displaced = load.fill(&entry, || self.table.insert(Arc::clone(&entry)))?;
        drop(displaced);
        Ok(Loaded::Known(entry))
    }

    /// The digest the secret is stored under, or why the key is not let in, and until when that is known to hold.
    fn judge(&self, presented: &PresentedKey, resolution: &Resolution) -> Result<KeyDigest, (Reason, Tick)> {
        let refuse = |reason| Err((reason, Tick::NEVER));
        let digest = match &resolution.proof {
            Proof::Vouched => presented.digest().clone(),
            Proof::Digest(stored) => {
                // All are compared, and each in constant time.
                let matches = presented.digests().iter().filter(|digest| *digest == stored).count();
                if matches == 0 {
                    telemetry::digest_mismatch(resolution.claims.key_id());
                    return refuse(Reason::DigestMismatch);
                }
                stored.clone()
            }
        };
        if self.is_of_another_environment(presented, resolution) {
            return refuse(Reason::WrongEnvironment);
        }
        match resolution.status {
            KeyStatus::Active => {}
            KeyStatus::Disabled => return refuse(Reason::Disabled),
            KeyStatus::Revoked => return refuse(Reason::Revoked),
        }
        let clock = &self.shared.clock;
        if resolution.ends_at().is_some_and(|ends_at| ends_at <= clock.wall()) {
            return refuse(Reason::Expired);
        }
        let wait = resolution.not_before.map_or(Duration::ZERO, |start| clock.until(start));
        if !wait.is_zero() {
            return Err((Reason::NotYetValid, clock.now().saturating_add(wait)));
        }
        Ok(digest)
    }

    /// Does the key belong to an environment that is not accepted, or to none where some are asked for?
    fn is_of_another_environment(&self, presented: &PresentedKey, resolution: &Resolution) -> bool {
        let (named, recorded) = (presented.environment(), resolution.claims.environment());
        let differ = named.zip(recorded).is_some_and(|(named, recorded)| named != recorded);
        let is_accepted = |accepted: &[Arc<str>]| {
            recorded.or(named).is_some_and(|own| accepted.iter().any(|environment| **environment == *own))
        };
        differ || self.environments.as_deref().is_some_and(|accepted| !is_accepted(accepted))
    }

    fn refuse(
        &self,
        load: &Load<'_>,
        lookup: &Lookup,
        called: Tick,
        reason: Reason,
        key_id: Option<crate::KeyId>,
        until: Tick,
    ) -> Result<Loaded, Lost> {
        let fresh_until = called.saturating_add(self.refused_ttl);
        let (refused_since, evicted) = load.refuse(key_id.as_ref(), || {
            // It may have been good when last looked up.
            let formerly_good = self.table.get(&lookup.cache_key);
            let evicted = formerly_good.as_ref().and_then(|entry| self.table.remove(entry));
            (formerly_good, evicted)
        })?;
        drop(evicted);
        let refusal = Refusal { reason, key_id, until: until.min(fresh_until), refused_since };
        self.refused.insert(lookup.cache_key, refusal.clone());
        Ok(Loaded::Refused(refusal))
    }
}
