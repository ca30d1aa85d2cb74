//! Errors of a service's own handlers, in the same form as refusals.

use std::{borrow::Cow, error::Error, fmt};

use apikey_core::adapter::problem_json;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};

/// An error of a service's handler as `application/problem+json` (RFC 9457).
///
/// Its body has the members of the layer's own refusals: `type`, `title`, `status`, `code` and `detail`.
///
/// ```
/// use http::{Response, StatusCode};
/// use tower_apikey::Problem;
///
/// let problem = Problem::new(StatusCode::CONFLICT, "file_exists", "There is a file of this name.");
/// let response: Response<String> = problem.into();
/// assert_eq!(response.status(), 409);
/// assert!(response.body().contains(r#""code":"file_exists""#));
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

    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the code for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }
}

/// Creates a response with any body that can be made from text.
impl<B: From<String>> From<Problem> for Response<B> {
    fn from(problem: Problem) -> Self {
        let Problem { status, code, detail } = problem;
        let title = status.canonical_reason().unwrap_or("Error");
        let mut response = Response::new(problem_json(status.as_u16(), title, &code, &detail).into());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_texts_with_quotes_when_answered_then_the_body_is_json_with_all_members() {
        let problem = Problem::new(StatusCode::IM_A_TEAPOT, "a \"code\"", "a\n\"detail\"");
        let response: Response<String> = problem.into();
        assert_eq!(
            (response.status(), &response.headers()[CONTENT_TYPE]),
            (StatusCode::IM_A_TEAPOT, &HeaderValue::from_static("application/problem+json"))
        );
        let expected = r#"{"type":"about:blank","title":"I'm a teapot","status":418,"code":"a \"code\"","detail":"a\n\"detail\""}"#;
        assert_eq!(response.body(), expected);
    }
}
