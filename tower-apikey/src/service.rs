//! The service: shows the request to the authenticator, and carries its decision out.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use apikey_core::{
    AuthenticatedKey,
    adapter::{Anonymous, Authentication, Header, HeaderLines, InFlight, RequestView},
};
use http::{HeaderName, HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body::Body;
use tower_service::Service;

use crate::{activity::Record, body::ResponseBody, future::ResponseFuture, layer::Config, response::Exchange};

/// The service of [`ApiKeyLayer`](crate::ApiKeyLayer).
///
/// The inner service must be `Clone`, as a request whose key has to be looked up takes the ready one along.
#[derive(Clone)]
pub struct ApiKeyService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> ApiKeyService<S> {
    pub(crate) fn new(inner: S, config: Arc<Config>) -> Self {
        ApiKeyService { inner, config }
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Clone> ApiKeyService<S> {
    /// Takes the ready service and leaves its clone, which is not: whatever `poll_ready` reserved goes with the former.
    fn take_ready(&mut self) -> S {
        let clone = self.inner.clone();
        mem::replace(&mut self.inner, clone)
    }
}

impl<S, B, R> Service<Request<B>> for ApiKeyService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Body + Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let exchange = Exchange::of(&request, &self.config);
        let view = View { request: &request, extra_headers: &self.config.extra_headers };
        match self.config.authenticator.authenticate(&view) {
            Authentication::Done(Ok(key)) => {
                let exchange = self.config.admit(&mut request, key, exchange);
                ResponseFuture::calling(self.inner.call(request), exchange)
            }
            Authentication::Done(Err(rejection)) => {
                drop(self.take_ready());
                ResponseFuture::refused(self.config.refuse(request, &rejection, &exchange))
            }
            Authentication::Loading(loading) => {
                let ready = self.take_ready();
                ResponseFuture::loading(loading, ready, request, Arc::clone(&self.config), exchange)
            }
        }
    }
}

impl Config {
    /// Leaves the caller in the request, in place of whoever an outer layer left there.
    pub(crate) fn admit<B>(
        self: &Arc<Self>,
        request: &mut Request<B>,
        key: Option<AuthenticatedKey>,
        mut exchange: Exchange,
    ) -> Exchange {
        match key {
            Some(key) => {
                exchange.in_flight = InFlight::new(&key, self.on_revoked);
                if self.authenticator.records_activity() {
                    exchange.record = Record::of(request, &key, self);
                }
                exchange.expiry = self.expiry_header.as_ref().and_then(|name| {
                    let value = HeaderValue::try_from(format!("{:.0}", key.expires_at()?)).ok()?;
                    Some(Box::new((name.clone(), value)))
                });
                let headers = request.headers();
                exchange.is_private = self.extra_headers.iter().any(|name| headers.contains_key(name))
                    && !headers.contains_key(AUTHORIZATION);
                request.extensions_mut().insert(key);
                if self.strip_credential {
                    self.strip(request);
                }
            }
            None => {
                request.extensions_mut().remove::<AuthenticatedKey>();
                request.extensions_mut().insert(Anonymous::new(self.authenticator.clone()));
            }
        }
        exchange
    }

    /// Removes what held the key; `Authorization` of another scheme is somebody else's.
    fn strip<B>(&self, request: &mut Request<B>) {
        let headers = request.headers_mut();
        for name in &self.extra_headers {
            headers.remove(name);
        }
        let scheme = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().split(|byte| *byte == b' ').next());
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Bearer")) {
            headers.remove(AUTHORIZATION);
        }
    }
}

/// A request as the authenticator sees it.
struct View<'a, B> {
    request: &'a Request<B>,
    extra_headers: &'a [HeaderName],
}

impl<B> RequestView for View<'_, B> {
    #[inline]
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        let name = match header {
            Header::Authorization => &AUTHORIZATION,
            Header::Extra(n) => match self.extra_headers.get(n) {
                Some(name) => name,
                None => return HeaderLines::Absent,
            },
        };
        let headers = self.request.headers();
        // Few requests have two lines of any header. Where none has, the first is the only one.
        if headers.len() == headers.keys_len() {
            return headers.get(name).map_or(HeaderLines::Absent, |value| HeaderLines::One(value.as_bytes()));
        }
        headers.get_all(name).iter().map(|value| value.as_bytes()).collect()
    }

    fn authenticated(&self) -> Option<AuthenticatedKey> {
        self.request.extensions().get().cloned()
    }
}

impl<S: fmt::Debug> fmt::Debug for ApiKeyService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
