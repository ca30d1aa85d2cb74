//! One call, as the routes get it: who asks, for which resource, with which query, headers and body.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use apikey_core::{AuthenticatedKey, BoxError, JsonObject, KeyId};
use apikey_manager::{Actor, KeyManager, ServiceAccountId};
use bytes::{Buf, Bytes};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited, combinators::UnsyncBoxBody};
use tokio::time::timeout;
use tower_apikey::LingerBody;

use crate::{
    access,
    input::{Fields, Input, NoFields, Params, Query},
    problem::{Failure, Problem},
    routes::Found,
    service::Config,
};

/// A request's body, of whatever type it came in.
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

pub(crate) fn any_body<B>(body: B) -> AnyBody
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let whole = |mut data: B::Data| data.copy_to_bytes(data.remaining());
    body.map_frame(move |frame| frame.map_data(whole)).map_err(Into::into).boxed_unsync()
}

/// A request's body, as calls have it. A type of its own, as compilers can't tell that a future which holds the boxed one
/// is `Send` for every lifetime of the error.
pub(crate) struct RequestBody(LingerBody<AnyBody>);

impl RequestBody {
    pub(crate) fn new(body: LingerBody<AnyBody>) -> Self {
        RequestBody(body)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// The longest body that is read.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How long a body may take.
const SLOWEST_BODY: Duration = Duration::from_secs(30);

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const MERGE_PATCH: &str = "application/merge-patch+json";

pub(crate) struct Call {
    pub(crate) config: Arc<Config>,
    pub(crate) actor: Actor,
    /// The key that asks, if one does.
    pub(crate) key: Option<AuthenticatedKey>,
    pub(crate) parts: Parts,
    /// Never locked: a mutex lets what it holds be shared, which a body can't.
    body: Mutex<Option<RequestBody>>,
    /// What stands in the path for `{id}`.
    pub(crate) id: Option<String>,
}

impl Call {
    pub(crate) fn new(
        config: Arc<Config>,
        actor: Actor,
        key: Option<AuthenticatedKey>,
        parts: Parts,
        body: RequestBody,
        found: &Found,
    ) -> Self {
        let actor = access::named(actor, &parts.headers);
        Call { config, actor, key, parts, body: Mutex::new(Some(body)), id: found.id.clone() }
    }

    pub(crate) fn keys(&self) -> &KeyManager {
        &self.config.keys
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The key that the path names. What can't be an id is nobody's.
    pub(crate) fn key_id(&self) -> Result<KeyId, Failure> {
        let id = self.id.as_deref().and_then(|id| KeyId::new(id).ok());
        id.ok_or_else(|| Problem::not_found().into())
    }

    /// The service account that the path names.
    pub(crate) fn account_id(&self) -> Result<ServiceAccountId, Failure> {
        let id = self.id.as_deref().and_then(|id| ServiceAccountId::new(id).ok());
        id.ok_or_else(|| Problem::not_found().into())
    }

    /// The parameters of the query; none that are not known.
    pub(crate) fn params<P: Params>(&self) -> Result<P, Failure> {
        Query::read(&self.parts.uri)
    }

    /// The body, which must be there.
    pub(crate) async fn input<I: Input>(&mut self) -> Result<I, Failure> {
        match self.read_body().await? {
            Some(body) => self.parse(&body),
            None => Err(invalid_json("A body is required.")),
        }
    }

    /// The body, or that of `{}` if there is none.
    pub(crate) async fn optional_input<I: Input>(&mut self) -> Result<I, Failure> {
        match self.read_body().await? {
            Some(body) => self.parse(&body),
            None => Fields::read(serde_json::Map::new()),
        }
    }

    /// No body, or an empty object.
    pub(crate) async fn no_input(&mut self) -> Result<(), Failure> {
        self.optional_input::<NoFields>().await.map(|NoFields| ())
    }

    fn parse<I: Input>(&self, body: &[u8]) -> Result<I, Failure> {
        match JsonObject::read(body) {
            Ok(object) => Fields::read(object),
            Err(error) => Err(invalid_json(format!("The body is not a JSON object: {error}."))),
        }
    }

    /// The bytes of the body, if it has any. What it is said to be is looked at before any of it is read.
    async fn read_body(&mut self) -> Result<Option<Bytes>, Failure> {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(body) = body.filter(|body| !body.is_end_stream()) else { return Ok(None) };
        if body.size_hint().lower() > MAX_BODY as u64 {
            return Err(too_large());
        }
        let is_known = self.is_json();
        // Who is let in has to say soon what for: rights are looked at before the body comes.
        let Ok(collected) = timeout(SLOWEST_BODY, Limited::new(body, MAX_BODY).collect()).await else {
            let detail = "The body did not come within 30 seconds.";
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
        match (body.is_empty(), is_known) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(body)),
            (false, false) => Err(self.unsupported_media_type()),
        }
    }

    fn is_json(&self) -> bool {
        let headers = self.headers();
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        let content_type = types.next().filter(|_| types.next().is_none()).and_then(|value| value.to_str().ok());
        let Some(content_type) = content_type else { return false };
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_json = essence.eq_ignore_ascii_case("application/json")
            || (self.parts.method == Method::PATCH && essence.eq_ignore_ascii_case(MERGE_PATCH));
        let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
        is_json && headers.get_all(CONTENT_ENCODING).iter().all(is_plain)
    }

    fn unsupported_media_type(&self) -> Failure {
        let is_patch = self.parts.method == Method::PATCH;
        let taken = if is_patch { "application/merge-patch+json" } else { "application/json" };
        let detail = format!("The body must be {taken}.");
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail);
        match is_patch {
            // RFC 5789 §2.2.
            true => {
                let accepted = HeaderValue::from_static("application/merge-patch+json, application/json");
                problem.header(ACCEPT_PATCH, accepted).into()
            }
            false => problem.into(),
        }
    }

    /// Where `resource`, a path below the API's own, is found.
    ///
    /// Without a public path this is relative to the request's own address, which holds wherever the service is mounted
    /// and whatever stands in front of it (RFC 9110 §10.2.2).
    pub(crate) fn location(&self, resource: &str) -> String {
        match &self.config.public_path {
            Some(public_path) => format!("{public_path}/v1/{resource}"),
            None => {
                // `/v1/a/b` is one up from `/v1/`, and so on.
                let up = self.parts.uri.path().matches('/').count().saturating_sub(2);
                format!("{}{resource}", "../".repeat(up))
            }
        }
    }
}

fn invalid_json(detail: impl Into<String>) -> Failure {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail).into()
}

fn too_large() -> Failure {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "A body has at most 64 KiB.").into()
}

/// The path is known, and the method is not.
pub(crate) fn method_not_allowed(allowed: &str) -> Problem {
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Not with this method.");
    match HeaderValue::from_str(allowed) {
        Ok(allowed) => problem.header(ALLOW, allowed),
        Err(_) => problem,
    }
}
