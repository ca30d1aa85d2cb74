//! The middleware: shows the core a request's headers, leaves the key in the request, answers who is refused.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpMessage,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::{
        Method,
        header::{self, HeaderName, HeaderValue},
    },
};
use apikey_core::{
    AuthenticatedKey, Authentication, Authenticator, Decision, Header, HeaderLines, Loading, Rejection, RequestView,
};
use pin_project_lite::pin_project;

use crate::{
    extract::Anonymous,
    response::{self, Refusal, Responder},
};

/// Lets requests with a valid key in, and leaves their [`AuthenticatedKey`] in the request's extensions.
///
/// It goes around an `App`, a `web::scope` or a `web::resource`:
///
/// ```
/// use actix_apikey::{ApiKey, ApiKeyMiddleware, TestKeys};
/// use actix_web::{App, test, web};
///
/// # #[actix_web::main]
/// # async fn main() {
/// let keys = TestKeys::new();
/// let api = web::scope("/api")
///     .wrap(ApiKeyMiddleware::new(keys.authenticator()))
///     .route("/whoami", web::get().to(|key: ApiKey| async move { key.key_id().to_string() }));
/// let app = test::init_service(App::new().service(api)).await;
///
/// let key = keys.key(["files:read"]);
/// let request = test::TestRequest::get().uri("/api/whoami").insert_header(("authorization", key.authorization()));
/// assert_eq!(test::call_and_read_body(&app, request.to_request()).await, key.id().to_string());
/// # }
/// ```
///
/// Refusals are responses, not errors, so middlewares further out see them. In actix the **last** `wrap` is the
/// outermost: CORS, which answers preflight requests that carry no key, comes after this one.
///
/// ```
/// # use actix_apikey::{ApiKeyMiddleware, TestKeys};
/// # use actix_cors::Cors;
/// # use actix_web::App;
/// # let keys = TestKeys::new();
/// App::new().wrap(ApiKeyMiddleware::new(keys.authenticator())).wrap(Cors::permissive());
/// ```
///
/// # One authenticator for all workers
///
/// An `HttpServer` builds an application for each worker. Build the authenticator, or this middleware, before, and clone
/// it in the application's factory: clones share one cache, so a key that one worker has verified is known to all, and a
/// key that is revoked is revoked for all. Build it inside the factory and every worker has a cache of its own.
///
/// # Nesting
///
/// A middleware replaces or removes the key that one further out has left, unless both have the same authenticator: then
/// it stands.
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until something is wrapped in it"]
pub struct ApiKeyMiddleware {
    authenticator: Authenticator,
    strip_credential: bool,
    responder: Option<Responder>,
}

impl ApiKeyMiddleware {
    /// Asks `authenticator` about every request.
    pub fn new(authenticator: Authenticator) -> Self {
        ApiKeyMiddleware { authenticator, strip_credential: false, responder: None }
    }

    /// Removes the credential from requests that are let in, so that nothing further in can log it or send it on; it
    /// stays unless said.
    ///
    /// A foreign token that passes stays: another layer has to read it.
    ///
    /// ```
    /// # use actix_apikey::{ApiKeyMiddleware, TestKeys};
    /// # let keys = TestKeys::new();
    /// let middleware = ApiKeyMiddleware::new(keys.authenticator()).strip_credential(true);
    /// ```
    pub fn strip_credential(mut self, strip_credential: bool) -> Self {
        self.strip_credential = strip_credential;
        self
    }

    /// Sets the bodies of refusals, those of extractors and of [`RequireScopeMiddleware`](crate::RequireScopeMiddleware)
    /// further in included; problems (RFC 9457) unless said. Where middlewares are nested, the innermost answers.
    ///
    /// ```
    /// use actix_apikey::{ApiKeyMiddleware, Refusal, TestKeys};
    ///
    /// # let keys = TestKeys::new();
    /// let middleware = ApiKeyMiddleware::new(keys.authenticator()).responder(|rejection| {
    ///     Refusal::new("application/json", format!(r#"{{"error":"{}"}}"#, rejection.code()))
    /// });
    /// ```
    pub fn responder(mut self, respond: impl Fn(&Rejection) -> Refusal + Send + Sync + 'static) -> Self {
        self.responder = Some(Responder::new(respond));
        self
    }
}

impl<S, B> Transform<S, ServiceRequest> for ApiKeyMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = S::Error;
    type Transform = ApiKeyService<S>;
    type InitError = ();
    type Future = Ready<Result<ApiKeyService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let extra_headers = self.authenticator.extra_headers().iter();
        // The core has checked that they are names.
        let Ok(extra_headers) = extra_headers.map(|name| HeaderName::try_from(&**name)).collect() else {
            return ready(Err(()));
        };
        ready(Ok(ApiKeyService(Rc::new(Guarded { service, options: self.clone(), extra_headers }))))
    }
}

/// What [`ApiKeyMiddleware`] makes of a service.
pub struct ApiKeyService<S>(Rc<Guarded<S>>);

struct Guarded<S> {
    service: S,
    options: ApiKeyMiddleware,
    extra_headers: Box<[HeaderName]>,
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
                    extensions.insert(Anonymous(self.options.authenticator.clone()));
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
            Some(rejection) if responder.is_some() || to_head => response
                .map_body(|head, _| EitherBody::right(response::answer(head, &rejection, responder, to_head))),
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
