//! The service: it shows the request to the authenticator, and carries out the decision.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use apikey_core::adapter::Authentication;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{body::ResponseBody, config::Config, future::ResponseFuture, response::Exchange, view::View};

/// The service of [`ApiKeyLayer`](crate::ApiKeyLayer).
///
/// The inner service must be `Clone`, because a request whose key has to be looked up takes the ready service with it.
#[derive(Clone)]
pub struct ApiKeyService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> ApiKeyService<S> {
    pub(crate) fn configured(inner: S, config: Arc<Config>) -> Self {
        ApiKeyService { inner, config }
    }

    accessors!();
}

impl<S: Clone> ApiKeyService<S> {
    /// Takes the ready service, with everything that `poll_ready` reserved, and leaves its clone, which is not ready.
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

impl<S: fmt::Debug> fmt::Debug for ApiKeyService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
