//! The body of a refusal, as a service may choose it.

use apikey_core::{Rejection, adapter::fixed_headers};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;

/// The body of a refusal, and headers beside those that are fixed; what a
/// [`responder`](crate::ApiKeyLayer::responder) returns.
///
/// ```
/// use tower_apikey::Refusal;
///
/// let refusal = Refusal::new("text/html; charset=utf-8", "<p>Get a key on your account page.")
///     .header(http::header::CONTENT_LANGUAGE, http::HeaderValue::from_static("en"));
/// ```
///
/// Status, `WWW-Authenticate`, `Retry-After` and `Cache-Control: no-store` are not its to choose.
#[derive(Clone, Debug)]
#[must_use]
pub struct Refusal {
    content_type: HeaderValue,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Refusal {
    /// A body of one's own.
    ///
    /// # Panics
    ///
    /// When `content_type` is not a header's value: visible ASCII.
    pub fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Refusal { content_type: HeaderValue::from_static(content_type), headers: HeaderMap::new(), body: body.into() }
    }

    /// The body that is sent unless a service has its own: an RFC 9457 problem. For responders that only add headers.
    pub fn problem(rejection: &Rejection) -> Self {
        Refusal::new("application/problem+json", rejection.problem())
    }

    /// Adds a header line.
    ///
    /// `Content-Type`, `WWW-Authenticate`, `Retry-After`, `Cache-Control` and what frames the message are ignored.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Turns a response's status and headers into those of the answer to `rejection`, and returns its body. Other headers
    /// stay: layers on the way may have put them there.
    pub(crate) fn write_to(
        self,
        rejection: &Rejection,
        status: &mut StatusCode,
        headers: &mut HeaderMap,
    ) -> Full<Bytes> {
        *status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        headers.extend(self.headers);
        headers.insert(CONTENT_TYPE, self.content_type);
        for (name, value) in fixed_headers(rejection) {
            let name = HeaderName::from_static(name);
            match value.and_then(|value| HeaderValue::try_from(&*value).ok()) {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }
        Full::new(self.body)
    }
}
