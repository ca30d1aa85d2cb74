//! The future of a request whose key has to be looked up.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    Authenticator, Decision, Lookup,
    load::{Loaded, load, regain},
};
use crate::{
    cache::flight::{Flight, Flights},
    caller::AuthenticatedKey,
    rejection::Reason,
    source::PresentedKey,
    telemetry::{self, Failure, Found},
};

/// How often a key is loaded for one request before it fails because changes outrun the loads.
const ATTEMPTS: u8 = 3;

/// The future of a lookup, shared by all requests that present the same key.
///
/// Dropping it is safe at any time: the others continue the lookup, and the last one to leave cancels it.
#[must_use = "futures do nothing unless polled"]
pub struct Loading {
    authenticator: Authenticator,
    presented: PresentedKey,
    lookup: Lookup,
    stage: Stage,
    attempts_left: u8,
}

enum Stage {
    /// The request waits until the cache may be used.
    Regaining(Pin<Box<dyn Future<Output = bool> + Send>>),
    Flying(Flight<Loaded>),
}

impl Loading {
    pub(super) fn new(authenticator: Authenticator, presented: PresentedKey, lookup: Lookup) -> Self {
        let stage = match lookup.trusted {
            true => Stage::Flying(board(&authenticator, &presented, &lookup)),
            false => Stage::Regaining(Box::pin(regain(Arc::clone(&authenticator.0)))),
        };
        Loading { authenticator, presented, lookup, stage, attempts_left: ATTEMPTS - 1 }
    }

    /// Returns the decision from a load, or `None` if the key has changed since and must be loaded again.
    fn decide(&self, loaded: Loaded) -> Option<Decision> {
        let authenticator = &self.authenticator;
        match loaded {
            // A request may join a flight until it is off the list, which happens after its answer was checked against
            // changes. A change in between is found by this second check.
            Loaded::Known(entry) if entry.is_unmarked() => {
                if !entry.is_live() {
                    return Some(Err(authenticator.rejection(Reason::Expired, Some(entry.claims().key_id()))));
                }
                if let Some(usage) = &authenticator.0.shared.usage {
                    usage.accepted(&entry, authenticator.0.shared.clock.now());
                }
                let emits_metrics = authenticator.0.shared.emits_metrics;
                telemetry::accepted(entry.claims().key_id(), Found::Loaded, emits_metrics);
                Some(Ok(Some(AuthenticatedKey::new(entry))))
            }
            Loaded::Refused(refusal) if refusal.refused_since == authenticator.0.shared.registry.refused_since() => {
                Some(Err(authenticator.rejection(refusal.reason, refusal.key_id.as_ref())))
            }
            Loaded::Unavailable => Some(Err(authenticator.rejection(Reason::Unavailable, None))),
            Loaded::Known(_) | Loaded::Refused(_) | Loaded::Lost => None,
        }
    }
}

/// Joins the load of the key that is in progress, or begins one.
fn board(authenticator: &Authenticator, presented: &PresentedKey, lookup: &Lookup) -> Flight<Loaded> {
    let load = load(Arc::clone(&authenticator.0), presented.clone(), *lookup);
    // With a TTL of zero, a request must not share an answer that was requested before it.
    match authenticator.0.cache_ttl.is_zero() {
        false => authenticator.0.flights.join(lookup.cache_key, || authenticator.0.cached(lookup), load),
        true => Flights::alone(load),
    }
}

impl Future for Loading {
    type Output = Decision;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Decision> {
        let this = &mut *self;
        loop {
            let loaded = match &mut this.stage {
                Stage::Flying(flight) => ready!(Pin::new(flight).poll(cx)),
                Stage::Regaining(regained) => {
                    if !ready!(regained.as_mut().poll(cx)) {
                        telemetry::resolver_failed(&Failure::Distrusted);
                        return Poll::Ready(Err(this.authenticator.rejection(Reason::Unavailable, None)));
                    }
                    // What was cached while the request waited may be used, and so may a load of another request.
                    this.lookup.now = this.authenticator.0.shared.clock.now();
                    this.stage = Stage::Flying(board(&this.authenticator, &this.presented, &this.lookup));
                    continue;
                }
            };
            if let Some(decision) = this.decide(loaded) {
                return Poll::Ready(decision);
            }
            if this.attempts_left == 0 {
                telemetry::resolver_failed(&Failure::Outrun);
                return Poll::Ready(Err(this.authenticator.rejection(Reason::Unavailable, None)));
            }
            this.attempts_left -= 1;
            this.stage = Stage::Flying(board(&this.authenticator, &this.presented, &this.lookup));
        }
    }
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading").finish_non_exhaustive()
    }
}
