//! `/v1/session`: signs in to the page with a key, and signs out.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, State},
    response::Response,
};
use http::{HeaderValue, header::SET_COOKIE, request::Parts};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    access,
    call::Json,
    config::Config,
    input::Input,
    problem::{self, Failure},
    reply,
    session::Sessions,
};

/// A sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignIn)]
pub(crate) struct SignIn {
    /// A key of this service.
    #[schema(value_type = String, max_length = 1024)]
    key: String,
}

impl Input for SignIn {}

/// Proof that a request comes from the page itself.
pub(crate) struct FromPage {
    sessions: Sessions,
    parts: Parts,
}

impl FromRequestParts<Arc<Config>> for FromPage {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, config: &Arc<Config>) -> Result<Self, Failure> {
        access::from_own_page(&parts.headers, &config.origins)?;
        let sessions = config.sessions.clone().ok_or_else(problem::unavailable)?;
        Ok(FromPage { sessions, parts: parts.clone() })
    }
}

/// Signs in with a key
///
/// The response sets a cookie that scripts can't read and that stands for the key, for at most eight hours. It is for
/// the page alone: the request must come from a page of the service itself.
#[utoipa::path(post, path = "/session", operation_id = "sign_in", tag = "session", request_body = SignIn, responses(
    (status = 204, description = "The cookie is set.", headers(("Set-Cookie" = String, description = "The session."))),
    (status = 401, description = "The key is not valid."),
    (status = 403, description = "The request does not come from a page of the service itself."),
))]
pub(crate) async fn sign_in(
    State(config): State<Arc<Config>>,
    FromPage { sessions, parts }: FromPage,
    Json(SignIn { key }): Json<SignIn>,
) -> Result<Response, Failure> {
    let _turn = sessions.turn().await.ok_or_else(problem::unavailable)?;
    access::check(&config.keys.authenticator(), &key).await?;
    Ok(with_cookie(sessions.seal(&key, &parts, config.keys.now())))
}

/// Signs out
///
/// The browser deletes the cookie. A copy of it stays valid until the session or the key ends.
#[utoipa::path(delete, path = "/session", operation_id = "sign_out", tag = "session", responses(
    (status = 204, description = "The cookie is forgotten."),
    (status = 403, description = "The request does not come from a page of the service itself."),
))]
pub(crate) async fn sign_out(FromPage { sessions, parts }: FromPage) -> Response {
    with_cookie(sessions.forget(&parts))
}

fn with_cookie(cookie: Option<HeaderValue>) -> Response {
    let mut reply = reply::no_content();
    reply.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    reply
}
