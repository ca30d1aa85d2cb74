//! Telemetry: an event for every decision, and optional counters and a histogram.
//!
//! It includes a key's id and the true reason of a refusal, and never the key.

use std::time::Duration;

use tracing::Level;

use crate::{key::KeyId, rejection::Rejection, source::BoxError};

const TARGET: &str = "apikey";

/// How an accepted request's key was found.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    Cached,
    Loaded,
}

#[inline]
#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "emitted only with the feature"))]
pub(crate) fn accepted(key: &KeyId, found: Found, emits_metrics: bool) {
    let cached = matches!(found, Found::Cached);
    tracing::event!(target: TARGET, Level::TRACE, outcome = "accepted", key_id = %key, cached);
    #[cfg(feature = "metrics")]
    if emits_metrics {
        metrics::counter!("apikey_decisions_total", "outcome" => "accepted").increment(1);
        if cached {
            metrics::counter!("apikey_cache_hits_total").increment(1);
        }
    }
}

pub(crate) fn anonymous(emits_metrics: bool) {
    tracing::event!(target: TARGET, Level::TRACE, outcome = "anonymous");
    decided("anonymous", emits_metrics);
}

pub(crate) fn refused(rejection: &Rejection, key: Option<&KeyId>, emits_metrics: bool) {
    let outcome = rejection.reason().as_str();
    let key_id = key.map(tracing::field::display);
    tracing::event!(target: TARGET, Level::DEBUG, outcome, key_id);
    decided(outcome, emits_metrics);
}

#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "emitted only with the feature"))]
fn decided(outcome: &'static str, emits_metrics: bool) {
    #[cfg(feature = "metrics")]
    if emits_metrics {
        metrics::counter!("apikey_decisions_total", "outcome" => outcome).increment(1);
    }
}

/// Logs a mistake of the service, which its clients can't correct.
pub(crate) fn layer_missing(rejection: &Rejection, layer: &'static str) {
    let outcome = rejection.reason().as_str();
    tracing::event!(target: TARGET, Level::ERROR, outcome, layer, "a route reads the caller, and the layer does not cover it");
}

/// Why a resolver didn't answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Failed(BoxError),
    TimedOut(Duration),
    Panicked,
    Outrun,
    /// The trust gate stays closed.
    Distrusted,
}

pub(crate) fn resolver_failed(failure: &Failure) {
    match failure {
        Failure::Failed(error) => {
            let error: &(dyn std::error::Error + 'static) = error.as_ref();
            tracing::event!(target: TARGET, Level::ERROR, error, "the resolver failed");
        }
        Failure::TimedOut(limit) => {
            tracing::event!(target: TARGET, Level::ERROR, ?limit, "the resolver gave no answer in time");
        }
        Failure::Panicked => tracing::event!(target: TARGET, Level::ERROR, "the resolver panicked"),
        Failure::Distrusted => {
            tracing::event!(target: TARGET, Level::ERROR, "whether other processes have changed keys can't be known");
        }
        Failure::Outrun => {
            tracing::event!(target: TARGET, Level::ERROR, "keys changed faster than one could be loaded");
        }
    }
}

/// Logs requests whose counts were not taken in time.
pub(crate) fn usage_lost(requests: u64) {
    tracing::event!(target: TARGET, Level::WARN, requests, "usage was not taken in time, and is lost");
}

/// Logs that the system refused a thread, so that keys that expire in progress are not noticed.
pub(crate) fn no_sweep(error: &std::io::Error) {
    let error: &(dyn std::error::Error + 'static) = error;
    tracing::event!(target: TARGET, Level::ERROR, error, "no thread can be started to watch for expiry");
}

/// Logs that the resolver found the wrong record: none of its digests is the presented key's.
pub(crate) fn digest_mismatch(key: &KeyId) {
    tracing::event!(
        target: TARGET,
        Level::ERROR,
        key_id = %key,
        "the resolver answered with a record whose digest is not the presented key's"
    );
}

#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "measured only with the feature"))]
pub(crate) fn resolver_called(result: &'static str, latency: Duration, emits_metrics: bool) {
    #[cfg(feature = "metrics")]
    if emits_metrics {
        metrics::counter!("apikey_resolver_calls_total", "result" => result).increment(1);
        metrics::histogram!("apikey_resolver_seconds").record(latency.as_secs_f64());
    }
}
