//! A route's choice to let its requests finish after their key has died.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    body::MessageBody,
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
};
use apikey_core::adapter::InFlight;
use pin_project_lite::pin_project;

/// Lets requests of the routes inside it finish, even if their key is revoked or expires. It belongs inside an
/// [`ApiKeyMiddleware`](crate::ApiKeyMiddleware), and changes nothing else.
///
/// Use it for work that must not stop halfway. The middleware's own option
/// [`on_revoked`](crate::ApiKeyMiddleware::on_revoked) does the same for all routes.
///
/// ```
/// use actix_apikey::{ApiKeyMiddleware, FinishMiddleware, TestKeys};
/// use actix_web::{App, web};
///
/// # let keys = TestKeys::new();
/// let app = App::new()
///     .service(
///         web::resource("/keys/{id}").route(web::delete().to(|| async { "revoked" })).wrap(FinishMiddleware::new()),
///     )
///     .wrap(ApiKeyMiddleware::new(keys.authenticator()));
/// ```
///
/// # Limits
///
/// The outer middleware learns of the choice when this one first polls the handler, so a request that still waits
/// between them is ended.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a middleware does nothing until something is wrapped in it"]
#[non_exhaustive]
pub struct FinishMiddleware;

impl FinishMiddleware {
    /// Creates the middleware.
    pub const fn new() -> Self {
        FinishMiddleware
    }
}

impl<S, B> Transform<S, ServiceRequest> for FinishMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
    B: MessageBody,
{
    type Response = ServiceResponse<B>;
    type Error = S::Error;
    type Transform = FinishService<S>;
    type InitError = ();
    type Future = Ready<Result<FinishService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(FinishService { service }))
    }
}

/// The service of [`FinishMiddleware`].
#[derive(Debug)]
pub struct FinishService<S> {
    service: S,
}

impl<S, B> Service<ServiceRequest> for FinishService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
    B: MessageBody,
{
    type Response = ServiceResponse<B>;
    type Error = S::Error;
    type Future = FinishFuture<S::Future>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> FinishFuture<S::Future> {
        FinishFuture { future: self.service.call(request) }
    }
}

pin_project! {
    /// The future of [`FinishService`].
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
