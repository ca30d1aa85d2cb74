//! Preconditions (RFC 9110 §13). Entity tags are versions in quotes.

use axum::extract::FromRequestParts;
use http::{
    HeaderMap, HeaderName, StatusCode,
    header::{IF_MATCH, IF_NONE_MATCH},
    request::Parts,
};

use crate::problem::{Failure, Problem};

/// A list of entity tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: any version.
    Any,
    /// Any of these versions. Tags that are not versions match nothing, and are left out.
    Versions(Vec<u64>),
}

impl Tags {
    pub(crate) fn has(&self, version: u64) -> bool {
        match self {
            Tags::Any => true,
            Tags::Versions(versions) => versions.contains(&version),
        }
    }
}

/// `If-Match`. Weak tags match nothing (§13.1.1).
pub(crate) struct IfMatch(pub(crate) Option<Tags>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        tags(&parts.headers, &IF_MATCH, false).map(IfMatch)
    }
}

/// `If-None-Match`. Weak tags match (§13.1.2).
pub(crate) struct IfNoneMatch(pub(crate) Option<Tags>);

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        tags(&parts.headers, &IF_NONE_MATCH, true).map(IfNoneMatch)
    }
}

/// Rejects `If-Match` on routes that don't evaluate it.
pub(crate) fn none(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.contains_key(IF_MATCH) {
        false => Ok(()),
        true => {
            let detail = "If-Match is not supported here.";
            Err(Problem::new(StatusCode::BAD_REQUEST, "unsupported_precondition", detail).into())
        }
    }
}

/// Returns the failure for a version that differs from the caller's.
pub(crate) fn failed() -> Failure {
    let detail = "The resource has changed since it was read.";
    Problem::new(StatusCode::PRECONDITION_FAILED, "stale_version", detail).into()
}

/// Returns the failure for a resource that changes faster than it can be read.
pub(crate) fn busy() -> Failure {
    let detail = "The resource keeps changing. Try again.";
    Problem::new(StatusCode::CONFLICT, "conflict", detail).into()
}

fn tags(headers: &HeaderMap, name: &HeaderName, takes_weak: bool) -> Result<Option<Tags>, Failure> {
    let malformed = || {
        let detail = format!("{name} must be * or entity tags, such as \"3\".");
        Failure::from(Problem::new(StatusCode::BAD_REQUEST, "invalid_precondition", detail))
    };
    let mut lines = headers.get_all(name).iter().peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let lines: Vec<&str> = lines.map(|line| line.to_str()).collect::<Result<_, _>>().map_err(|_| malformed())?;
    let list = lines.join(",");
    let mut rest = list.trim();
    if rest == "*" {
        return Ok(Some(Tags::Any));
    }
    let mut versions = Vec::new();
    loop {
        let (is_weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
        // A tag may contain a comma, so it is delimited by its quotes (§8.8.3).
        let (opaque, after) = quoted.strip_prefix('"').and_then(|tag| tag.split_once('"')).ok_or_else(malformed)?;
        if !opaque.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed());
        }
        // A version has a single form: "03" matches nothing.
        let version = opaque.parse::<u64>().ok().filter(|version| version.to_string() == opaque);
        versions.extend(version.filter(|_| takes_weak || !is_weak));
        // Empty elements of a list are skipped (§5.6.1.2).
        let next = after.trim_start_matches([',', ' ', '\t']);
        if next.is_empty() {
            return Ok(Some(Tags::Versions(versions)));
        }
        if !after.trim_start().starts_with(',') {
            return Err(malformed());
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(lines: &[&'static str], takes_weak: bool) -> Option<Option<Tags>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, HeaderValue::from_static(line));
        }
        tags(&headers, &IF_MATCH, takes_weak).ok()
    }

    #[test]
    fn given_entity_tags_when_read_then_those_that_are_versions_count() {
        let versions = |versions: &[u64]| Some(Some(Tags::Versions(versions.to_vec())));
        let cases: &[(&[&'static str], _, _)] = &[
            (&[], false, Some(None)),
            (&["*"], false, Some(Some(Tags::Any))),
            (&["\"3\""], false, versions(&[3])),
            (&["\"3\", \"4\"", " \"5\""], false, versions(&[3, 4, 5])),
            (&["W/\"3\""], false, versions(&[])),
            (&["W/\"3\""], true, versions(&[3])),
            (&["\"other\""], false, versions(&[])),
            (&["\"03\", \"+3\""], false, versions(&[])),
            (&["3"], false, None),
            (&["\"3"], false, None),
            (&["*, \"3\""], false, None),
            (&["\"3\" \"4\""], false, None),
            (&["w/\"3\""], true, None),
            (&["\"a,b\", \"3\""], false, versions(&[3])),
            (&["\"3\",, \"4\","], false, versions(&[3, 4])),
            (&["\"3\"\"4\""], false, None),
            (&["\"a b\""], false, None),
            (&[""], false, None),
            (&[","], false, None),
        ];
        for (lines, takes_weak, expected) in cases {
            assert_eq!(read(lines, *takes_weak), *expected, "{lines:?}");
        }
    }
}
