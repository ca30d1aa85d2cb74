//! Passes accepted requests to the service, and remembers what their responses need.

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

/// An authenticator, and how a layer treats the requests that it accepts.
#[derive(Clone, Debug)]
pub struct Admission {
    authenticator: Authenticator,
    strip_credential: bool,
    on_revoked: OnRevoked,
    tell_expiry: bool,
}

impl Admission {
    /// Accepts the requests that `authenticator` accepts.
    ///
    /// By default, requests end when their key dies, credentials are kept, and responses don't say when the key
    /// expires.
    #[must_use]
    pub fn new(authenticator: Authenticator) -> Self {
        Admission { authenticator, strip_credential: false, on_revoked: OnRevoked::End, tell_expiry: false }
    }

    /// Sets whether the credential is removed from accepted requests.
    pub fn strip_credential(&mut self, strip_credential: bool) {
        self.strip_credential = strip_credential;
    }

    /// Sets what happens to requests in progress when their key dies.
    pub fn on_revoked(&mut self, on_revoked: OnRevoked) {
        self.on_revoked = on_revoked;
    }

    /// Sets whether responses say when the key expires.
    pub fn tell_expiry(&mut self, tell_expiry: bool) {
        self.tell_expiry = tell_expiry;
    }

    /// The authenticator.
    #[must_use]
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// Puts the caller into the request. It replaces a caller that an outer layer left there.
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

    /// RFC 9111 §3.5 forbids shared caches to store responses only to requests with `Authorization`.
    #[inline]
    fn came_by_extra_header(&self, request: &impl RequestMut) -> bool {
        let has = |header| request.lines(header) != HeaderLines::Absent;
        (0..self.authenticator.extra_headers().len()).any(|n| has(Header::Extra(n))) && !has(Header::Authorization)
    }
}

/// What a request's response needs to know. The default is a request without a key.
#[derive(Debug, Default)]
pub struct Exchange {
    /// `true` if the key came in a header that shared caches don't know.
    pub(super) is_private: bool,
    pub(super) in_flight: InFlight,
    pub(super) record: Option<Box<Record>>,
    /// The key whose expiry the response states.
    pub(super) expiring: Option<AuthenticatedKey>,
}

impl Exchange {
    /// Polls the service while the key is live; see [`InFlight::poll`].
    #[inline]
    pub fn poll<F: Future>(
        &mut self,
        service: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Rejection>> {
        self.in_flight.poll(service, cx)
    }
}
