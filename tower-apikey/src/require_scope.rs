//! A guard for whole routes: it accepts callers that an outer `ApiKeyLayer` has verified, if they have the scopes.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use apikey_core::{RequiredScopes, Requirement, adapter::ScopeRule};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{body::ResponseBody, caller::caller, linger::Lingering, response::refusal};

/// Requires scopes of every caller. It belongs inside an [`ApiKeyLayer`](crate::ApiKeyLayer), and reads no body.
///
/// ```
/// use tower_apikey::{RequireScopeLayer, Requirement, scopes};
///
/// scopes! {
///     pub Files {
///         FilesRead = "files:read",
///         FilesWrite = "files:write",
///     }
/// }
///
/// let reads = RequireScopeLayer::of::<FilesRead>();
/// // The same, from configuration:
/// let reads = RequireScopeLayer::new(Requirement::all(["files:read"])?);
/// // GET and HEAD need one scope, every other method the other:
/// let both = RequireScopeLayer::per_method(FilesRead, FilesWrite);
/// # Ok::<(), tower_apikey::ScopeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RequireScopeLayer {
    rule: Arc<ScopeRule>,
    lingering: Lingering,
}

impl RequireScopeLayer {
    /// Requires `requirement`, a marker or a [`Requirement`], for every method.
    #[must_use]
    pub fn new(requirement: impl Into<Requirement>) -> Self {
        RequireScopeLayer::of_rule(ScopeRule::new(requirement.into()))
    }

    /// Requires the scopes `S` for every method.
    #[must_use]
    pub fn of<S: RequiredScopes>() -> Self {
        RequireScopeLayer::new(S::requirement())
    }

    /// Requires `read` for GET and HEAD, and `write` for every other method. Each is a marker or a [`Requirement`].
    #[must_use]
    pub fn per_method(read: impl Into<Requirement>, write: impl Into<Requirement>) -> Self {
        RequireScopeLayer::of_rule(ScopeRule::per_method(read.into(), write.into()))
    }

    /// Limits how much is read of the bodies of requests that this layer refuses, so that clients receive the response.
    #[must_use]
    pub fn lingering(mut self, lingering: Lingering) -> Self {
        self.lingering = lingering;
        self
    }

    fn of_rule(rule: ScopeRule) -> Self {
        RequireScopeLayer { rule: Arc::new(rule), lingering: Lingering::new() }
    }
}

impl<S> Layer<S> for RequireScopeLayer {
    type Service = RequireScopeService<S>;

    fn layer(&self, inner: S) -> RequireScopeService<S> {
        RequireScopeService { inner, config: self.clone() }
    }
}

/// The service of [`RequireScopeLayer`].
#[derive(Clone)]
pub struct RequireScopeService<S> {
    inner: S,
    config: RequireScopeLayer,
}

impl<S> RequireScopeService<S> {
    /// Creates a service that requires `requirement` for every method.
    pub fn new(inner: S, requirement: impl Into<Requirement>) -> Self {
        RequireScopeLayer::new(requirement).layer(inner)
    }

    /// Returns a layer that creates such services.
    #[must_use]
    pub fn layer(requirement: impl Into<Requirement>) -> RequireScopeLayer {
        RequireScopeLayer::new(requirement)
    }

    accessors!();
}

impl<S, B, R> Service<Request<B>> for RequireScopeService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Body + Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = RequireScopeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let caller = caller(request.extensions());
        match caller.and_then(|key| self.config.rule.check(key, request.method().as_str())) {
            Ok(()) => RequireScopeFuture { state: State::Calling { future: self.inner.call(request) } },
            Err(rejection) => {
                // The ready service is used, with everything that it reserved.
                let clone = self.inner.clone();
                drop(mem::replace(&mut self.inner, clone));
                let mut refused = refusal(rejection);
                self.config.lingering.leave(request, &mut refused);
                RequireScopeFuture { state: State::Refused { response: Some(refused) } }
            }
        }
    }
}

pin_project! {
    /// The response future of [`RequireScopeService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct RequireScopeFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Calling {
            #[pin]
            future: F,
        },
        Refused {
            response: Option<Response<Full<Bytes>>>,
        },
    }
}

impl<F, R, E> Future for RequireScopeFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    #[expect(clippy::expect_used, reason = "a future polled after completion may panic")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.project().state.project() {
            StateProjection::Calling { future } => ready!(future.poll(cx))?.map(ResponseBody::free),
            StateProjection::Refused { response } => {
                response.take().expect("polled after completion").map(ResponseBody::refusal)
            }
        }))
    }
}

impl<S: fmt::Debug> fmt::Debug for RequireScopeService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireScopeService").field("inner", &self.inner).field("config", &self.config).finish()
    }
}

impl<F> fmt::Debug for RequireScopeFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireScopeFuture").finish_non_exhaustive()
    }
}
