//! A route's choice to let its requests finish after their key has died.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use apikey_core::adapter::InFlight;
use http::Request;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// Lets requests of the routes inside it finish, even if their key is revoked or expires. It belongs inside an
/// [`ApiKeyLayer`](crate::ApiKeyLayer), and changes nothing else.
///
/// Use it for work that must not stop halfway: in axum, `.route("/keys/{id}",
/// delete(revoke).layer(FinishLayer::new()))`, or `Router::route_layer(FinishLayer::new())` for several routes. The
/// layer's own option [`on_revoked`](crate::ApiKeyLayer::on_revoked) does the same for all routes.
///
/// ```
/// use tower::{ServiceBuilder, service_fn};
/// use tower_apikey::{ApiKeyLayer, FinishLayer, TestKeys};
///
/// # let handler = service_fn(async |_: http::Request<String>| Ok::<_, std::io::Error>(http::Response::new(String::new())));
/// let keys = TestKeys::new();
/// let service = ServiceBuilder::new()
///     .layer(ApiKeyLayer::new(keys.authenticator()))
///     .layer(FinishLayer::new())
///     .service(handler);
/// # fn is_service<S: tower::Service<http::Request<String>>>(_: S) {}
/// # is_service(service);
/// ```
///
/// # Limits
///
/// The outer layer learns of the choice when this layer first polls the handler, so a request that still waits in a
/// layer between them is ended. Both must be polled by the same task: `tower::buffer` between them hides the choice.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct FinishLayer;

impl FinishLayer {
    /// Creates the layer.
    #[must_use]
    pub const fn new() -> Self {
        FinishLayer
    }
}

impl<S> Layer<S> for FinishLayer {
    type Service = FinishService<S>;

    fn layer(&self, inner: S) -> FinishService<S> {
        FinishService::new(inner)
    }
}

/// The service of [`FinishLayer`].
#[derive(Clone, Debug)]
pub struct FinishService<S> {
    inner: S,
}

impl<S> FinishService<S> {
    /// Creates a service that lets requests to `inner` finish.
    pub fn new(inner: S) -> Self {
        FinishService { inner }
    }

    /// Returns a layer that creates such services.
    #[must_use]
    pub fn layer() -> FinishLayer {
        FinishLayer
    }

    accessors!();
}

impl<S, B> Service<Request<B>> for FinishService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = FinishFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        FinishFuture { future: self.inner.call(request) }
    }
}

pin_project! {
    /// The response future of [`FinishService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct FinishFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for FinishFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        InFlight::finish();
        self.project().future.poll(cx)
    }
}

impl<F> fmt::Debug for FinishFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishFuture").finish_non_exhaustive()
    }
}
