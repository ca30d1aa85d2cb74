//! One lookup: it waits for a turn, calls the resolver, judges the answer, and caches the result.
//!
//! Many requests may wait for a lookup, and any of them may drive it. A panic inside it therefore becomes an ordinary
//! failure, and never unwinds through it.

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

/// The outcome of a lookup, shared by all that waited.
#[derive(Clone)]
pub(super) enum Loaded {
    Known(Arc<Entry>),
    Refused(Refusal),
    /// The resolver failed, panicked or timed out. Nothing is cached.
    Unavailable,
    /// The key was changed meanwhile, and has to be loaded again.
    Lost,
}

pub(super) async fn load(inner: Arc<Inner>, presented: PresentedKey, lookup: Lookup) -> Loaded {
    // The guard is outermost: the timer panics on a runtime that is shutting down, the resolver may panic anywhere, and
    // so may a subscriber that receives its error.
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

/// Waits until the gate lets a request use the cache. Returns `false` if it doesn't.
pub(super) async fn regain(inner: Arc<Inner>) -> bool {
    let deadline = Instant::now().checked_add(inner.resolver_timeout);
    let guarded = AssertUnwindSafe(async {
        let gate = inner.shared.gate.as_ref();
        match gate.map(|gate| gate.regain()) {
            Some(regained) => within(deadline, regained).await.unwrap_or(false),
            None => true,
        }
    });
    guarded.catch_unwind().await.unwrap_or(false)
}

/// Runs `future` until `deadline`. `None` means that the deadline is beyond the clock's range.
async fn within<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await,
        None => Ok(future.await),
    }
}

impl Inner {
    /// Returns the cache's current answer for a key.
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
            // The turn may come just before the deadline. A store that is so slow is spared a call whose result nobody
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

    /// Waits for a turn at the resolver. Keys known to be valid have reserved turns as well.
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
        // Counted from the call rather than the answer: the store may have changed while the answer was on its way.
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

    /// Returns the digest of the matching secret, or the reason for refusal and how long it holds.
    fn judge(&self, presented: &PresentedKey, resolution: &Resolution) -> Result<KeyDigest, (Reason, Tick)> {
        let refuse = |reason| Err((reason, Tick::NEVER));
        let digest = match &resolution.proof {
            Proof::Vouched => presented.digest().clone(),
            Proof::Digest(stored) => {
                // All digests are compared, each in constant time.
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

    /// Returns `true` if the key belongs to an environment that is not accepted, or to none although some are required.
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
            // The key may have been valid at its last lookup.
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
