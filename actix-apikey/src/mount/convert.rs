//! Converts message heads between actix, which uses http 0.2, and tower, which uses http 1.

use actix_web::{
    HttpRequest,
    body::BodySize,
    dev::ResponseHead,
    http::{
        ConnectionType,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};

/// The message can't be expressed on the other side.
#[derive(Debug)]
pub(super) struct Unconvertible;

/// Returns the head of `request`, with a path relative to the mount.
pub(super) fn request(request: &HttpRequest) -> Result<http::request::Parts, Unconvertible> {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = http::Method::from_bytes(request.method().as_str().as_bytes()).map_err(|_| Unconvertible)?;
    parts.uri = uri_below(request.uri(), request.match_info().unprocessed())?;
    parts.version = version(request.version());
    for (name, value) in request.headers() {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| Unconvertible)?;
        let mut carried = http::HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Unconvertible)?;
        carried.set_sensitive(value.is_sensitive());
        parts.headers.append(name, carried);
    }
    Ok(parts)
}

/// Returns the length that a message declares for its body.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Converts the head of a response, and returns the size of its body. `exact` is the size if the service knows it.
pub(super) fn response(
    head: &mut ResponseHead,
    parts: &http::response::Parts,
    exact: Option<u64>,
    to_head: bool,
) -> Result<BodySize, Unconvertible> {
    head.status = actix_web::http::StatusCode::from_u16(parts.status.as_u16()).map_err(|_| Unconvertible)?;
    for (name, value) in &parts.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| Unconvertible)?;
        let mut carried = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Unconvertible)?;
        carried.set_sensitive(value.is_sensitive());
        head.headers_mut().append(name, carried);
    }
    // Actix writes this header by the kind of connection, and ignores the one in the map.
    let closes = |line: &HeaderValue| line.as_bytes().eq_ignore_ascii_case(b"close");
    if head.headers().get(header::CONNECTION).is_some_and(closes) {
        head.set_connection_type(ConnectionType::Close);
    }
    let declared = declared_length(head.headers());
    Ok(match (to_head, exact) {
        // RFC 9110 §9.3.2: HEAD has no body, but the length of the response to GET, if known. An empty body doesn't
        // tell, because frameworks remove the body.
        (true, exact) => declared.or(exact.filter(|length| *length > 0)).map_or(BodySize::None, BodySize::Sized),
        (false, Some(length)) => BodySize::Sized(length),
        (false, None) => declared.map_or(BodySize::Stream, BodySize::Sized),
    })
}

/// Returns `uri` with the rest of its path.
///
/// Actix matches a partly decoded path, so `rest` may differ from the sent path. But it ends at a segment, and actix
/// never decodes a slash: the part of the raw path with the same number of slashes is the same.
fn uri_below(uri: &actix_web::http::Uri, rest: &str) -> Result<http::Uri, Unconvertible> {
    let slashes = rest.bytes().filter(|byte| *byte == b'/').count();
    let start = match slashes {
        0 => None,
        _ => uri.path().rmatch_indices('/').nth(slashes - 1).map(|(at, _)| at),
    };
    let path = start.map_or("/", |at| &uri.path()[at..]);
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path_and_query.parse().map_err(|_| Unconvertible)?);
    // HTTP/2 requests have both, and http accepts only both or neither.
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
        parts.scheme = Some(scheme.parse().map_err(|_| Unconvertible)?);
        parts.authority = Some(authority.as_str().parse().map_err(|_| Unconvertible)?);
    }
    http::Uri::from_parts(parts).map_err(|_| Unconvertible)
}

fn version(version: actix_web::http::Version) -> http::Version {
    use actix_web::http::Version;
    match version {
        Version::HTTP_09 => http::Version::HTTP_09,
        Version::HTTP_10 => http::Version::HTTP_10,
        Version::HTTP_2 => http::Version::HTTP_2,
        Version::HTTP_3 => http::Version::HTTP_3,
        _ => http::Version::HTTP_11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_rest_when_found_in_the_raw_uri_then_it_is_as_sent() {
        let cases = [
            ("/keys", "", "/"),
            ("/keys/", "/", "/"),
            ("/keys?all", "", "/?all"),
            ("/keys/7?all", "/7", "/7?all"),
            ("/keys/a%20b", "/a b", "/a%20b"),
            ("/k%65ys/a%2Fb", "/a%2Fb", "/a%2Fb"),
            ("/v1/keys/a//b/", "/a//b/", "/a//b/"),
            ("/keys//evil.example/x", "//evil.example/x", "//evil.example/x"),
            ("/keys/%FF", "/\u{fffd}", "/%FF"),
            ("/keys/x?next=/keys/y", "/x", "/x?next=/keys/y"),
            ("https://acme.example:8443/keys/7?all", "/7", "https://acme.example:8443/7?all"),
        ];
        for (uri, rest, expected) in cases {
            let found = uri_below(&uri.parse().unwrap(), rest).unwrap();
            assert_eq!(found.to_string(), expected, "{uri}");
        }
    }
}
