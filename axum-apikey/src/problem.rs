//! Errors of a service's own handlers, as axum responses.

use std::{borrow::Cow, error::Error, fmt};

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

/// An error as `application/problem+json` (RFC 9457), in the same form as refusals.
///
/// ```
/// use axum::{extract::Path, http::StatusCode};
/// use axum_apikey::Problem;
///
/// async fn remove(Path(name): Path<String>) -> Result<StatusCode, Problem> {
///     Err(Problem::new(StatusCode::NOT_FOUND, "not_found", format!("There is no file {name}.")))
/// }
/// # axum::routing::delete::<_, _, ()>(remove);
/// ```
#[derive(Clone, Debug)]
pub struct Problem(tower_apikey::Problem);

impl Problem {
    /// Creates a problem from a status, a code for programs and a sentence for people.
    #[must_use]
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem(tower_apikey::Problem::new(status, code, detail))
    }
}

impl From<tower_apikey::Problem> for Problem {
    fn from(problem: tower_apikey::Problem) -> Self {
        Problem(problem)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.into()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Problem {}
