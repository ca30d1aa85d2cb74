//! Responses of one type, whatever made them. Errors are `application/problem+json` (RFC 9457), the form in which keys
//! are refused, too.

use std::{error::Error, io};

use bytes::Bytes;
use http::{
    HeaderValue, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Body;
use serde::Serialize;

/// A body may fail: its caller's key may be revoked while it is sent.
pub(crate) type Response = http::Response<BoxBody<Bytes, io::Error>>;

/// A response of the services and layers inside.
pub(crate) fn boxed<B>(response: http::Response<B>) -> Response
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Sync + 'static,
{
    response.map(|body| BoxBody::new(body.map_err(io::Error::other)))
}

pub(crate) fn method_not_allowed(allowed: &'static str) -> Response {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

pub(crate) fn text(text: &'static str) -> Response {
    respond(StatusCode::OK, Some("text/plain; charset=utf-8"), Bytes::from_static(text.as_bytes()))
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => respond(status, Some("application/json"), body.into()),
        Err(error) => {
            tracing::error!(%error, "an answer has no form in JSON");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// An answer other than the one asked for: `code` is for programs, `detail` for people.
pub(crate) fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": detail,
    });
    respond(status, Some("application/problem+json"), body.to_string().into())
}

fn empty(status: StatusCode) -> Response {
    respond(status, None, Bytes::new())
}

fn respond(status: StatusCode, content_type: Option<&'static str>, body: Bytes) -> Response {
    let mut response = http::Response::new(Full::new(body).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}
