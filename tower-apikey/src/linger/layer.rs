//! The outermost layer, which delivers responses to requests with unread bodies.

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

/// Makes clients receive responses to requests whose body was not read to its end.
///
/// An [`ApiKeyLayer`](crate::ApiKeyLayer) and a [`RequireScopeLayer`](crate::RequireScopeLayer) do so for their own
/// refusals. Services that accept bodies need this layer, as the outermost, for other early responses: a refusal by an
/// extractor, a body that is too long, an unknown path, or a request that ends with its key.
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
/// If a server closes its connection while the client is still sending, the client's system discards what it has
/// received, and many clients report a broken pipe instead of the response. So once the request is answered, the rest
/// of its dropped body is read in the background and discarded, within the limits of a [`Lingering`]. Over HTTP/1, the
/// response has `Connection: close` (RFC 9112 §9.3 and §9.6). Over HTTP/2, this applies to error responses only; other
/// responses end the stream immediately, without an error (RFC 9113 §8.1).
///
/// - A request with `Expect: 100-continue` whose body was never polled gets no `100 Continue`, and nothing is read.
/// - A response that is given while something still reads the body is not changed.
/// - Requests without a body pass unchanged, and nothing is allocated for them.
///
/// `MapRequestBodyLayer::new(Box::pin)` of tower-http boxes bodies that aren't `Unpin`.
#[derive(Clone, Debug, Default)]
pub struct LingerLayer {
    lingering: Lingering,
}

impl LingerLayer {
    /// Creates a layer with the default limits.
    #[must_use]
    pub fn new() -> Self {
        LingerLayer::default()
    }

    /// Sets the limits of reading after an early response.
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
    /// Creates a service with the default limits.
    pub fn new(inner: S) -> Self {
        LingerLayer::new().layer(inner)
    }

    /// Returns a layer that creates such services.
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
        // `None` if there is no body, and after the response.
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
