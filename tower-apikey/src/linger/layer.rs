//! The layer that stands outermost, for the answers of everything inside.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Lingering, Parting, awaits_continue,
    body::{Fate, LingerBody},
};

/// Lets clients have the answers to requests whose body was not read to its end.
///
/// An [`ApiKeyLayer`](crate::ApiKeyLayer) and a [`RequireScopeLayer`](crate::RequireScopeLayer) see to this for what they
/// refuse themselves. Services that take bodies put this layer outermost, for all other answers that don't wait for one: a
/// refusal by an extractor, a body that is too long, a path that isn't there, a request that is ended with its key.
///
/// ```
/// use http::{Request, Response};
/// use tower::ServiceBuilder;
/// use tower_apikey::{ApiKeyLayer, LingerLayer, TestKeys};
///
/// # async fn upload<B>(_: Request<B>) -> Result<Response<String>, std::io::Error> { Ok(Response::new(String::new())) }
/// let service = ServiceBuilder::new()
///     .layer(LingerLayer::new())
///     .layer(ApiKeyLayer::new(TestKeys::new().authenticator()))
///     .service_fn(upload);
/// # fn is_service<S: tower::Service<Request<String>>>(_: S) {}
/// # is_service(service);
/// ```
///
/// In axum: `Router::layer(LingerLayer::new())`, after all other calls of `layer`.
///
/// # What it does
///
/// A server that closes its connection while the client still sends makes the client's system discard what it has
/// received: many clients then report a broken pipe, and no answer. So the rest of a body that was dropped before its end
/// is read in the background once the request is answered, and thrown away, within the bounds of a [`Lingering`]. Over
/// HTTP/1 the answer has `Connection: close` (RFC 9112 §9.3 and §9.6). Over HTTP/2 this is done for errors only; other
/// answers end the stream at once, without an error (RFC 9113 §8.1).
///
/// - A request with `Expect: 100-continue` whose body nobody began to read gets no `100 Continue`, and nothing is read.
/// - An answer given while something still reads the body is left as it is.
/// - Requests without a body pass untouched, and nothing is allocated for them.
///
/// Bodies that aren't `Unpin` are boxed by `MapRequestBodyLayer::new(Box::pin)` of tower-http.
#[derive(Clone, Debug, Default)]
pub struct LingerLayer {
    lingering: Lingering,
}

impl LingerLayer {
    /// A layer with the default bounds.
    #[must_use]
    pub fn new() -> Self {
        LingerLayer::default()
    }

    /// Bounds what is read of the bodies of requests that are answered before.
    #[must_use]
    pub fn lingering(mut self, lingering: Lingering) -> Self {
        self.lingering = lingering;
        self
    }
}

impl<S> Layer<S> for LingerLayer {
    type Service = LingerService<S>;

    fn layer(&self, inner: S) -> LingerService<S> {
        LingerService { inner, lingering: self.lingering.clone() }
    }
}

/// The service of [`LingerLayer`].
#[derive(Clone, Debug)]
pub struct LingerService<S> {
    inner: S,
    lingering: Lingering,
}

impl<S> LingerService<S> {
    /// Lingers for the answers of `inner`, within the default bounds.
    pub fn new(inner: S) -> Self {
        LingerLayer::new().layer(inner)
    }

    /// Returns a layer that makes such services.
    #[must_use]
    pub fn layer() -> LingerLayer {
        LingerLayer::new()
    }

    accessors!();
}

impl<S, B, R> Service<Request<B>> for LingerService<S>
where
    S: Service<Request<LingerBody<B>>, Response = Response<R>>,
    B: Body + Send + Unpin + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = LingerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let parting = Parting::of(&request);
        let fate = (!request.body().is_end_stream()).then(|| Fate::new(self.lingering.clone()));
        let awaits_continue = awaits_continue(&request);
        let request = request.map(|body| LingerBody::new(body, fate.clone(), awaits_continue));
        LingerFuture { future: self.inner.call(request), fate, parting }
    }
}

pin_project! {
    /// The response future of [`LingerService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct LingerFuture<F> {
        #[pin]
        future: F,
        // `None` where there is no body, and after the answer.
        fate: Option<Fate>,
        parting: Parting,
    }
}

impl<F, R, E> Future for LingerFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.future.poll(cx))?;
        if let Some(fate) = this.fate.take() {
            fate.answer(*this.parting, &mut response);
        }
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for LingerFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LingerFuture").finish_non_exhaustive()
    }
}
