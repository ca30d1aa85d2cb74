//! A rejection as an HTTP response. The core has chosen everything but the form.

use std::sync::Arc;

use apikey_core::{LastFrame, OnRevoked, Rejection, adapter::InFlight};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING, WWW_AUTHENTICATE},
};
use http_body::Body;
use http_body_util::Full;

use crate::{
    activity::Record,
    body::{Ending, ResponseBody},
    grpc,
    layer::{Config, Responder},
    linger::Parting,
};

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
    body: Bytes,
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

    fn into_response(mut self, rejection: &Rejection) -> Response<Full<Bytes>> {
        for fixed in [WWW_AUTHENTICATE, RETRY_AFTER, CONTENT_LENGTH, TRANSFER_ENCODING] {
            self.headers.remove(fixed);
        }
        self.headers.insert(CONTENT_TYPE, self.content_type);
        self.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let challenge = rejection.challenge().and_then(|challenge| HeaderValue::try_from(challenge).ok());
        if let Some(challenge) = challenge {
            self.headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = rejection.retry_after() {
            self.headers.insert(RETRY_AFTER, seconds.into());
        }
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        response
    }
}

/// The response to `rejection`, for services and handlers that refuse by themselves.
///
/// An [`ApiKeyLayer`](crate::ApiKeyLayer) around them gives it the body its custom responder makes, or gRPC's form.
///
/// ```
/// use tower_apikey::{AuthenticatedKey, refusal};
///
/// fn transfer(key: &AuthenticatedKey, organization: &str) -> http::Response<http_body_util::Full<bytes::Bytes>> {
///     match key.require_organization(organization) {
///         Ok(()) => http::Response::new("done".into()),
///         Err(rejection) => refusal(rejection),
///     }
/// }
/// ```
#[must_use]
pub fn refusal(rejection: Rejection) -> Response<Full<Bytes>> {
    let mut response = Refusal::problem(&rejection).into_response(&rejection);
    // For the layer around it to find.
    response.extensions_mut().insert(rejection);
    response
}

/// What must be remembered of a request until its response.
#[derive(Default)]
pub(crate) struct Exchange {
    is_head: bool,
    is_grpc: bool,
    /// What a refusal from further in does to the connection: it comes before the body is read, most likely.
    parting: Parting,
    /// The key came in a header that shared caches don't know of.
    pub(crate) is_private: bool,
    /// Ends the handler with its key.
    pub(crate) in_flight: InFlight,
    /// The request, where activity is recorded.
    pub(crate) record: Option<Box<Record>>,
    /// What tells the holder when the key expires.
    pub(crate) expiry: Option<Box<(HeaderName, HeaderValue)>>,
    /// Set if refusals from inside may take another form than the default one. Cloning it is not free, so others don't.
    config: Option<Arc<Config>>,
}

impl Exchange {
    pub(crate) fn of<B: Body>(request: &Request<B>, config: &Arc<Config>) -> Self {
        let is_grpc = config.grpc && grpc::is_grpc(request);
        Exchange {
            is_head: request.method() == Method::HEAD,
            is_grpc,
            parting: Parting::of(request),
            is_private: false,
            in_flight: InFlight::anonymous(),
            record: None,
            expiry: None,
            config: (is_grpc || config.responder.is_some()).then(|| Arc::clone(config)),
        }
    }

    /// The inner service's response, on its way out.
    #[inline]
    pub(crate) fn finish<R>(&mut self, mut response: Response<R>) -> Response<ResponseBody<R>> {
        if let Some(mut record) = self.record.take() {
            record.answered(response.status());
        }
        if let Some(expiry) = self.expiry.take() {
            let (name, value) = *expiry;
            response.headers_mut().insert(name, value);
        }
        if response.extensions().get::<Rejection>().is_some() {
            self.parting.announce(&mut response);
            return self.finish_refusal(response);
        }
        if self.is_private {
            response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
        }
        let Some(revoked) = self.in_flight.take_revoked() else { return response.map(ResponseBody::inner) };
        if response.extensions().get() == Some(&OnRevoked::Finish) {
            return response.map(ResponseBody::inner);
        }
        let ending = Ending { is_grpc: self.is_grpc, last_frame: response.extensions().get::<LastFrame>().cloned() };
        response.map(|body| ResponseBody::while_live(body, revoked, ending))
    }

    /// The answer in place of a handler whose key has died.
    #[cold]
    pub(crate) fn refuse_under_way(&mut self, rejection: &Rejection) -> Response<Full<Bytes>> {
        let responder = self.config.as_ref().and_then(|config| config.responder.as_deref());
        let mut refused = self.refuse(rejection, responder);
        self.parting.announce(&mut refused);
        if let Some(mut record) = self.record.take() {
            record.answered(refused.status());
        }
        refused
    }

    /// A refusal from inside, which is rendered anew where it may look otherwise.
    #[cold]
    fn finish_refusal<R>(&self, response: Response<R>) -> Response<ResponseBody<R>> {
        let (mut parts, body) = response.into_parts();
        let rejection = parts.extensions.remove::<Rejection>();
        let rejection = rejection.filter(|_| self.config.is_some() || self.is_head);
        let Some(rejection) = rejection else {
            return Response::from_parts(parts, ResponseBody::inner(body));
        };
        // What layers in between have added stays.
        let responder = self.config.as_ref().and_then(|config| config.responder.as_deref());
        let (refused, body) = self.refuse(&rejection, responder).into_parts();
        for fixed in [CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE, RETRY_AFTER] {
            parts.headers.remove(fixed);
        }
        parts.status = refused.status;
        parts.headers.extend(refused.headers);
        Response::from_parts(parts, ResponseBody::refusal(body))
    }
}

impl Exchange {
    /// The answer to a refused request.
    pub(crate) fn refuse(&self, rejection: &Rejection, responder: Option<&Responder>) -> Response<Full<Bytes>> {
        if self.is_grpc {
            return grpc::refusal(rejection);
        }
        let refusal = match responder {
            Some(responder) => responder(rejection),
            None => Refusal::problem(rejection),
        };
        let length = refusal.body.len();
        let mut response = refusal.into_response(rejection);
        if self.is_head {
            // RFC 9110 §9.3.2: no content, but the length that GET would have.
            *response.body_mut() = Full::default();
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        response
    }
}

impl Config {
    /// The layer's own answer to a refused request.
    pub(crate) fn refuse<B>(
        &self,
        request: Request<B>,
        rejection: &Rejection,
        exchange: &Exchange,
    ) -> Response<Full<Bytes>>
    where
        B: Body + Send + 'static,
    {
        let mut refused = exchange.refuse(rejection, self.responder.as_deref());
        self.lingering.leave(request, &mut refused);
        refused
    }
}
