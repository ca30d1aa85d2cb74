//! Refusals: status, challenge, problem and gRPC code. They are chosen here, and the frameworks' adapters only render
//! them.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use crate::{problem::problem_json, scope::Requirement};

/// A refused request. It is opaque: it knows the answer, and hides the true reason.
///
/// ```
/// use apikey_core::{Rejection, RejectionKind};
///
/// let rejection = Rejection::missing_layer("ApiKeyLayer");
/// assert_eq!(rejection.kind(), RejectionKind::MissingLayer);
/// assert_eq!(rejection.status(), 500);
/// assert_eq!(rejection.challenge(), None);
/// ```
#[derive(Clone)]
pub struct Rejection {
    reason: Reason,
    terms: Arc<Terms>,
    /// The challenge's `scope`, or the name of a missing layer.
    subject: Option<Cow<'static, str>>,
}

/// The settings that all refusals of an authenticator share.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) realm: Box<str>,
    pub(crate) retry_after: Duration,
    pub(crate) explain_refusals: bool,
}

/// The kind of a [`Rejection`]: what a client may know, and what a custom responder may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// No credential, or one of another scheme: 401 with a bare challenge (RFC 6750 §3).
    MissingCredential,
    /// Several credentials, or a malformed one: 400 `invalid_request`.
    InvalidRequest,
    /// A key that is not accepted, for any reason: 401 `invalid_token`.
    InvalidToken,
    /// An accepted key without the required scope: 403 `insufficient_scope`.
    InsufficientScope,
    /// A resource of another organization: 404.
    NotFound,
    /// The resolver failed or took too long: 503 with `Retry-After`.
    Unavailable,
    /// An extractor without its layer, which is a mistake in the service: 500.
    MissingLayer,
}

/// The true reason, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    NoCredential,
    SeveralCredentials,
    MalformedCredential,
    WrongFormat,
    WrongChecksum,
    WrongEnvironment,
    Unknown,
    DigestMismatch,
    NotYetValid,
    Expired,
    Disabled,
    Revoked,
    ScopeMissing,
    OtherOrganization,
    Unavailable,
    LayerMissing,
}

impl Reason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Reason::NoCredential => "no_credential",
            Reason::SeveralCredentials => "several_credentials",
            Reason::MalformedCredential => "malformed_credential",
            Reason::WrongFormat => "wrong_format",
            Reason::WrongChecksum => "wrong_checksum",
            Reason::WrongEnvironment => "wrong_environment",
            Reason::Unknown => "unknown",
            Reason::DigestMismatch => "digest_mismatch",
            Reason::NotYetValid => "not_yet_valid",
            Reason::Expired => "expired",
            Reason::Disabled => "disabled",
            Reason::Revoked => "revoked",
            Reason::ScopeMissing => "scope_missing",
            Reason::OtherOrganization => "other_organization",
            Reason::Unavailable => "unavailable",
            Reason::LayerMissing => "layer_missing",
        }
    }

    const fn kind(self) -> RejectionKind {
        match self {
            Reason::NoCredential => RejectionKind::MissingCredential,
            Reason::SeveralCredentials | Reason::MalformedCredential => RejectionKind::InvalidRequest,
            Reason::WrongFormat
            | Reason::WrongChecksum
            | Reason::WrongEnvironment
            | Reason::Unknown
            | Reason::DigestMismatch
            | Reason::NotYetValid
            | Reason::Expired
            | Reason::Disabled
            | Reason::Revoked => RejectionKind::InvalidToken,
            Reason::ScopeMissing => RejectionKind::InsufficientScope,
            Reason::OtherOrganization => RejectionKind::NotFound,
            Reason::Unavailable => RejectionKind::Unavailable,
            Reason::LayerMissing => RejectionKind::MissingLayer,
        }
    }

    /// Returns what the client may learn about a genuine key or about text that it sent.
    const fn explanation(self) -> Option<&'static str> {
        match self {
            Reason::WrongEnvironment => Some("The key belongs to another environment."),
            Reason::NotYetValid => Some("The key is not valid yet."),
            Reason::Expired => Some("The key has expired."),
            Reason::Disabled => Some("The key is disabled."),
            Reason::Revoked => Some("The key has been revoked."),
            _ => None,
        }
    }
}

impl From<RejectionKind> for Reason {
    /// Returns the reason that is logged if only the kind is known.
    fn from(kind: RejectionKind) -> Self {
        match kind {
            RejectionKind::MissingCredential => Reason::NoCredential,
            RejectionKind::InvalidRequest => Reason::SeveralCredentials,
            RejectionKind::InvalidToken => Reason::Unknown,
            RejectionKind::InsufficientScope => Reason::ScopeMissing,
            RejectionKind::NotFound => Reason::OtherOrganization,
            RejectionKind::Unavailable => Reason::Unavailable,
            RejectionKind::MissingLayer => Reason::LayerMissing,
        }
    }
}

impl Rejection {
    pub(crate) fn new(reason: Reason, terms: Arc<Terms>) -> Self {
        Rejection { reason, terms, subject: None }
    }

    pub(crate) fn scope_missing(requirement: &Requirement, terms: Arc<Terms>) -> Self {
        Rejection { reason: Reason::ScopeMissing, terms, subject: requirement.challenge_scope().map(Cow::Owned) }
    }

    /// Returns the answer of an extractor or guard on a route that `layer` does not cover.
    #[must_use]
    pub fn missing_layer(layer: &'static str) -> Self {
        let terms = Terms { realm: "".into(), retry_after: Duration::ZERO, explain_refusals: false };
        Rejection { reason: Reason::LayerMissing, terms: Arc::new(terms), subject: Some(Cow::Borrowed(layer)) }
    }

    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the kind of the refusal.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.reason.kind()
    }

    /// Returns the HTTP status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.kind() {
            RejectionKind::InvalidRequest => 400,
            RejectionKind::MissingCredential | RejectionKind::InvalidToken => 401,
            RejectionKind::InsufficientScope => 403,
            RejectionKind::NotFound => 404,
            RejectionKind::MissingLayer => 500,
            RejectionKind::Unavailable => 503,
        }
    }

    /// Returns the gRPC status code.
    #[must_use]
    pub fn grpc_code(&self) -> i32 {
        match self.kind() {
            RejectionKind::InvalidRequest => 3,
            RejectionKind::NotFound => 5,
            RejectionKind::InsufficientScope => 7,
            RejectionKind::MissingLayer => 13,
            RejectionKind::Unavailable => 14,
            RejectionKind::MissingCredential | RejectionKind::InvalidToken => 16,
        }
    }

    /// Returns a stable code for programs, the problem's `code`. Token errors have the codes of RFC 6750 §3.1.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind() {
            RejectionKind::MissingCredential => "missing_credential",
            RejectionKind::InvalidRequest => "invalid_request",
            RejectionKind::InvalidToken => "invalid_token",
            RejectionKind::InsufficientScope => "insufficient_scope",
            RejectionKind::NotFound => "not_found",
            RejectionKind::Unavailable => "unavailable",
            RejectionKind::MissingLayer => "missing_layer",
        }
    }

    /// Returns the sentence that the client sees.
    #[must_use]
    pub fn detail(&self) -> Cow<'static, str> {
        if let (true, Some(told)) = (self.terms.explain_refusals, self.reason.explanation()) {
            return told.into();
        }
        match self.kind() {
            RejectionKind::MissingCredential => "An API key is required.".into(),
            RejectionKind::InvalidRequest => match self.reason {
                Reason::SeveralCredentials => "More than one credential was sent.".into(),
                _ => "The credential is malformed.".into(),
            },
            RejectionKind::InvalidToken => "The API key is not valid.".into(),
            RejectionKind::InsufficientScope => "The API key lacks a required scope.".into(),
            RejectionKind::NotFound => "There is no such resource.".into(),
            RejectionKind::Unavailable => "API keys can't be checked right now.".into(),
            RejectionKind::MissingLayer => {
                let layer = self.subject.as_deref().unwrap_or("the layer");
                format!("This route reads the caller's API key but {layer} does not cover it.").into()
            }
        }
    }

    /// Returns the value of `WWW-Authenticate` (RFC 6750 §3, RFC 9110 §11.6.1), if the answer has that header.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        let mut challenge = format!("Bearer realm=\"{}\"", quoted(&self.terms.realm));
        match self.kind() {
            RejectionKind::MissingCredential => {}
            RejectionKind::InvalidRequest | RejectionKind::InvalidToken | RejectionKind::InsufficientScope => {
                challenge.push_str(", error=\"");
                challenge.push_str(self.code());
                challenge.push_str("\", error_description=\"");
                challenge.push_str(&self.detail());
                challenge.push('"');
            }
            RejectionKind::NotFound | RejectionKind::Unavailable | RejectionKind::MissingLayer => return None,
        }
        if let (RejectionKind::InsufficientScope, Some(scope)) = (self.kind(), &self.subject) {
            challenge.push_str(", scope=\"");
            challenge.push_str(scope);
            challenge.push('"');
        }
        Some(challenge)
    }

    /// Returns the value of `Retry-After` in seconds (RFC 9110 §10.2.3), if the answer has that header.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        // Rounded up: "0" would ask for a retry at once.
        let seconds = self.terms.retry_after.as_millis().div_ceil(1_000).max(1);
        (self.kind() == RejectionKind::Unavailable).then(|| u64::try_from(seconds).unwrap_or(u64::MAX))
    }

    /// Returns the answer's body: a problem (RFC 9457) as `application/problem+json`.
    #[must_use]
    pub fn problem(&self) -> String {
        let title = match self.status() {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        problem_json(self.status(), title, self.code(), &self.detail())
    }
}

/// Escapes text for a quoted-string (RFC 9110 §5.6.4). `build()` accepts only printable ASCII as realm.
fn quoted(text: &str) -> Cow<'_, str> {
    if !text.contains(['"', '\\']) {
        return text.into();
    }
    text.replace('\\', "\\\\").replace('"', "\\\"").into()
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("kind", &self.kind())
            .field("reason", &self.reason.as_str())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())
    }
}

impl std::error::Error for Rejection {}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(reason: Reason, realm: &str, explain_refusals: bool) -> Rejection {
        let terms = Terms { realm: realm.into(), retry_after: Duration::from_millis(1_500), explain_refusals };
        Rejection::new(reason, Arc::new(terms))
    }

    #[test]
    fn given_any_reason_for_an_invalid_key_when_answered_then_the_bytes_are_the_same() {
        let answer = |reason| {
            let r = rejection(reason, "api", false);
            (r.status(), r.grpc_code(), r.challenge(), r.problem(), r.retry_after())
        };
        let same = [
            Reason::WrongChecksum,
            Reason::WrongEnvironment,
            Reason::Unknown,
            Reason::DigestMismatch,
            Reason::NotYetValid,
            Reason::Expired,
            Reason::Disabled,
            Reason::Revoked,
        ];
        for reason in same {
            assert_eq!(answer(reason), answer(Reason::WrongFormat), "{reason:?}");
        }
    }

    #[test]
    fn given_a_service_that_tells_holders_when_the_key_is_theirs_then_the_reason_is_told() {
        for (reason, told) in [
            (Reason::Expired, "The key has expired."),
            (Reason::Revoked, "The key has been revoked."),
            (Reason::Unknown, "The API key is not valid."),
            (Reason::WrongChecksum, "The API key is not valid."),
        ] {
            assert_eq!(rejection(reason, "api", true).detail(), told);
            assert_eq!(rejection(reason, "api", false).detail(), "The API key is not valid.");
        }
    }

    #[test]
    fn given_any_rejection_when_its_problem_is_read_then_it_is_json_with_the_members_of_rfc_9457() {
        for reason in [Reason::Unknown, Reason::SeveralCredentials, Reason::ScopeMissing, Reason::Unavailable] {
            let r = rejection(reason, "api", false);
            let problem: serde_json::Value = serde_json::from_str(&r.problem()).unwrap();
            assert_eq!(problem["type"], "about:blank");
            assert_eq!(problem["status"], r.status());
            assert_eq!(problem["code"], r.code());
            assert_eq!(problem["detail"], *r.detail());
            assert!(problem["title"].is_string());
        }
        let odd = Rejection::missing_layer("a \"layer\"");
        assert!(serde_json::from_str::<serde_json::Value>(&odd.problem()).is_ok());
    }

    #[test]
    fn given_a_realm_with_quotes_when_challenged_then_they_are_escaped() {
        let challenge = rejection(Reason::NoCredential, r#"a "b" \ c"#, false).challenge().unwrap();
        assert_eq!(challenge, r#"Bearer realm="a \"b\" \\ c""#);
    }

    #[test]
    fn given_an_unavailable_resolver_when_answered_then_retry_after_is_rounded_up_and_nothing_is_challenged() {
        let r = rejection(Reason::Unavailable, "api", false);
        assert_eq!((r.status(), r.retry_after(), r.challenge()), (503, Some(2), None));
        assert_eq!(rejection(Reason::Unknown, "api", false).retry_after(), None);
    }

    #[test]
    fn given_required_scopes_when_refused_then_all_of_are_listed_and_any_of_are_not() {
        let terms = || rejection(Reason::ScopeMissing, "api", false).terms;
        let all = Requirement::all(["files:read", "files:write"]).unwrap();
        let any = Requirement::any(["files:read", "files:write"]).unwrap();
        let all = Rejection::scope_missing(&all, terms()).challenge().unwrap();
        let any = Rejection::scope_missing(&any, terms()).challenge().unwrap();
        assert!(all.ends_with(", scope=\"files:read files:write\""), "{all}");
        assert!(any.contains("insufficient_scope") && !any.contains("scope=\"files"), "{any}");
    }
}
