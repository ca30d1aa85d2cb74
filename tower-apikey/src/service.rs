//! The service: shows the request to the authenticator, and carries its decision out.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use apikey_core::{
    AuthenticatedKey, Authenticator,
    adapter::{Authentication, Header, HeaderLines, RequestDescription, RequestMut, RequestView},
};
use http::{
    HeaderName, Request, Response,
    header::{AUTHORIZATION, USER_AGENT},
};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    body::ResponseBody,
    future::ResponseFuture,
    layer::{ApiKeyLayer, Config},
    response::Exchange,
};

/// The service of [`ApiKeyLayer`](crate::ApiKeyLayer).
///
/// The inner service must be `Clone`, as a request whose key has to be looked up takes the ready one along.
#[derive(Clone)]
pub struct ApiKeyService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> ApiKeyService<S> {
    /// Lets in what `authenticator` lets in, with the defaults of [`ApiKeyLayer`].
    pub fn new(inner: S, authenticator: Authenticator) -> Self {
        ApiKeyLayer::new(authenticator).layer(inner)
    }

    /// Returns a layer that makes such services.
    #[must_use]
    pub fn layer(authenticator: Authenticator) -> ApiKeyLayer {
        ApiKeyLayer::new(authenticator)
    }

    pub(crate) fn configured(inner: S, config: Arc<Config>) -> Self {
        ApiKeyService { inner, config }
    }

    accessors!();
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
        let mut view = View { request: &mut request, config: &self.config };
        match self.config.admission.authenticator().authenticate(&view) {
            Authentication::Done(Ok(key)) => {
                let exchange = exchange.admitted(self.config.admission.admit(key, &mut view));
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

/// A request as the core sees it.
pub(crate) struct View<'a, B> {
    pub(crate) request: &'a mut Request<B>,
    pub(crate) config: &'a Config,
}

impl<B> View<'_, B> {
    #[inline]
    fn name(&self, header: Header) -> Option<&HeaderName> {
        match header {
            Header::Authorization => Some(&AUTHORIZATION),
            Header::Extra(n) => self.config.extra_headers.get(n),
        }
    }
}

impl<B> RequestView for View<'_, B> {
    #[inline]
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        let Some(name) = self.name(header) else { return HeaderLines::Absent };
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

impl<B> RequestMut for View<'_, B> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn user_agent(&self) -> Option<&str> {
        self.request.headers().get(USER_AGENT)?.to_str().ok()
    }

    fn describe(&self) -> RequestDescription {
        let describe = self.config.describe.as_ref();
        describe.map(|describe| describe(self.request.headers(), self.request.extensions())).unwrap_or_default()
    }

    fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) -> Option<T> {
        self.request.extensions_mut().insert(value)
    }

    fn remove<T: Clone + Send + Sync + 'static>(&mut self) {
        self.request.extensions_mut().remove::<T>();
    }

    fn remove_header(&mut self, header: Header) {
        if let Some(name) = self.name(header).cloned() {
            self.request.headers_mut().remove(name);
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for ApiKeyService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
