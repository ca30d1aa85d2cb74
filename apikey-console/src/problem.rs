//! Error answers: problems (RFC 9457) with a `code` and fields for programs. The manager's errors are mapped here
//! alone.

use std::error::Error;

use apikey_core::{KeyId, Rejection, Scope};
use apikey_manager::{Busy, FieldError, Forbidden, ManageError, StoreError};
use axum::{
    Extension,
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// The most mistakes that an answer lists. The manager lists no more either.
const MAX_ERRORS: usize = 50;
/// The code of the entry for mistakes that are left out.
const MORE: &str = "more";

/// `Retry-After` for a store that can't be reached, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// `Retry-After` when there are too many concurrent reads, in seconds.
const BUSY_FOR_SECONDS: u64 = 1;

/// The reason why a call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Problem(Box<Problem>),
    /// A rejection by the authenticator.
    Refused(Rejection),
    /// The caller lacks a right. The answer depends on its credential.
    Unmet(Unmet),
}

/// What a caller lacks. A response carries it in its extensions, so that the authenticator can render it.
#[derive(Clone, Debug)]
pub(crate) enum Unmet {
    Scope(Scope),
    /// The caller's rights ended during the call.
    Live,
}

/// A problem response.
#[derive(Debug)]
pub(crate) struct Problem {
    body: ProblemBody,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A problem (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Problem)]
struct ProblemBody {
    /// Always `about:blank`. See `code`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status's reason phrase.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The kind of problem, for programs.
    #[schema(examples("invalid"))]
    code: &'static str,
    /// The explanation, for people.
    detail: String,
    /// Each wrong field or parameter. After 50, one entry with the field `*` and the code `more` tells how many are
    /// left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 51)]
    errors: Vec<FieldProblem>,
    /// With `limit_reached`: the number in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    used: Option<u64>,
    /// With `limit_reached`: the number allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    allowed: Option<u64>,
    /// With `already_done`: the ids of the keys that were made or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false)]
    key_ids: Option<Vec<KeyId>>,
}

/// A wrong field or parameter.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// The field, such as `expires_at` or `scopes[2]`. Empty if several fields are wrong together.
    pub(crate) field: String,
    /// The kind of mistake, for programs.
    #[schema(examples("too_long"))]
    pub(crate) code: &'static str,
    /// The explanation, for people.
    pub(crate) message: String,
}

/// The schema's name in the OpenAPI document.
pub(crate) const SCHEMA: &str = "Problem";

pub(crate) fn schema() -> RefOr<Schema> {
    ProblemBody::schema()
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Problem {
            body: ProblemBody {
                kind: "about:blank",
                title: status.canonical_reason().unwrap_or("Error"),
                status: status.as_u16(),
                code,
                detail: detail.into(),
                errors: Vec::new(),
                used: None,
                allowed: None,
                key_ids: None,
            },
            headers: Vec::new(),
        }
    }

    /// Creates the answer for wrong fields or parameters. It is short, however many there are.
    pub(crate) fn invalid(mut errors: Vec<FieldProblem>) -> Self {
        if errors.len() > MAX_ERRORS && errors.last().is_none_or(|last| last.code != MORE) {
            let message = format!("and {} more", errors.len() - MAX_ERRORS);
            errors.truncate(MAX_ERRORS);
            errors.push(FieldProblem { field: "*".to_owned(), code: MORE, message });
        }
        let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Some fields are invalid.");
        problem.body.errors = errors;
        problem
    }

    pub(crate) fn forbidden() -> Self {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", "The caller may not do this.")
    }

    pub(crate) fn not_found() -> Self {
        Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such resource.")
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, seconds.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Only strings and numbers, so this can't fail.
        let body = serde_json::to_vec(&self.body).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers.into_iter().map(|(name, value)| (Some(name), value)).collect::<Vec<_>>());
        response
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure::Problem(Box::new(problem))
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Failure::Refused(rejection)
    }
}

impl From<ManageError> for Failure {
    fn from(error: ManageError) -> Self {
        let code = error.code();
        let told = error.to_string();
        match error {
            ManageError::Forbidden(Forbidden::Needs(scope)) => Failure::Unmet(Unmet::Scope(Scope::from_static(scope))),
            ManageError::Forbidden(Forbidden::NotLive) => Failure::Unmet(Unmet::Live),
            ManageError::Forbidden(_) => Problem::new(StatusCode::FORBIDDEN, code, sentence(&told)).into(),
            ManageError::Invalid(fields) => {
                Problem::invalid(fields.into_iter().map(FieldProblem::from).collect()).into()
            }
            ManageError::NotFound(_) => Problem::not_found().into(),
            // Only `If-Match` sets a version.
            ManageError::StaleVersion { .. } => {
                Problem::new(StatusCode::PRECONDITION_FAILED, code, "The resource has changed since it was read.")
                    .into()
            }
            ManageError::WrongState { .. } | ManageError::NotParked => {
                Problem::new(StatusCode::CONFLICT, code, sentence(&told)).into()
            }
            ManageError::WebhooksNotOffered => Problem::new(StatusCode::NOT_FOUND, code, sentence(&told)).into(),
            ManageError::AlreadyDone { keys } => {
                let detail = "This was done before, with the same Idempotency-Key. Secrets aren't kept: rotate a key to get a new one.";
                let mut problem = Problem::new(StatusCode::CONFLICT, code, detail);
                problem.body.key_ids = Some(keys);
                problem.into()
            }
            ManageError::IdempotencyKeyReused => {
                let detail = "This Idempotency-Key was used for a request with another body.";
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).into()
            }
            ManageError::LimitReached { of, used, allowed } => {
                let told = format!("{used} of {allowed} {of}; your plan allows {allowed}.");
                let mut problem = Problem::new(StatusCode::CONFLICT, code, told);
                (problem.body.used, problem.body.allowed) = (Some(used), Some(allowed));
                problem.into()
            }
            ManageError::Busy(busy) => {
                let status = match busy {
                    Busy::Organization => StatusCode::TOO_MANY_REQUESTS,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                Problem::new(status, code, sentence(&told)).retry_after(BUSY_FOR_SECONDS).into()
            }
            ManageError::Store(error) => from_store(error).into(),
            ManageError::Unconfirmed { .. } => {
                report(&error);
                let detail = "The change was made, but not every process is known to follow it. Repeat the request to wait for all.";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(BUSY_FOR_SECONDS).into()
            }
            ManageError::Stopped => unknown_outcome(&error).into(),
            ManageError::Limits(_) | ManageError::Random(_) => {
                report(&error);
                unavailable().into()
            }
            // `Generate` can't happen with a manager that was built, and `Import` can't happen here.
            _ => {
                report(&error);
                internal().into()
            }
        }
    }
}

pub(crate) fn from_store(error: StoreError) -> Problem {
    if error.is_conflict() {
        let detail = "The resource was changed concurrently. Try again.";
        Problem::new(StatusCode::CONFLICT, "conflict", detail)
    } else if error.is_unknown() {
        unknown_outcome(&error)
    } else if error.is_unavailable() {
        report(&error);
        unavailable()
    } else {
        report(&error);
        internal()
    }
}

fn unknown_outcome(error: &dyn Error) -> Problem {
    report(error);
    // No `Retry-After`: a retry without `Idempotency-Key` might make the change twice.
    let detail = "It is unknown whether the change was made. Check before retrying.";
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "unknown_outcome", detail)
}

pub(crate) fn unavailable() -> Problem {
    let problem =
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The service is temporarily unavailable.");
    problem.retry_after(RETRY_AFTER_SECONDS)
}

fn internal() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The service failed unexpectedly.")
}

/// Logs the cause for the operator. Clients don't learn it.
pub(crate) fn report(error: &dyn Error) {
    let mut causes = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push_str(": ");
        causes.push_str(&cause.to_string());
        source = cause.source();
    }
    tracing::error!(target: "apikey", error = causes, "a management request failed");
}

impl FieldProblem {
    pub(crate) fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        FieldProblem { field: field.into(), code, message: message.into() }
    }
}

impl From<FieldError> for FieldProblem {
    fn from(error: FieldError) -> Self {
        // The API's field names, where they differ from the manager's.
        let field = match error.field.as_str() {
            "service_account" => "service_account_id".to_owned(),
            "overlap" => "overlap_seconds".to_owned(),
            "key" => "key_id".to_owned(),
            "text" => "q".to_owned(),
            _ => error.field,
        };
        FieldProblem { field, code: error.code, message: error.message }
    }
}

/// Turns an error's text into a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}

impl Failure {
    /// An internal error.
    pub(crate) fn internal(error: &dyn Error) -> Self {
        report(error);
        internal().into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let unmet = match self {
            Failure::Problem(problem) => return problem.into_response(),
            Failure::Refused(rejection) => return tower_apikey::refusal(rejection).map(Body::new),
            Failure::Unmet(unmet) => unmet,
        };
        let problem = match &unmet {
            Unmet::Scope(scope) => {
                let detail = format!("This needs the scope {scope}.");
                Problem::new(StatusCode::FORBIDDEN, "insufficient_scope", detail)
            }
            Unmet::Live => Problem::forbidden(),
        };
        (Extension(unmet), problem).into_response()
    }
}

#[cfg(test)]
mod tests {
    use apikey_manager::{Limited, Missing, Status};

    use super::*;

    #[tokio::test]
    async fn given_the_manager_s_errors_when_answered_then_each_has_its_status_and_code() {
        let secret = || std::io::Error::other("password=hunter2");
        let cases: Vec<(ManageError, u16, &str)> = vec![
            (ManageError::Invalid(Vec::new()), 422, "invalid"),
            (ManageError::NotFound(Missing::Key), 404, "not_found"),
            (ManageError::NotFound(Missing::ServiceAccount), 404, "not_found"),
            (ManageError::WebhooksNotOffered, 404, "webhooks_not_offered"),
            (ManageError::NotParked, 409, "not_parked"),
            (Forbidden::Needs("keys:admin").into(), 403, "insufficient_scope"),
            (Forbidden::NotLive.into(), 403, "forbidden"),
            (Forbidden::BeyondScopes("files:write".to_owned()).into(), 403, "forbidden"),
            (Forbidden::BeyondExpiry.into(), 403, "forbidden"),
            (Forbidden::HostOnly.into(), 403, "forbidden"),
            (ManageError::StaleVersion { current: 2 }, 412, "stale_version"),
            (ManageError::WrongState { status: Status::Revoked, operation: "rotated" }, 409, "wrong_state"),
            (ManageError::LimitReached { of: Limited::Keys, used: 3, allowed: 3 }, 409, "limit_reached"),
            (Busy::Organization.into(), 429, "busy"),
            (Busy::Service.into(), 503, "busy"),
            (ManageError::Limits(Box::new(secret())), 503, "unavailable"),
            (StoreError::unavailable(secret()).into(), 503, "unavailable"),
            (StoreError::conflict("a row").into(), 409, "conflict"),
            (StoreError::unknown(secret()).into(), 504, "unknown_outcome"),
            (StoreError::corrupt("password=hunter2").into(), 500, "internal"),
            (ManageError::Unconfirmed { reason: "hunter2".to_owned() }, 503, "unconfirmed"),
            (ManageError::Stopped, 504, "unknown_outcome"),
        ];
        for (error, status, code) in cases {
            let told = error.to_string();
            let response = Failure::from(error).into_response();
            assert_eq!(response.status(), status, "{told}");
            assert_eq!(response.headers().contains_key(RETRY_AFTER), matches!(status, 429 | 503), "{told}");
            let body = axum::body::to_bytes(response.into_body(), 64 * 1024).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(body.contains(&format!("\"code\":\"{code}\"")), "{told}: {body}");
            assert!(!body.contains("hunter2"), "{told}: {body}");
        }
    }
}
