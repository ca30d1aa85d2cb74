//! Errors as `application/problem+json` (RFC 9457), in the form in which keys are refused, too.

use std::{error::Error, fmt, io::ErrorKind};

use actix_web::{
    HttpResponse, ResponseError,
    error::{JsonPayloadError, PayloadError},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::error::Category;

use crate::{files::AddError, with_causes};

/// An answer other than the one asked for.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// For programs.
    code: &'static str,
    /// For people.
    detail: &'static str,
}

impl Problem {
    pub(crate) fn not_found(detail: &'static str) -> Self {
        Problem { status: StatusCode::NOT_FOUND, code: "not_found", detail }
    }

    /// The database doesn't answer, most likely.
    pub(crate) fn unavailable(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = with_causes(error), "usage can't be read");
        Problem { status: StatusCode::SERVICE_UNAVAILABLE, code: "unavailable", detail: "Try again later." }
    }
}

impl From<AddError> for Problem {
    fn from(error: AddError) -> Self {
        let (status, code, detail) = match error {
            AddError::BadName => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_name",
                "A name is 1 to 100 letters, digits, dots, underscores and hyphens.",
            ),
            AddError::Exists => (StatusCode::CONFLICT, "file_exists", "There is a file of this name."),
        };
        Problem { status, code, detail }
    }
}

impl From<JsonPayloadError> for Problem {
    fn from(error: JsonPayloadError) -> Self {
        let (status, code, detail) = match error {
            JsonPayloadError::ContentType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Content-Type must be application/json.")
            }
            JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "content_too_large", "The body is too large.")
            }
            JsonPayloadError::Deserialize(error) if error.classify() == Category::Data => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid_file", "The body must have the strings name and content.")
            }
            JsonPayloadError::Payload(PayloadError::Io(error)) if error.kind() == ErrorKind::TimedOut => {
                (StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body did not come in time.")
            }
            _ => (StatusCode::BAD_REQUEST, "invalid_json", "The body is not JSON."),
        };
        Problem { status, code, detail }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        #[derive(Serialize)]
        struct Body {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            code: &'static str,
            detail: &'static str,
        }
        let &Problem { status, code, detail } = self;
        let title = status.canonical_reason().unwrap_or_default();
        let body = Body { r#type: "about:blank", title, status: status.as_u16(), code, detail };
        HttpResponse::build(status).insert_header(("Content-Type", "application/problem+json")).json(body)
    }
}
