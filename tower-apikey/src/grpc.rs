//! Refusals for gRPC clients: a response of HTTP 200 that consists of trailers only.

use apikey_core::Rejection;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::Full;

const GRPC: &[u8] = b"application/grpc";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Returns `true` if the request is a gRPC call.
pub(crate) fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = content_type.and_then(|value| value.strip_prefix(GRPC));
    request.version() == Version::HTTP_2
        && request.method() == Method::POST
        && rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'+')
}

/// Creates a response without content, whose headers are its trailers (gRPC over HTTP/2, "Trailers-Only").
pub(crate) fn refusal(rejection: &Rejection) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(trailers(rejection));
    response
}

/// Returns the trailers that end a call, before its response or during it.
pub(crate) fn trailers(rejection: &Rejection) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(STATUS, rejection.grpc_code().into());
    // Details are ASCII sentences without `%`, so percent-encoding would not change them.
    if let Ok(message) = HeaderValue::from_str(&rejection.detail()) {
        headers.insert(MESSAGE, message);
    }
    headers
}
