//! One request through the middleware: shows the headers to the core, stores the key in the request, and answers
//! refusals.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::MessageBody,
    dev::{Service, ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderName, HeaderValue},
    },
};
use apikey_core::{
    AuthenticatedKey,
    adapter::{
        Answer, Authentication, Decision, Exchange, Header, HeaderLines, Loading, RequestDescription, RequestMut,
        RequestView, ResponseMut,
    },
};
use pin_project_lite::pin_project;

use crate::{body::ResponseBody, options::Options, rejection::ApiKeyRejection, response};

/// The service of [`ApiKeyMiddleware`](crate::ApiKeyMiddleware).
pub struct ApiKeyService<S>(Rc<Guarded<S>>);

impl<S> ApiKeyService<S> {
    pub(crate) fn new(service: S, options: Options) -> Self {
        ApiKeyService(Rc::new(Guarded { service, options }))
    }
}

/// A service and its guard.
struct Guarded<S> {
    service: S,
    options: Options,
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

    fn call(&self, mut request: ServiceRequest) -> ResponseFuture<S> {
        let guarded = &self.0;
        let to_head = request.method() == Method::HEAD;
        let view = View { request: &mut request, extra_headers: &guarded.options.extra_headers };
        let mut call = Call { to_head, exchange: Exchange::default(), request: None };
        let state = match guarded.options.admission.authenticator().authenticate(&view) {
            Authentication::Done(decision) => guarded.carry_out(decision, request, &mut call),
            Authentication::Loading(loading) => State::Loading { loading, request: Some(request) },
        };
        ResponseFuture { guarded: Rc::clone(guarded), call, state }
    }
}

/// What a request's response needs to know.
struct Call {
    to_head: bool,
    /// The core's part.
    exchange: Exchange,
    /// The request for the response of a waiting handler's refusal, if it is kept.
    request: Option<HttpRequest>,
}

impl<S, B> Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    /// Calls the service, or answers in its place.
    fn carry_out(&self, decision: Decision, mut request: ServiceRequest, call: &mut Call) -> State<S::Future> {
        match decision {
            Ok(key) => {
                let is_known = key.is_some();
                let mut view = View { request: &mut request, extra_headers: &self.options.extra_headers };
                call.exchange = self.options.admission.admit(key, &mut view);
                call.request = (is_known && self.options.keep_request).then(|| request.request().clone());
                State::Calling { future: self.service.call(request) }
            }
            Err(rejection) => {
                let response = response::respond(&rejection, self.options.responder.as_ref(), call.to_head);
                State::Refused { response: Some(request.into_response(response)) }
            }
        }
    }

    /// Finishes the service's response.
    fn finish(&self, mut response: ServiceResponse<B>, call: &mut Call) -> ServiceResponse<ResponseBody<B>> {
        let responder = self.options.responder.as_ref();
        let mut view =
            Answered { response: response.response_mut(), expiry_header: self.options.expiry_header.as_ref() };
        match call.exchange.finish(&mut view, responder.is_some() || call.to_head) {
            Answer::Free => response.map_body(|_, body| ResponseBody::free(body)),
            Answer::WhileLive(revoked, last) => {
                response.map_body(|_, body| ResponseBody::while_live(body, revoked, last))
            }
            Answer::Refused(rejection) => response
                .map_body(|head, _| ResponseBody::refusal(response::answer(head, &rejection, responder, call.to_head))),
        }
    }
}

/// A request, as the core sees it.
struct View<'a> {
    request: &'a mut ServiceRequest,
    extra_headers: &'a [HeaderName],
}

impl View<'_> {
    fn name(&self, header: Header) -> &HeaderName {
        match header {
            Header::Authorization => &header::AUTHORIZATION,
            Header::Extra(n) => &self.extra_headers[n],
        }
    }
}

impl RequestView for View<'_> {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        self.request.headers().get_all(self.name(header)).map(HeaderValue::as_bytes).collect()
    }

    fn authenticated(&self) -> Option<AuthenticatedKey> {
        self.request.extensions().get::<AuthenticatedKey>().cloned()
    }
}

impl RequestMut for View<'_> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn user_agent(&self) -> Option<&str> {
        self.request.headers().get(header::USER_AGENT)?.to_str().ok()
    }

    /// Reports the first route that matches the path, and the peer's address. Behind a proxy, the peer is the proxy:
    /// only the service knows whether to trust forwarded addresses.
    fn describe(&self) -> RequestDescription {
        let mut description = RequestDescription::new();
        if let Some(route) = self.request.match_pattern() {
            description = description.route(route);
        }
        if let Some(peer) = self.request.peer_addr() {
            description = description.address(peer.ip().to_string());
        }
        description
    }

    fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) -> Option<T> {
        self.request.extensions_mut().insert(value)
    }

    fn remove<T: Clone + Send + Sync + 'static>(&mut self) {
        self.request.extensions_mut().remove::<T>();
    }

    fn remove_header(&mut self, header: Header) {
        let name = self.name(header).clone();
        self.request.headers_mut().remove(name);
    }
}

/// A response, as the core sees it.
struct Answered<'a, B> {
    response: &'a mut HttpResponse<B>,
    expiry_header: Option<&'a HeaderName>,
}

impl<B> ResponseMut for Answered<'_, B> {
    fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.response.extensions().get::<T>().cloned()
    }

    fn take<T: Clone + Send + Sync + 'static>(&mut self) -> Option<T> {
        self.response.extensions_mut().remove()
    }

    fn set_private(&mut self) {
        let headers = self.response.headers_mut();
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        }
    }

    fn set_expiry(&mut self, moment: &str) {
        if let (Some(name), Ok(moment)) = (self.expiry_header, HeaderValue::try_from(moment)) {
            self.response.headers_mut().insert(name.clone(), moment);
        }
    }
}

pin_project! {
    /// The future of [`ApiKeyService`].
    ///
    /// A request with a cached key needs no allocation: the service's own future is polled in place.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S: Service<ServiceRequest>> {
        guarded: Rc<Guarded<S>>,
        call: Call,
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
                    let state = this.guarded.carry_out(decision, request, this.call);
                    this.state.set(state);
                }
                StateProj::Calling { future } => {
                    let answered = ready!(this.call.exchange.poll(future, cx));
                    let kept = this.call.request.take();
                    return Poll::Ready(match answered {
                        Ok(Ok(response)) => Ok(this.guarded.finish(response, this.call)),
                        Ok(Err(error)) => {
                            this.call.exchange.answered(error.as_response_error().status_code().as_u16());
                            Err(error)
                        }
                        Err(rejection) => {
                            // The handler is dropped before its answer is returned.
                            this.state.set(State::Refused { response: None });
                            this.call.exchange.answered(rejection.status());
                            let responder = this.guarded.options.responder.clone();
                            let refusal = ApiKeyRejection::under_way(rejection, responder, this.call.to_head);
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
