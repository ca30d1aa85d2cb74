//! Errors of a service's own handlers, as actix errors.

use std::{borrow::Cow, fmt};

use actix_web::error::{JsonPayloadError, QueryPayloadError};
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

/// The answer to a body that can't be read, with the code `invalid_body`: 422 if it is JSON of another shape, 415 if it
/// isn't declared as JSON, 413 if it is too large, and otherwise 400.
///
/// ```
/// # use actix_apikey::Problem;
/// # use actix_web::web::JsonConfig;
/// let json = JsonConfig::default().error_handler(|error, _| Problem::from(error).into());
/// ```
impl From<JsonPayloadError> for Problem {
    fn from(error: JsonPayloadError) -> Self {
        let status = match &error {
            JsonPayloadError::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            JsonPayloadError::Deserialize(error) if error.is_data() => StatusCode::UNPROCESSABLE_ENTITY,
            error => error.status_code(),
        };
        Problem::new(status, "invalid_body", error.to_string())
    }
}

/// The answer to parameters that can't be read: 422 with the code `invalid_parameters`.
impl From<QueryPayloadError> for Problem {
    fn from(error: QueryPayloadError) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_parameters", error.to_string())
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
    use actix_web::{App, body::to_bytes, test, web};

    use super::*;

    #[actix_web::test]
    async fn given_input_that_can_t_be_read_when_answered_then_each_kind_has_its_status() {
        let json = web::JsonConfig::default().limit(20).error_handler(|error, _| Problem::from(error).into());
        let query = web::QueryConfig::default().error_handler(|error, _| Problem::from(error).into());
        let take = async |_: web::Json<[u8; 1]>| "";
        let ask = async |_: web::Query<Vec<(String, u8)>>| "";
        let app =
            App::new().app_data(json).app_data(query).route("/", web::post().to(take)).route("/", web::get().to(ask));
        let app = test::init_service(app).await;
        let json = ("content-type", "application/json");
        let post = |body: &'static str| test::TestRequest::post().uri("/").insert_header(json).set_payload(body);
        for (request, status, code) in [
            (post("["), 400, "invalid_body"),
            (post("{}"), 422, "invalid_body"),
            (post("[1, 2, 3, 4, 5, 6, 7, 8]"), 413, "invalid_body"),
            (post("[1]").insert_header(("content-type", "text/plain")), 415, "invalid_body"),
            (test::TestRequest::get().uri("/?page=many"), 422, "invalid_parameters"),
        ] {
            let response = test::call_service(&app, request.to_request()).await;
            let answered = response.status();
            let body = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
            assert!(answered == status && body.contains(&format!(r#""code":"{code}""#)), "{answered}: {body}");
        }
    }

    #[actix_web::test]
    async fn given_a_problem_when_answered_then_it_is_as_the_middleware_refuses() {
        let response = Problem::new(StatusCode::CONFLICT, "file_exists", "There is a \"file\".").error_response();
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
        let expected = r#"{"type":"about:blank","title":"Conflict","status":409,"code":"file_exists","detail":"There is a \"file\"."}"#;
        assert_eq!(to_bytes(response.into_body()).await.unwrap(), expected);
    }
}
