//! A scope check as a middleware around a `web::scope` or a resource. It runs before the body is read.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use actix_web::{
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::Method,
};
use apikey_core::{RequiredScopes, Requirement, adapter::ScopeRule};
use pin_project_lite::pin_project;

use crate::{extract::caller, response};

/// Accepts only callers with certain scopes. It belongs inside an [`ApiKeyMiddleware`](crate::ApiKeyMiddleware).
///
/// ```
/// use actix_apikey::{ApiKeyMiddleware, RequireScopeMiddleware, TestKeys, scopes};
/// use actix_web::{App, web};
///
/// scopes! { Files { FilesRead = "files:read", FilesWrite = "files:write" } }
///
/// # let keys = TestKeys::new();
/// // In actix the last `wrap` is the outermost: the key is verified before its scopes are looked at.
/// let app = App::new()
///     .service(
///         web::scope("/files")
///             .wrap(RequireScopeMiddleware::of::<FilesRead>())
///             .route("", web::get().to(|| async { "a list" })),
///     )
///     .wrap(ApiKeyMiddleware::new(keys.authenticator()));
/// ```
///
/// Refusals are responses, not errors: 403 if a scope is missing, 401 for an accepted anonymous request, and 500 if no
/// `ApiKeyMiddleware` ran before it. The `ApiKeyMiddleware` renders them.
#[derive(Clone)]
#[must_use = "a middleware does nothing until something is wrapped in it"]
pub struct RequireScopeMiddleware(Arc<ScopeRule>);

impl RequireScopeMiddleware {
    /// Requires the scopes of the type `S`.
    pub fn of<S: RequiredScopes>() -> Self {
        RequireScopeMiddleware::new(S::requirement())
    }

    /// Requires `requirement`, for scopes that are known only at run time.
    ///
    /// ```
    /// use actix_apikey::{RequireScopeMiddleware, Requirement};
    ///
    /// let middleware = RequireScopeMiddleware::new(Requirement::any(["files:read", "files:audit"])?);
    /// # Ok::<(), actix_apikey::ScopeError>(())
    /// ```
    pub fn new(requirement: impl Into<Requirement>) -> Self {
        RequireScopeMiddleware(Arc::new(ScopeRule::new(requirement.into())))
    }

    /// Requires `read` for GET and HEAD, and `write` for every other method. Each is a marker or a [`Requirement`].
    ///
    /// ```
    /// use actix_apikey::{RequireScopeMiddleware, scopes};
    ///
    /// scopes! { Files { FilesRead = "files:read", FilesWrite = "files:write" } }
    ///
    /// let middleware = RequireScopeMiddleware::per_method(FilesRead, FilesWrite);
    /// ```
    ///
    /// `OPTIONS` requires `write`, too: put CORS outside.
    pub fn per_method(read: impl Into<Requirement>, write: impl Into<Requirement>) -> Self {
        RequireScopeMiddleware(Arc::new(ScopeRule::per_method(read.into(), write.into())))
    }
}

impl<S, B> Transform<S, ServiceRequest> for RequireScopeMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = S::Error;
    type Transform = RequireScopeService<S>;
    type InitError = ();
    type Future = Ready<Result<RequireScopeService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(RequireScopeService { service, rule: Arc::clone(&self.0) }))
    }
}

/// The service of [`RequireScopeMiddleware`].
pub struct RequireScopeService<S> {
    service: S,
    rule: Arc<ScopeRule>,
}

impl<S, B> Service<ServiceRequest> for RequireScopeService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = S::Error;
    type Future = RequireScopeFuture<S::Future>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> RequireScopeFuture<S::Future> {
        let caller = caller(request.request());
        let verdict = caller.and_then(|key| self.rule.check(&key, request.method().as_str()));
        let state = match verdict {
            Ok(()) => State::Calling { future: self.service.call(request) },
            Err(rejection) => {
                let to_head = request.method() == Method::HEAD;
                let response = request.into_response(response::respond_within(rejection, to_head));
                State::Refused { response: Some(response) }
            }
        };
        RequireScopeFuture { state }
    }
}

pin_project! {
    /// The future of [`RequireScopeService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct RequireScopeFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Calling { #[pin] future: F },
        Refused { response: Option<ServiceResponse> },
    }
}

impl<F, B, E> Future for RequireScopeFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, E>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, E>;

    #[expect(clippy::expect_used, reason = "a future that is polled after it has completed may panic")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Calling { future } => Poll::Ready(Ok(ready!(future.poll(cx))?.map_into_left_body())),
            StateProj::Refused { response } => {
                let response = response.take().expect("polled after completion");
                Poll::Ready(Ok(response.map_into_right_body()))
            }
        }
    }
}

impl fmt::Debug for RequireScopeMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequireScopeMiddleware").field(&self.0).finish()
    }
}

impl<S> fmt::Debug for RequireScopeService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireScopeService").field("rule", &self.rule).finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for RequireScopeFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireScopeFuture").finish_non_exhaustive()
    }
}
