//! Refusals as responses. The core has chosen status, challenge and problem; a custom responder may choose the body.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::ResponseHead,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use apikey_core::{Rejection, adapter::fixed_headers};
use bytes::Bytes;

/// The body and additional headers of a refusal, returned by a [`responder`](crate::ApiKeyMiddleware::responder).
///
/// ```
/// use actix_apikey::{ApiKeyMiddleware, Refusal, TestKeys};
///
/// # let keys = TestKeys::new();
/// let middleware = ApiKeyMiddleware::new(keys.authenticator()).responder(|rejection| {
///     Refusal::new("text/plain; charset=utf-8", format!("{}\n", rejection.detail()))
/// });
/// ```
///
/// Status, `WWW-Authenticate`, `Retry-After` and `Cache-Control: no-store` can't be changed.
#[derive(Clone, Debug)]
#[must_use]
pub struct Refusal {
    content_type: HeaderValue,
    body: Bytes,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// Creates a refusal with its own body.
    ///
    /// # Panics
    ///
    /// Panics if `content_type` is not a valid header value.
    pub fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Refusal { content_type: HeaderValue::from_static(content_type), body: body.into(), headers: Vec::new() }
    }

    /// Creates the default body, an RFC 9457 problem, for responders that only add headers.
    ///
    /// ```
    /// use actix_apikey::Refusal;
    /// use actix_web::http::header::{HeaderName, HeaderValue};
    ///
    /// let responder = |rejection: &actix_apikey::Rejection| {
    ///     Refusal::problem(rejection)
    ///         .header(HeaderName::from_static("x-help"), HeaderValue::from_static("https://example.com/keys"))
    /// };
    /// # responder(&actix_apikey::Rejection::missing_layer("a layer"));
    /// ```
    pub fn problem(rejection: &Rejection) -> Self {
        Refusal::new("application/problem+json", rejection.problem())
    }

    /// Adds a header line.
    ///
    /// `Content-Type`, `WWW-Authenticate`, `Retry-After`, `Cache-Control` and headers of message framing are ignored.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// A custom responder.
#[derive(Clone)]
pub(crate) struct Responder(Arc<dyn Fn(&Rejection) -> Refusal + Send + Sync>);

impl Responder {
    pub(crate) fn new(respond: impl Fn(&Rejection) -> Refusal + Send + Sync + 'static) -> Self {
        Responder(Arc::new(respond))
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder")
    }
}

/// Returns the answer to a refused request.
pub(crate) fn respond(rejection: &Rejection, responder: Option<&Responder>, to_head: bool) -> HttpResponse {
    let mut response = HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR);
    let body = answer(response.head_mut(), rejection, responder, to_head);
    response.set_body(body)
}

/// Returns the answer of a guard inside an [`ApiKeyMiddleware`](crate::ApiKeyMiddleware). It carries the rejection, so
/// that the middleware can render it.
pub(crate) fn respond_within(rejection: Rejection, to_head: bool) -> HttpResponse {
    let mut response = respond(&rejection, None, to_head);
    response.extensions_mut().insert(rejection);
    response
}

/// Sets `head` to that of the answer to `rejection`, and returns the body. Other headers stay, because inner layers may
/// have set them.
pub(crate) fn answer(
    head: &mut ResponseHead,
    rejection: &Rejection,
    responder: Option<&Responder>,
    to_head: bool,
) -> BoxBody {
    let refusal = match responder {
        Some(Responder(respond)) => respond(rejection),
        None => Refusal::problem(rejection),
    };
    head.status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = head.headers_mut();
    for (name, value) in refusal.headers {
        headers.append(name, value);
    }
    // Inserted last, so that they replace headers of the responder.
    headers.insert(header::CONTENT_TYPE, refusal.content_type);
    for (name, value) in fixed_headers(rejection) {
        let name = HeaderName::from_static(name);
        match value.and_then(|value| HeaderValue::try_from(&*value).ok()) {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    }
    match to_head {
        true => BoxBody::new(Omitted { length: refusal.body.len() as u64 }),
        false => BoxBody::new(refusal.body),
    }
}

/// The body of a HEAD response: only the length that GET would have (RFC 9110 §9.3.2).
struct Omitted {
    length: u64,
}

impl MessageBody for Omitted {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}
