//! Errors of a service's own handlers, as actix errors.

use std::{borrow::Cow, fmt};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use apikey_core::adapter::problem_json;

/// An error as `application/problem+json` (RFC 9457), in the same form as refusals.
///
/// ```
/// use actix_apikey::Problem;
/// use actix_web::{HttpResponse, http::StatusCode, web::Path};
///
/// async fn remove(name: Path<String>) -> Result<HttpResponse, Problem> {
///     Err(Problem::new(StatusCode::NOT_FOUND, "not_found", format!("There is no file {name}.")))
/// }
/// # actix_web::web::delete().to(remove);
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
}

impl Problem {
    /// Creates a problem from a status, a code for programs and a sentence for people.
    #[must_use]
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem { status, code: code.into(), detail: detail.into() }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = problem_json(self.status.as_u16(), title, &self.code, &self.detail);
        HttpResponse::build(self.status).content_type("application/problem+json").body(body)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn given_a_problem_when_answered_then_it_is_as_the_middleware_refuses() {
        let response = Problem::new(StatusCode::CONFLICT, "file_exists", "There is a \"file\".").error_response();
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
        let expected = r#"{"type":"about:blank","title":"Conflict","status":409,"code":"file_exists","detail":"There is a \"file\"."}"#;
        assert_eq!(to_bytes(response.into_body()).await.unwrap(), expected);
    }
}
