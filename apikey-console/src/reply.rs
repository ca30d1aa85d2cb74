//! The answers to successful calls.

use std::io;

use apikey_manager::{Cursor, Page};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG},
};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::problem::Failure;

/// Returns a resource that only the caller may cache, and must revalidate.
pub(crate) fn json<T: Serialize>(status: StatusCode, resource: &T) -> Result<Response, Failure> {
    cached(status, resource, "private, no-cache")
}

/// Returns a resource that contains a secret and that nothing may cache.
pub(crate) fn secret<T: Serialize>(status: StatusCode, resource: &T) -> Result<Response, Failure> {
    respond(status, Bytes::from_owner(wiped(resource)?), "no-store")
}

/// Serializes JSON into a buffer that never moves while it is written, and that is overwritten on drop.
fn wiped<T: Serialize>(resource: &T) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, resource).map_err(|error| Failure::internal(&error))?;
    let mut body = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *body, resource).map_err(|error| Failure::internal(&error))?;
    Ok(body)
}

/// The number of bytes written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a resource of this version.
pub(crate) fn versioned<T: Serialize>(resource: &T, version: u64) -> Result<Response, Failure> {
    json(StatusCode::OK, resource).map(|reply| with(reply, ETAG, &etag(version)))
}

/// Returns the `cursor` of the next page.
pub(crate) fn next_cursor<T>(page: &Page<T>) -> Option<String> {
    page.next.as_ref().map(Cursor::to_string)
}

pub(crate) fn no_content() -> Response {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    with(reply, CACHE_CONTROL, "private, no-cache")
}

/// Returns the response for a caller that already has this version (RFC 9110 §15.4.5).
pub(crate) fn not_modified(version: u64) -> Response {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = StatusCode::NOT_MODIFIED;
    with(with(reply, CACHE_CONTROL, "private, no-cache"), ETAG, &etag(version))
}

/// Adds a header to `reply`. Values consist of ids, numbers and words, so none is malformed.
pub(crate) fn with(mut reply: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
    reply
}

fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

fn cached<T: Serialize>(status: StatusCode, resource: &T, cache_control: &'static str) -> Result<Response, Failure> {
    let body = serde_json::to_vec(resource).map_err(|error| Failure::internal(&error))?;
    respond(status, body.into(), cache_control)
}

fn respond(status: StatusCode, body: Bytes, cache_control: &'static str) -> Result<Response, Failure> {
    let mut reply = Response::new(Body::from(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_resource_when_written_to_be_wiped_then_its_buffer_never_grew() {
        let resource = serde_json::json!({"secret": "tst_\n\u{e9}", "more": ["x".repeat(5_000)]});
        let body = wiped(&resource).unwrap();
        assert_eq!(body.len(), body.capacity());
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), resource);
    }
}
