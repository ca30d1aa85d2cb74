//! Common answers, and their variations.

use super::expect::{Body, Expect};
use crate::stand::REALM;

const KEY_INVALID: &str = "The API key is not valid.";

/// 200 to a request whose key has to be looked up.
pub(super) const OK: Expect = Expect {
    status: 200,
    challenge: None,
    body: Body::Text("reader"),
    told: None,
    cache_control: None,
    retry_after: None,
    resolver: 1,
    handler: 1,
};

const REFUSED: Expect = Expect { cache_control: Some("no-store"), resolver: 0, handler: 0, ..OK };

/// 401 to a request without a credential, with a bare challenge.
pub(super) const MISSING: Expect = Expect {
    status: 401,
    challenge: Some(&[("realm", REALM)]),
    body: Body::Problem("missing_credential", "An API key is required."),
    ..REFUSED
};

/// 400 to a malformed credential.
pub(super) const MALFORMED: Expect = Expect {
    status: 400,
    challenge: Some(&[
        ("realm", REALM),
        ("error", "invalid_request"),
        ("error_description", "The credential is malformed."),
    ]),
    body: Body::Problem("invalid_request", "The credential is malformed."),
    ..REFUSED
};

/// 400 to more than one credential.
pub(super) const SEVERAL: Expect = Expect {
    challenge: Some(&[
        ("realm", REALM),
        ("error", "invalid_request"),
        ("error_description", "More than one credential was sent."),
    ]),
    body: Body::Problem("invalid_request", "More than one credential was sent."),
    ..MALFORMED
};

/// 401 to a key that is refused without a lookup.
pub(super) const INVALID: Expect = Expect {
    status: 401,
    challenge: Some(&[("realm", REALM), ("error", "invalid_token"), ("error_description", KEY_INVALID)]),
    body: Body::Problem("invalid_token", KEY_INVALID),
    ..REFUSED
};

/// 401 to a key that was looked up.
pub(super) const REFUSED_BY_STORE: Expect = Expect { resolver: 1, ..INVALID };

const LACK: &str = "The API key lacks a required scope.";
const ERROR: (&str, &str) = ("error", "insufficient_scope");
const DESCRIPTION: (&str, &str) = ("error_description", LACK);

/// 403 if `files:read` is required.
pub(super) const LACKS_READ: Expect = lacks(&[("realm", REALM), ERROR, DESCRIPTION, ("scope", "files:read")]);
/// 403 if `files:write` is required.
pub(super) const LACKS_WRITE: Expect = lacks(&[("realm", REALM), ERROR, DESCRIPTION, ("scope", "files:write")]);
/// 403 if both are required.
pub(super) const LACKS_BOTH: Expect =
    lacks(&[("realm", REALM), ERROR, DESCRIPTION, ("scope", "files:read files:write")]);
/// 403 if one of them is required: the challenge names none.
pub(super) const LACKS_EITHER: Expect = lacks(&[("realm", REALM), ERROR, DESCRIPTION]);

const fn lacks(challenge: &'static [(&'static str, &'static str)]) -> Expect {
    let body = Body::Problem("insufficient_scope", LACK);
    Expect { status: 403, challenge: Some(challenge), body, resolver: 1, ..REFUSED }
}

/// 404 to a caller of another organization.
pub(super) const NOT_FOUND: Expect = Expect {
    status: 404,
    challenge: None,
    body: Body::Problem("not_found", "There is no such resource."),
    resolver: 1,
    ..REFUSED
};

/// 503 while the store doesn't answer.
pub(super) const UNAVAILABLE: Expect = Expect {
    status: 503,
    challenge: None,
    body: Body::Problem("unavailable", "API keys can't be checked right now."),
    retry_after: Some("2"),
    resolver: 1,
    ..REFUSED
};

/// 500 on a route that reads the caller outside the layer.
pub(super) const NO_LAYER: Expect = Expect {
    status: 500,
    challenge: None,
    body: Body::Problem("missing_layer", "This route reads the caller's API key but {layer} does not cover it."),
    ..REFUSED
};

/// A server's own answer to an unreadable request, without the layer.
pub(super) const UNREAD: Expect = Expect { status: 400, body: Body::Own, resolver: 0, handler: 0, ..OK };

impl Expect {
    pub(super) const fn says(mut self, text: &'static str) -> Self {
        self.body = Body::Text(text);
        self
    }

    /// The key is cached.
    pub(super) const fn cached(mut self) -> Self {
        self.resolver = 0;
        self
    }

    pub(super) const fn withheld(mut self) -> Self {
        self.body = Body::Withheld;
        self
    }

    /// Shared caches must not store it.
    pub(super) const fn private(self) -> Self {
        self.cache_control("private")
    }

    pub(super) const fn cache_control(mut self, value: &'static str) -> Self {
        self.cache_control = Some(value);
        self
    }

    pub(super) const fn tells(mut self, detail: &'static str) -> Self {
        self.told = Some(detail);
        self
    }
}
