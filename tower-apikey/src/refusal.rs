//! The body of a refusal, as a custom responder chooses it.

use apikey_core::{Rejection, adapter::fixed_headers};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;

/// The body and additional headers of a refusal, returned by a [`responder`](crate::ApiKeyLayer::responder).
///
/// ```
/// use tower_apikey::Refusal;
///
/// let refusal = Refusal::new("text/html; charset=utf-8", "<p>Get a key on your account page.")
///     .header(http::header::CONTENT_LANGUAGE, http::HeaderValue::from_static("en"));
/// ```
///
/// Status, `WWW-Authenticate`, `Retry-After` and `Cache-Control: no-store` can't be changed.
#[derive(Clone, Debug)]
#[must_use]
pub struct Refusal {
    content_type: HeaderValue,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Refusal {
    /// Creates a refusal with its own body.
    ///
    /// # Panics
    ///
    /// Panics if `content_type` is not a valid header value.
    pub fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Refusal { content_type: HeaderValue::from_static(content_type), headers: HeaderMap::new(), body: body.into() }
    }

    /// Creates the default body, an RFC 9457 problem, for responders that only add headers.
    pub fn problem(rejection: &Rejection) -> Self {
        Refusal::new("application/problem+json", rejection.problem())
    }

    /// Adds a header line.
    ///
    /// `Content-Type`, `WWW-Authenticate`, `Retry-After`, `Cache-Control` and headers of message framing are ignored.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets a response's status and headers to those of the answer to `rejection`, and returns its body. Other headers
    /// stay, because inner layers may have set them.
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
