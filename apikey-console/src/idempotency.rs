//! `Idempotency-Key`: a request that is repeated because its answer was lost is not carried out again.
//!
//! `draft-ietf-httpapi-idempotency-key-header` specifies the header. Its value is a quoted string there; common clients
//! send it without quotes.

use apikey_manager::Actor;
use axum::{body::Body, extract::Request};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::{
    call::{Caller, read_body},
    problem::{Failure, Problem},
};

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key.
const LONGEST: usize = 255;

/// Passes the request's key, if any, to the caller's next change. The input is the body, byte for byte.
pub(crate) async fn bind(request: Request) -> Result<Request, Failure> {
    let Some(key) = key(request.headers())? else { return Ok(request) };
    let (mut parts, body) = request.into_parts();
    let body = read_body(Request::from_parts(parts.clone(), body)).await?.unwrap_or_default();
    if let Some(caller) = parts.extensions.get_mut::<Caller>() {
        let operation = format!("{} {}", parts.method, parts.uri.path());
        caller.actor = Actor::with_idempotency_key(caller.actor.clone(), &key, &operation, &body);
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Returns the key of the request, without its quotes.
fn key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let mut lines = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let line = line.to_str().ok().filter(|_| lines.next().is_none()).unwrap_or_default();
    let key = line.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).unwrap_or(line);
    let is_visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    match (1..=LONGEST).contains(&key.len()) && key.bytes().all(is_visible) {
        true => Ok(Some(key.to_owned())),
        false => {
            let detail = "Idempotency-Key must be one text of 1 to 255 visible ASCII characters, such as a UUID, without \
                          quotes and backslashes within it.";
            Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn given_lines_of_the_header_when_read_then_one_good_key_counts() {
        let long = "k".repeat(LONGEST);
        let longer = "k".repeat(LONGEST + 1);
        let cases: &[(&[&str], Option<Option<&str>>)] = &[
            (&[], Some(None)),
            (&["8e03978e-40d5-43dd-bc93-6894a57f9324"], Some(Some("8e03978e-40d5-43dd-bc93-6894a57f9324"))),
            (&["\"k\""], Some(Some("k"))),
            (&[&long], Some(Some(&long))),
            (&[&longer], None),
            (&[""], None),
            (&["\"\""], None),
            (&["\""], None),
            (&["a b"], None),
            (&["\"a\"b\""], None),
            (&["a\\b"], None),
            (&["é"], None),
            (&["k", "k"], None),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in *lines {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            assert_eq!(key(&headers).ok(), expected.map(|key| key.map(str::to_owned)), "{lines:?}");
        }
    }
}
