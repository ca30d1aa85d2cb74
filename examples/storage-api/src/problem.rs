//! Errors as `application/problem+json` (RFC 9457), in the form in which keys are refused, too.

use std::error::Error;

use axum::{
    Json,
    extract::rejection::JsonRejection,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::with_causes;

/// An answer other than the one asked for.
pub(crate) struct Problem {
    status: StatusCode,
    /// For programs.
    code: &'static str,
    /// For people.
    detail: &'static str,
}

impl Problem {
    pub(crate) const fn not_found(detail: &'static str) -> Self {
        Problem { status: StatusCode::NOT_FOUND, code: "not_found", detail }
    }

    pub(crate) const fn bad_name() -> Self {
        let detail = "A name is 1 to 100 letters, digits, dots, underscores and hyphens.";
        Problem { status: StatusCode::UNPROCESSABLE_ENTITY, code: "invalid_name", detail }
    }

    pub(crate) const fn too_large() -> Self {
        let detail = "The account has no room for this.";
        Problem { status: StatusCode::PAYLOAD_TOO_LARGE, code: "content_too_large", detail }
    }

    pub(crate) const fn incomplete() -> Self {
        Problem { status: StatusCode::BAD_REQUEST, code: "incomplete_body", detail: "The body ended early." }
    }

    /// The database doesn't answer, most likely.
    pub(crate) fn unavailable(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = with_causes(error), "usage can't be read");
        Problem { status: StatusCode::SERVICE_UNAVAILABLE, code: "unavailable", detail: "Try again later." }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status();
        let (code, detail) = match status {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "Content-Type must be application/json."),
            StatusCode::PAYLOAD_TOO_LARGE => ("content_too_large", "The body is too large."),
            StatusCode::UNPROCESSABLE_ENTITY => ("invalid_body", "The body hasn't the members that it must have."),
            _ => ("invalid_json", "The body is not JSON."),
        };
        Problem { status, code, detail }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            code: &'static str,
            detail: &'static str,
        }
        let Problem { status, code, detail } = self;
        let title = status.canonical_reason().unwrap_or_default();
        let body = Body { r#type: "about:blank", title, status: status.as_u16(), code, detail };
        let content_type = HeaderValue::from_static("application/problem+json");
        (status, [(CONTENT_TYPE, content_type)], Json(body)).into_response()
    }
}
