//! Who asks: a key, or somebody whom the host itself has logged in. What they may do is the manager's to say.

use std::{future::Future, pin::Pin, sync::Arc};

use apikey_core::{
    AuthenticatedKey, Authenticator, BoxError, Rejection, Requirement, Scope,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};
use apikey_manager::Actor;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, ORIGIN},
    request::Parts,
};

use crate::{
    call::Call,
    problem::{self, Failure, Problem},
    reply::Reply,
    service::Config,
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const REQUEST_IDS: [HeaderName; 2] = [HeaderName::from_static("x-request-id"), HeaderName::from_static("request-id")];

/// The longest id of a request that the audit trail takes.
const LONGEST_REQUEST_ID: usize = 128;

type LoggedIn = Pin<Box<dyn Future<Output = Result<Option<Actor>, BoxError>> + Send>>;

/// Says who is logged in to the host.
pub(crate) type Login = Arc<dyn Fn(&Parts) -> LoggedIn + Send + Sync>;

/// Who has logged in, if anybody has. It must then be the caller's only credential, and what changes something must come
/// from a page of the host's own.
pub(crate) async fn logged_in(config: &Config, parts: &Parts) -> Result<Option<Actor>, Failure> {
    let Some(login) = &config.login else { return Ok(None) };
    let actor = login(parts).await.map_err(|error| {
        problem::report(error.as_ref());
        problem::unavailable()
    })?;
    let Some(actor) = actor else { return Ok(None) };
    let authenticator = config.keys.authenticator();
    if has_key(parts, &authenticator) {
        return Err(refuse(&authenticator, &TwoCredentials).await.map_or(Failure::NotLive, Failure::Refused));
    }
    let is_write = !matches!(parts.method, Method::GET | Method::HEAD);
    match is_write && !is_same_site(&parts.headers, &config.origins) {
        true => {
            let detail = "Changes must come from a page of the service itself.";
            Err(Problem::new(StatusCode::FORBIDDEN, "cross_origin", detail).into())
        }
        false => Ok(Some(actor)),
    }
}

/// Has the request a credential that is a key's?
fn has_key(parts: &Parts, authenticator: &Authenticator) -> bool {
    let is_bearer = |value: &HeaderValue| {
        let scheme = value.as_bytes().split(|byte| *byte == b' ').next();
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Bearer"))
    };
    parts.extensions.get::<AuthenticatedKey>().is_some()
        || parts.headers.get_all(AUTHORIZATION).iter().any(is_bearer)
        || authenticator.extra_headers().iter().any(|name| parts.headers.contains_key(&**name))
}

/// Browsers tell what page a request comes from, and no page can make them tell otherwise.
fn is_same_site(headers: &HeaderMap, origins: &[String]) -> bool {
    let only = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    only(&SEC_FETCH_SITE) == Some("same-origin")
        || only(&ORIGIN).is_some_and(|origin| origins.iter().any(|own| own.eq_ignore_ascii_case(origin)))
}

/// The actor of a call, with the request's id for the audit trail.
pub(crate) fn named(actor: Actor, headers: &HeaderMap) -> Actor {
    let is_id =
        |id: &&str| (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let id = REQUEST_IDS.iter().find_map(|name| headers.get(name)).and_then(|value| value.to_str().ok());
    match id.filter(is_id) {
        Some(id) => actor.with_request_id(id),
        None => actor,
    }
}

/// Has the caller what the route needs? Asked before a body is read; the manager asks again.
pub(crate) fn check(call: &Call, needed: Option<&Scope>) -> Result<(), Failure> {
    match needed {
        Some(scope) if !call.keys().has_scope(&call.actor, scope) => Err(Failure::Lacks(scope.clone())),
        _ => Ok(()),
    }
}

/// A failure as it is answered to the caller, in the authenticator's words where it has some.
pub(crate) fn answer(failure: Failure, call: &Call) -> Reply {
    let rejection = match (&failure, &call.key) {
        (Failure::Lacks(scope), Some(key)) => key.require_scopes(&Requirement::from(scope.clone())).err(),
        // Its handle has heard of it by now.
        (Failure::NotLive, Some(key)) => key.require_live().err(),
        _ => None,
    };
    rejection.map_or(failure, Failure::Refused).into_response()
}

async fn refuse(authenticator: &Authenticator, view: &(impl RequestView + Sync)) -> Option<Rejection> {
    let decision = match authenticator.authenticate(view) {
        Authentication::Done(decision) => decision,
        Authentication::Loading(loading) => loading.await,
    };
    decision.err()
}

/// A request with two credentials.
struct TwoCredentials;

impl RequestView for TwoCredentials {
    fn lines(&self, _: Header) -> HeaderLines<'_> {
        HeaderLines::Several
    }
}
