//! Errors as `application/problem+json` (RFC 9457), in the form in which keys are refused, too.

use std::{borrow::Cow, fmt, io::ErrorKind};

use actix_web::{
    HttpResponse, ResponseError,
    error::{JsonPayloadError, PayloadError, QueryPayloadError},
    http::StatusCode,
};
use serde_json::{error::Category, json};

use crate::{authority::Refusal, with_causes};

/// An answer other than the one asked for.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// For programs.
    code: &'static str,
    /// For people.
    detail: Cow<'static, str>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem { status, code, detail: detail.into() }
    }

    pub(crate) fn not_found(detail: &'static str) -> Self {
        Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(error = with_causes(&error), "the database doesn't do its part");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later.")
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(detail) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail),
            Refusal::Exists => Problem::new(StatusCode::CONFLICT, "revoked_already", "This id is revoked already."),
            Refusal::Unknown => Problem::not_found("This id is not revoked."),
            Refusal::Failed(error) => error.into(),
        }
    }
}

impl From<JsonPayloadError> for Problem {
    fn from(error: JsonPayloadError) -> Self {
        match error {
            JsonPayloadError::ContentType => Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Content-Type must be application/json.",
            ),
            JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "content_too_large", "The body is too large.")
            }
            JsonPayloadError::Deserialize(error) if error.classify() == Category::Data => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", error.to_string())
            }
            JsonPayloadError::Payload(PayloadError::Io(error)) if error.kind() == ErrorKind::TimedOut => {
                Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body did not come in time.")
            }
            _ => Problem::new(StatusCode::BAD_REQUEST, "invalid_json", "The body is not JSON."),
        }
    }
}

impl From<QueryPayloadError> for Problem {
    fn from(error: QueryPayloadError) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", error.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = json!({
            "type": "about:blank", "title": title, "status": self.status.as_u16(), "code": self.code,
            "detail": self.detail,
        });
        HttpResponse::build(self.status).insert_header(("Content-Type", "application/problem+json")).json(body)
    }
}
