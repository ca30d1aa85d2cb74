//! From a decision to the service: what is left in a request that is let in, and what is remembered for its answer.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{activity::Record, caller::Anonymous, messages::RequestMut};
use crate::{
    caller::AuthenticatedKey,
    in_flight::{InFlight, OnRevoked},
    rejection::Rejection,
    request::{Authenticator, Header, HeaderLines},
};

/// An authenticator, and what a layer does with the requests that it lets in.
#[derive(Clone, Debug)]
pub struct Admission {
    authenticator: Authenticator,
    strip_credential: bool,
    on_revoked: OnRevoked,
    tell_expiry: bool,
}

impl Admission {
    /// Lets in what `authenticator` lets in. Requests end with their key, credentials stay, and no expiry is told.
    #[must_use]
    pub fn new(authenticator: Authenticator) -> Self {
        Admission { authenticator, strip_credential: false, on_revoked: OnRevoked::End, tell_expiry: false }
    }

    /// Sets whether credentials are removed from requests that are let in with them.
    pub fn strip_credential(&mut self, strip_credential: bool) {
        self.strip_credential = strip_credential;
    }

    /// Sets what becomes of requests under way when their key dies.
    pub fn on_revoked(&mut self, on_revoked: OnRevoked) {
        self.on_revoked = on_revoked;
    }

    /// Sets whether answers say when the key expires.
    pub fn tell_expiry(&mut self, tell_expiry: bool) {
        self.tell_expiry = tell_expiry;
    }

    /// The authenticator.
    #[must_use]
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// Leaves the caller in the request, in place of whoever an outer layer left there.
    pub fn admit(&self, key: Option<AuthenticatedKey>, request: &mut impl RequestMut) -> Exchange {
        let Some(key) = key else {
            request.remove::<AuthenticatedKey>();
            request.insert(Anonymous::new(self.authenticator.clone()));
            return Exchange::default();
        };
        let exchange = Exchange {
            is_private: self.came_by_extra_header(request),
            in_flight: InFlight::new(&key, self.on_revoked),
            record: Record::of(request, &key, &self.authenticator),
            expiring: self.tell_expiry.then(|| key.clone()),
        };
        if self.strip_credential {
            for header in self.authenticator.headers() {
                if request.presents_key(header) {
                    request.remove_header(header);
                }
            }
        }
        request.insert(key);
        exchange
    }

    /// RFC 9111 §3.5 keeps shared caches from storing what was asked for with `Authorization`, and nothing else.
    #[inline]
    fn came_by_extra_header(&self, request: &impl RequestMut) -> bool {
        let has = |header| request.lines(header) != HeaderLines::Absent;
        (0..self.authenticator.extra_headers().len()).any(|n| has(Header::Extra(n))) && !has(Header::Authorization)
    }
}

/// What is remembered of a request until its answer. By default that of one without a key.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The key came in a header that shared caches don't know of.
    pub(super) is_private: bool,
    pub(super) in_flight: InFlight,
    pub(super) record: Option<Box<Record>>,
    /// The key whose expiry the answer tells.
    pub(super) expiring: Option<AuthenticatedKey>,
}

impl Exchange {
    /// Polls the service for as long as the key lives; see [`InFlight::poll`].
    #[inline]
    pub fn poll<F: Future>(
        &mut self,
        service: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Rejection>> {
        self.in_flight.poll(service, cx)
    }
}
