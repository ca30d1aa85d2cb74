//! The arguments of handlers: the caller, the id in the path, the query's parameters and the body.

use std::{str::FromStr, sync::Arc, time::Duration};

use apikey_core::{AuthenticatedKey, JsonObject};
use apikey_manager::{Actor, KeyManager};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Request};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::{
    config::Config,
    input::{self, Input},
    login::LoggedIn,
    problem::{Failure, Problem},
};

/// The longest body that is read.
const MAX_BODY: usize = 64 * 1024;
/// The longest time that a body may take.
const SLOWEST_BODY: Duration = Duration::from_secs(30);
/// The longest request id that the audit trail records.
const LONGEST_REQUEST_ID: usize = 128;

const REQUEST_IDS: [HeaderName; 2] = [HeaderName::from_static("x-request-id"), HeaderName::from_static("request-id")];
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const MERGE_PATCH: &str = "application/merge-patch+json";

/// An admitted caller.
#[derive(Clone)]
pub(crate) struct Caller {
    config: Arc<Config>,
    pub(crate) actor: Actor,
    /// The caller's key, unless it is logged in.
    pub(crate) key: Option<AuthenticatedKey>,
    /// The beginning of addresses in answers.
    root: String,
}

impl Caller {
    pub(crate) fn new(config: &Arc<Config>, actor: Actor, key: Option<AuthenticatedKey>, parts: &Parts) -> Self {
        let root = match &config.public_path {
            Some(public_path) => format!("{public_path}/v1/"),
            // Relative to the request's own address (RFC 9110 §10.2.2): right wherever the service is mounted. `/a` is
            // beside its root, and `/a/b` is one below.
            None => "../".repeat(parts.uri.path().matches('/').count().saturating_sub(1)),
        };
        Caller { config: Arc::clone(config), actor: with_request_id(actor, &parts.headers), key, root }
    }

    pub(crate) fn keys(&self) -> &KeyManager {
        &self.config.keys
    }

    /// Returns `true` if the caller is of the organization that operates the service.
    pub(crate) fn is_operator(&self) -> bool {
        self.config.operators.as_ref() == Some(self.actor.organization())
    }

    /// Returns the address of `resource`, a path below the API's root.
    pub(crate) fn location(&self, resource: &str) -> String {
        format!("{}{resource}", self.root)
    }
}

/// Adds the request's id to the actor, for the audit trail.
fn with_request_id(actor: Actor, headers: &HeaderMap) -> Actor {
    let is_id =
        |id: &&str| (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let id = REQUEST_IDS.iter().find_map(|name| headers.get(name)).and_then(|value| value.to_str().ok());
    match id.filter(is_id) {
        Some(id) => actor.with_request_id(id),
        None => actor,
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get().cloned().ok_or_else(|| Problem::forbidden().into())
    }
}

/// The id in the path. Text that can't be an id is not found.
pub(crate) struct PathId<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for PathId<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let id = Path::<String>::from_request_parts(parts, state).await.ok();
        id.and_then(|Path(id)| id.parse().ok()).map(PathId).ok_or_else(|| Problem::not_found().into())
    }
}

/// The two ids in the path.
pub(crate) struct PathIds<T, U>(pub(crate) T, pub(crate) U);

impl<S: Send + Sync, T: FromStr, U: FromStr> FromRequestParts<S> for PathIds<T, U> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let ids = Path::<(String, String)>::from_request_parts(parts, state).await.ok();
        let ids = ids.and_then(|Path((one, other))| Some(PathIds(one.parse().ok()?, other.parse().ok()?)));
        ids.ok_or_else(|| Problem::not_found().into())
    }
}

/// The parameters of the query.
pub(crate) struct Query<I>(pub(crate) I);

impl<S: Sync, I: Input> FromRequestParts<S> for Query<I> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        input::from_query(parts.uri.query().unwrap_or_default()).map(Query)
    }
}

/// The JSON object in the body; as an `Option`, a body that may be absent.
pub(crate) struct Json<I>(pub(crate) I);

impl<I: Input> Json<I> {
    pub(crate) async fn read(request: Request) -> Result<Option<Self>, Failure> {
        let Some(body) = read_body(request).await? else { return Ok(None) };
        let object = JsonObject::read(&body)
            .map_err(|error| invalid_json(format!("The body is not a JSON object: {error}.")))?;
        input::from_object(object).map(|input| Some(Json(input)))
    }
}

impl<S: Sync, I: Input> OptionalFromRequest<S> for Json<I> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, Failure> {
        Json::read(request).await
    }
}

impl<S: Sync, I: Input> FromRequest<S> for Json<I> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        Json::read(request).await?.ok_or_else(|| invalid_json("A body is required."))
    }
}

/// Reads the body, if there is one, after checking its media type. A caller by the host's login must still be logged in when
/// the body is there.
pub(crate) async fn read_body(request: Request) -> Result<Option<Bytes>, Failure> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(None);
    }
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    // A caller is admitted before its body arrives, so the body must arrive soon.
    let Ok(collected) = timeout(SLOWEST_BODY, Limited::new(body, MAX_BODY).collect()).await else {
        let detail = "The body did not arrive within 30 seconds.";
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail).into());
    };
    let body = match collected {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(_) => {
            let detail = "The body ended early.";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "incomplete_body", detail).into());
        }
    };
    LoggedIn::check_again(&parts).await?;
    match (body.is_empty(), is_json(&parts)) {
        (true, _) => Ok(None),
        (false, true) => Ok(Some(body)),
        (false, false) => Err(unsupported_media_type(&parts.method)),
    }
}

fn is_json(parts: &Parts) -> bool {
    let mut types = parts.headers.get_all(CONTENT_TYPE).iter();
    let content_type = types.next().filter(|_| types.next().is_none()).and_then(|value| value.to_str().ok());
    let Some(content_type) = content_type else { return false };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || (parts.method == Method::PATCH && essence.eq_ignore_ascii_case(MERGE_PATCH));
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    is_json && parts.headers.get_all(CONTENT_ENCODING).iter().all(is_plain)
}

fn unsupported_media_type(method: &Method) -> Failure {
    let problem = |media_type: &str| {
        let detail = format!("The body must be {media_type}.");
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    };
    match *method {
        // RFC 5789 §2.2.
        Method::PATCH => {
            let accepted = HeaderValue::from_static("application/merge-patch+json, application/json");
            problem(MERGE_PATCH).header(ACCEPT_PATCH, accepted).into()
        }
        _ => problem("application/json").into(),
    }
}

fn invalid_json(detail: impl Into<String>) -> Failure {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail).into()
}

fn too_large() -> Failure {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "A body may have at most 64 KiB.").into()
}
