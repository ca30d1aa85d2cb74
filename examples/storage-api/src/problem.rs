//! Errors as `application/problem+json` (RFC 9457), in the form in which keys are refused, too.

use std::{error::Error, iter};

use axum::{
    Json,
    extract::rejection::JsonRejection,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tower_http::timeout::TimeoutError;

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

    /// A body that is read piece by piece has failed.
    pub(crate) fn incomplete(error: &(dyn Error + 'static)) -> Self {
        match is_late(error) {
            true => Problem::too_slow(),
            false => {
                Problem { status: StatusCode::BAD_REQUEST, code: "incomplete_body", detail: "The body ended early." }
            }
        }
    }

    fn too_slow() -> Self {
        let detail = "The body did not come in time.";
        Problem { status: StatusCode::REQUEST_TIMEOUT, code: "request_timeout", detail }
    }

    /// The database doesn't answer, most likely.
    pub(crate) fn unavailable(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = with_causes(error), "usage can't be read");
        Problem { status: StatusCode::SERVICE_UNAVAILABLE, code: "unavailable", detail: "Try again later." }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        if is_late(&rejection) {
            return Problem::too_slow();
        }
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

/// Did the body come too slowly? The layer that bounds its time says so, somewhere among the causes.
fn is_late(error: &(dyn Error + 'static)) -> bool {
    iter::successors(Some(error), |&error| error.source()).any(|error| error.is::<TimeoutError>())
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
