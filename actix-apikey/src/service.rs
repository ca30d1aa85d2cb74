//! One request through the middleware: shows the core its headers, leaves the key in it, answers who is refused.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpMessage,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderName, HeaderValue},
    },
};
use apikey_core::{
    Anonymous, AuthenticatedKey, Authentication, Decision, Header, HeaderLines, Loading, Rejection, RequestView,
};
use pin_project_lite::pin_project;

use crate::{middleware::ApiKeyMiddleware, response};

/// What [`ApiKeyMiddleware`] makes of a service.
pub struct ApiKeyService<S>(Rc<Guarded<S>>);

impl<S> ApiKeyService<S> {
    pub(crate) fn new(guarded: Guarded<S>) -> Self {
        ApiKeyService(Rc::new(guarded))
    }
}

/// A service, who may call it, and the names of the authenticator's extra headers in its order.
pub(crate) struct Guarded<S> {
    pub(crate) service: S,
    pub(crate) options: ApiKeyMiddleware,
    pub(crate) extra_headers: Box<[HeaderName]>,
}

impl<S, B> Service<ServiceRequest> for ApiKeyService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.service.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> ResponseFuture<S> {
        let guarded = &self.0;
        let to_head = request.method() == Method::HEAD;
        let view = View { request: &request, extra_headers: &guarded.extra_headers };
        let authentication = guarded.options.authenticator.authenticate(&view);
        let (state, private) = match authentication {
            Authentication::Done(decision) => guarded.carry_out(decision, request, to_head),
            Authentication::Loading(loading) => (State::Loading { loading, request: Some(request) }, false),
        };
        ResponseFuture { guarded: Rc::clone(guarded), to_head, private, state }
    }
}

impl<S, B> Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
    B: MessageBody,
{
    /// Calls the service or answers in its place. Also says whether the answer must be kept from shared caches.
    fn carry_out(&self, decision: Decision, mut request: ServiceRequest, to_head: bool) -> (State<S::Future>, bool) {
        match decision {
            Ok(Some(key)) => {
                let private = self.came_by_extra_header(&request);
                if self.options.strip_credential {
                    self.strip(&mut request);
                }
                request.extensions_mut().insert(key);
                (State::Calling { future: self.service.call(request) }, private)
            }
            Ok(None) => {
                {
                    let mut extensions = request.extensions_mut();
                    extensions.remove::<AuthenticatedKey>();
                    extensions.insert(Anonymous::new(self.options.authenticator.clone()));
                }
                (State::Calling { future: self.service.call(request) }, false)
            }
            Err(rejection) => {
                let response = response::respond(&rejection, self.options.responder.as_ref(), to_head);
                (State::Refused { response: Some(request.into_response(response)) }, false)
            }
        }
    }

    /// RFC 9111 §3.5 keeps shared caches from storing what was asked for with `Authorization`, and nothing else.
    fn came_by_extra_header(&self, request: &ServiceRequest) -> bool {
        let headers = request.headers();
        self.extra_headers.iter().any(|name| headers.contains_key(name)) && !headers.contains_key(header::AUTHORIZATION)
    }

    /// Removes the credential of a request that was let in: had it more than one, it would have been refused.
    fn strip(&self, request: &mut ServiceRequest) {
        let headers = request.headers_mut();
        for name in &self.extra_headers {
            headers.remove(name);
        }
        // Beside a key in another header, `Authorization` may be somebody else's, of another scheme.
        let is_bearer = |line: &HeaderValue| {
            line.as_bytes().split_at_checked(7).is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
        };
        if headers.get(header::AUTHORIZATION).is_some_and(is_bearer) {
            headers.remove(header::AUTHORIZATION);
        }
    }

    /// What is left to do once the service has answered.
    fn finish(&self, mut response: ServiceResponse<B>, private: bool, to_head: bool) -> ServiceResponse<EitherBody<B>> {
        if private && !response.headers().contains_key(header::CACHE_CONTROL) {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        }
        if response.status().is_success() {
            return response.map_into_left_body();
        }
        // Taken out even if there is nothing to say it in other words: the innermost middleware has answered.
        let rejection = response.response_mut().extensions_mut().remove::<Rejection>();
        let responder = self.options.responder.as_ref();
        match rejection {
            Some(rejection) if responder.is_some() || to_head => {
                response.map_body(|head, _| EitherBody::right(response::answer(head, &rejection, responder, to_head)))
            }
            _ => response.map_into_left_body(),
        }
    }
}

/// A request as the core sees it.
struct View<'a> {
    request: &'a ServiceRequest,
    extra_headers: &'a [HeaderName],
}

impl RequestView for View<'_> {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        let headers = self.request.headers();
        let lines = match header {
            Header::Authorization => headers.get_all(header::AUTHORIZATION),
            Header::Extra(n) => headers.get_all(&self.extra_headers[n]),
        };
        lines.map(HeaderValue::as_bytes).collect()
    }

    fn authenticated(&self) -> Option<AuthenticatedKey> {
        self.request.extensions().get::<AuthenticatedKey>().cloned()
    }
}

pin_project! {
    /// The future of [`ApiKeyService`].
    ///
    /// A key in the cache costs it no allocation: the service's own future is polled in place.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S: Service<ServiceRequest>> {
        guarded: Rc<Guarded<S>>,
        to_head: bool,
        private: bool,
        #[pin]
        state: State<S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Loading { loading: Loading, request: Option<ServiceRequest> },
        Calling { #[pin] future: F },
        Refused { response: Option<ServiceResponse> },
    }
}

impl<S, B> Future for ResponseFuture<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, S::Error>;

    #[expect(clippy::expect_used, reason = "a future that is polled after it has completed may panic")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Loading { loading, request } => {
                    let decision = ready!(Pin::new(loading).poll(cx));
                    let request = request.take().expect("polled after completion");
                    let (state, private) = this.guarded.carry_out(decision, request, *this.to_head);
                    *this.private = private;
                    this.state.set(state);
                }
                StateProj::Calling { future } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(this.guarded.finish(response, *this.private, *this.to_head)));
                }
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after completion");
                    return Poll::Ready(Ok(response.map_into_right_body()));
                }
            }
        }
    }
}

impl<S> fmt::Debug for ApiKeyService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApiKeyService").field(&self.0.options).finish()
    }
}

impl<S: Service<ServiceRequest>> fmt::Debug for ResponseFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
