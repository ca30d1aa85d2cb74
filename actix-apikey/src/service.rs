//! One request through the middleware: shows the core its headers, leaves the key in it, answers who is refused.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::{
    Error, HttpMessage, HttpRequest, ResponseError,
    body::MessageBody,
    dev::{Service, ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use apikey_core::{
    AuthenticatedKey, LastFrame, OnRevoked, Rejection,
    adapter::{Anonymous, Authentication, Decision, Header, HeaderLines, InFlight, Loading, RequestView},
};
use pin_project_lite::pin_project;

use crate::{activity::Record, body::ResponseBody, middleware::ApiKeyMiddleware, rejection::ApiKeyRejection, response};

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
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<ResponseBody<B>>;
    type Error = Error;
    type Future = ResponseFuture<S>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.service.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> ResponseFuture<S> {
        let guarded = &self.0;
        let to_head = request.method() == Method::HEAD;
        let view = View { request: &request, extra_headers: &guarded.extra_headers };
        let authentication = guarded.options.authenticator.authenticate(&view);
        let mut exchange = Exchange {
            to_head,
            private: false,
            in_flight: InFlight::anonymous(),
            request: None,
            record: None,
            expiry: None,
        };
        let state = match authentication {
            Authentication::Done(decision) => guarded.carry_out(decision, request, &mut exchange),
            Authentication::Loading(loading) => State::Loading { loading, request: Some(request) },
        };
        ResponseFuture { guarded: Rc::clone(guarded), exchange, state }
    }
}

/// What must be remembered of a request until its response.
struct Exchange {
    to_head: bool,
    /// The answer must be kept from shared caches.
    private: bool,
    /// Ends the handler with its key.
    in_flight: InFlight,
    /// What a refusal under way is to be returned with, if that is kept.
    request: Option<HttpRequest>,
    /// The request, where activity is recorded.
    record: Option<Box<Record>>,
    /// What tells the holder when the key expires.
    expiry: Option<Box<(HeaderName, HeaderValue)>>,
}

impl<S, B> Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    /// Calls the service or answers in its place.
    fn carry_out(&self, decision: Decision, mut request: ServiceRequest, exchange: &mut Exchange) -> State<S::Future> {
        match decision {
            Ok(Some(key)) => {
                exchange.private = self.came_by_extra_header(&request);
                exchange.in_flight = InFlight::new(&key, self.options.on_revoked);
                if self.options.authenticator.records_activity() {
                    exchange.record = Record::of(&request, &key, &self.options.authenticator);
                }
                exchange.expiry = self.options.expiry_header.as_ref().and_then(|name| {
                    let value = HeaderValue::try_from(format!("{:.0}", key.expires_at()?)).ok()?;
                    Some(Box::new((name.clone(), value)))
                });
                if self.options.strip_credential {
                    self.strip(&mut request);
                }
                request.extensions_mut().insert(key);
                exchange.request = self.options.keep_request.then(|| request.request().clone());
                State::Calling { future: self.service.call(request) }
            }
            Ok(None) => {
                {
                    let mut extensions = request.extensions_mut();
                    extensions.remove::<AuthenticatedKey>();
                    extensions.insert(Anonymous::new(self.options.authenticator.clone()));
                }
                State::Calling { future: self.service.call(request) }
            }
            Err(rejection) => {
                let response = response::respond(&rejection, self.options.responder.as_ref(), exchange.to_head);
                State::Refused { response: Some(request.into_response(response)) }
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
    fn finish(&self, mut response: ServiceResponse<B>, exchange: &mut Exchange) -> ServiceResponse<ResponseBody<B>> {
        if exchange.private && !response.headers().contains_key(header::CACHE_CONTROL) {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        }
        if let Some(mut record) = exchange.record.take() {
            record.answered(response.status());
        }
        if let Some(expiry) = exchange.expiry.take() {
            let (name, value) = *expiry;
            response.headers_mut().insert(name, value);
        }
        let to_head = exchange.to_head;
        if response.status().is_success() {
            return let_through(response, exchange);
        }
        // Taken out even if there is nothing to say it in other words: the innermost middleware has answered.
        let rejection = response.response_mut().extensions_mut().remove::<Rejection>();
        let responder = self.options.responder.as_ref();
        match rejection {
            Some(rejection) if responder.is_some() || to_head => response
                .map_body(|head, _| ResponseBody::refusal(response::answer(head, &rejection, responder, to_head))),
            _ => let_through(response, exchange),
        }
    }
}

/// The service's response, whose body goes on for as long as the key lives.
fn let_through<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
    exchange: &mut Exchange,
) -> ServiceResponse<ResponseBody<B>> {
    let extensions = response.response().extensions();
    let finishes = extensions.get() == Some(&OnRevoked::Finish);
    let last = extensions.get::<LastFrame>().cloned();
    drop(extensions);
    match exchange.in_flight.take_revoked() {
        Some(revoked) if !finishes => response.map_body(|_, body| ResponseBody::while_live(body, revoked, last)),
        _ => response.map_body(|_, body| ResponseBody::free(body)),
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
        exchange: Exchange,
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
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Output = Result<ServiceResponse<ResponseBody<B>>, Error>;

    #[expect(clippy::expect_used, reason = "a future that is polled after it has completed may panic")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Loading { loading, request } => {
                    let decision = ready!(Pin::new(loading).poll(cx));
                    let request = request.take().expect("polled after completion");
                    let state = this.guarded.carry_out(decision, request, this.exchange);
                    this.state.set(state);
                }
                StateProj::Calling { future } => {
                    let answered = ready!(this.exchange.in_flight.poll(future, cx));
                    let kept = this.exchange.request.take();
                    return Poll::Ready(match answered {
                        Ok(Ok(response)) => Ok(this.guarded.finish(response, this.exchange)),
                        Ok(Err(error)) => {
                            if let Some(mut record) = this.exchange.record.take() {
                                record.answered(error.as_response_error().status_code());
                            }
                            Err(error)
                        }
                        Err(rejection) => {
                            // The handler goes before its answer comes.
                            this.state.set(State::Refused { response: None });
                            if let Some(mut record) = this.exchange.record.take() {
                                record.answered(StatusCode::from_u16(rejection.status()).unwrap_or_default());
                            }
                            let responder = this.guarded.options.responder.clone();
                            let refusal = ApiKeyRejection::under_way(rejection, responder, this.exchange.to_head);
                            match kept {
                                Some(request) => {
                                    let response = ServiceResponse::new(request, refusal.error_response());
                                    Ok(response.map_body(|_, body| ResponseBody::refusal(body)))
                                }
                                None => Err(refusal.into()),
                            }
                        }
                    });
                }
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after completion");
                    return Poll::Ready(Ok(response.map_body(|_, body| ResponseBody::refusal(body))));
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
