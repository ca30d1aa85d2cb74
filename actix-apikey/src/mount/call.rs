//! One request to a mounted service: converts actix's types and back.

use std::{
    error::Error,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    Error as ActixError, HttpMessage, HttpRequest, HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
};
use apikey_core::{AuthenticatedKey, LastFrame, OnRevoked, Rejection, adapter::Anonymous};
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    convert,
    request_body::{Pump, RequestBody, request_body},
    response_body::ResponseBody,
};

pin_project! {
    /// The call of a mounted service, and the pump of the request's body.
    pub(super) struct Call<S>
    where
        S: Service<Request<RequestBody>>,
    {
        // The request that the response belongs to.
        request: Option<HttpRequest>,
        pump: Option<Pump>,
        #[pin]
        state: State<S, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        Waiting { service: S, request: Option<Request<RequestBody>> },
        Calling { #[pin] future: F },
        Failed { status: StatusCode },
    }
}

impl<S> Call<S>
where
    S: Service<Request<RequestBody>>,
{
    pub(super) fn new(service: S, request: ServiceRequest) -> Self {
        let (request, payload) = request.into_parts();
        let Ok(mut parts) = convert::request(&request) else {
            let state = State::Failed { status: StatusCode::BAD_REQUEST };
            return Call { request: Some(request), pump: None, state };
        };
        if let Some(key) = request.extensions().get::<AuthenticatedKey>() {
            parts.extensions.insert(key.clone());
        }
        if let Some(anonymous) = request.extensions().get::<Anonymous>() {
            parts.extensions.insert(anonymous.clone());
        }
        let (body, pump) = request_body(payload, convert::declared_length(request.headers()));
        let state = State::Waiting { service, request: Some(Request::from_parts(parts, body)) };
        Call { request: Some(request), pump, state }
    }
}

impl<S, B> Future for Call<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<ServiceResponse, ActixError>;

    #[expect(clippy::expect_used, reason = "a future that is polled after it has completed may panic")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Polled first, so that a service that waits for the body finds it.
        if this.pump.as_mut().is_some_and(|pump| pump.poll(cx).is_ready()) {
            *this.pump = None;
        }
        let response = loop {
            match this.state.as_mut().project() {
                StateProj::Waiting { service, request } => {
                    let next = match ready!(service.poll_ready(cx)) {
                        Ok(()) => State::Calling { future: service.call(request.take().expect("called once")) },
                        Err(_) => State::Failed { status: StatusCode::INTERNAL_SERVER_ERROR },
                    };
                    this.state.set(next);
                }
                StateProj::Calling { future } => match ready!(future.poll(cx)) {
                    Ok(response) => {
                        let to_head = this.request.as_ref().is_some_and(|request| *request.method() == Method::HEAD);
                        break carry_back(response, this.pump.take(), to_head);
                    }
                    Err(_) => break HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR),
                },
                StateProj::Failed { status } => break HttpResponse::new(*status),
            }
        };
        let request = this.request.take().expect("polled after completion");
        Poll::Ready(Ok(ServiceResponse::new(request, response)))
    }
}

fn carry_back<B>(response: Response<B>, pump: Option<Pump>, to_head: bool) -> HttpResponse
where
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (mut parts, body) = response.into_parts();
    let mut response = HttpResponse::new(StatusCode::OK);
    // The middleware around the mount finds the rejection here, and renders it.
    if let Some(rejection) = parts.extensions.remove::<Rejection>() {
        response.extensions_mut().insert(rejection);
    }
    if let Some(on_revoked) = parts.extensions.remove::<OnRevoked>() {
        response.extensions_mut().insert(on_revoked);
    }
    if let Some(last) = parts.extensions.remove::<LastFrame>() {
        response.extensions_mut().insert(last);
    }
    match convert::response(response.head_mut(), &parts, body.size_hint().exact(), to_head) {
        Ok(size) => response.set_body(BoxBody::new(ResponseBody::new(body, size, pump))),
        Err(convert::Unconvertible) => HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
