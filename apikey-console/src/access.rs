//! Authenticates the caller, by a key or the host's login, and checks the scope that the route requires. The manager
//! decides what the caller may do to a resource.

use std::sync::Arc;

use apikey_core::{
    AuthenticatedKey, Authenticator, RejectionKind, Requirement,
    adapter::{Authentication, Header, HeaderLines, RequestView, is_read},
};
use apikey_manager::{Actor, Receipt, Receipts};
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{AUTHORIZATION, ORIGIN},
    request::Parts,
};
use tower_apikey::{ApiKeyLayer, OnRevoked};
use tower_layer::Layer;
use tower_service::Service;
use zeroize::Zeroizing;

use crate::{
    call::{Caller, Json},
    config::Config,
    declaration::{Declaration, Needs},
    idempotency,
    input::{self, Nothing},
    login::{LoggedIn, ask_host},
    precondition,
    problem::{Failure, Problem, Unmet},
    reply,
    session::Opened,
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks requests for `methods` against their declaration, and rejects all others.
pub(crate) fn guard<S: Clone + Send + Sync + 'static>(
    methods: MethodRouter<S>,
    config: &Arc<Config>,
    declaration: Declaration,
) -> MethodRouter<S> {
    let is_public = matches!(declaration.needs, Needs::Nothing);
    let methods = methods.route_layer(from_fn_with_state((Arc::clone(config), Arc::new(declaration)), admit));
    match is_public {
        true => methods,
        false => methods.route_layer(from_fn_with_state(Arc::clone(config), authenticate)),
    }
}

/// Authenticates the caller by the host's login or by a key.
async fn authenticate(State(config): State<Arc<Config>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match logged_in(&config, &mut parts).await {
        Err(failure) => failure.into_response(),
        Ok(Some(actor)) => {
            parts.extensions.insert(LoggedIn { actor, config });
            next.run(Request::from_parts(parts, body)).await
        }
        Ok(None) => {
            let layer = ApiKeyLayer::new(config.keys.authenticator()).on_revoked(OnRevoked::Finish);
            let describe = Arc::clone(&config.describe);
            let layer = layer.describe_requests(move |headers, extensions| describe(headers, extensions));
            let mut keyed = layer.lingering(config.lingering.clone()).layer(next);
            match keyed.call(Request::from_parts(parts, body)).await {
                Ok(response) => response.map(Body::new),
                Err(never) => match never {},
            }
        }
    }
}

/// Tells in how many processes a change holds.
const FLEET_RECEIPT: HeaderName = HeaderName::from_static("fleet-receipt");

/// Returns a dictionary of structured fields (RFC 9651 §3.2), such as `revision=7, nodes=3, waited-out=("0f…")`.
fn receipt_field(receipt: &Receipt) -> String {
    let Receipt { revision, nodes, waited_out, .. } = receipt;
    let waited_out: Vec<String> = waited_out.iter().map(|node| format!("\"{node}\"")).collect();
    match waited_out.is_empty() {
        true => format!("revision={revision}, nodes={nodes}"),
        false => format!("revision={revision}, nodes={nodes}, waited-out=({})", waited_out.join(" ")),
    }
}

type Guard = (Arc<Config>, Arc<Declaration>);

/// Rejects callers without the scope that the route requires, and input that its declaration doesn't mention, before
/// the body is read.
async fn admit(State((config, declaration)): State<Guard>, request: Request, next: Next) -> Response {
    if let Needs::Nothing = declaration.needs {
        return match refuse_undeclared(&declaration, request).await {
            Ok(request) => next.run(request).await,
            Err(failure) => failure.into_response(),
        };
    }
    let (mut parts, body) = request.into_parts();
    let (actor, key) = match parts.extensions.get::<LoggedIn>() {
        Some(LoggedIn { actor, .. }) => (Some(actor.clone()), None),
        None => match tower_apikey::caller(&parts.extensions) {
            Ok(key) => (Actor::key(key), Some(key.clone())),
            // The host's authenticator may accept requests without a key. The console doesn't.
            Err(rejection) => return Failure::Refused(rejection).into_response(),
        },
    };
    let Some(actor) = actor else { return Failure::from(Problem::forbidden()).into_response() };
    let receipts = Receipts::default();
    let caller = Caller::new(&config, actor.with_receipts(&receipts), key.clone(), &parts);
    if matches!(declaration.needs, Needs::Operators(_)) && !caller.is_operator() {
        return Problem::not_found().into_response();
    }
    let lacks = declaration.needs.scope().filter(|scope| !config.keys.has_scope(&caller.actor, scope)).cloned();
    parts.extensions.insert(caller);
    let admitted = match lacks {
        Some(scope) => Err(Failure::Unmet(Unmet::Scope(scope))),
        None => prepare(&declaration, Request::from_parts(parts, body)).await,
    };
    let response = match admitted {
        Ok(request) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    let response = match receipts.take() {
        Some(receipt) => reply::with(response, FLEET_RECEIPT, &receipt_field(&receipt)),
        None => response,
    };
    in_words_of(key.as_ref(), response)
}

async fn prepare(declaration: &Declaration, request: Request) -> Result<Request, Failure> {
    let request = refuse_undeclared(declaration, request).await?;
    match declaration.takes_idempotency_key {
        true => idempotency::bind(request).await,
        false => Ok(request),
    }
}

/// Rejects parameters, a precondition and a body if the route takes none.
async fn refuse_undeclared(declaration: &Declaration, request: Request) -> Result<Request, Failure> {
    if !declaration.takes_precondition {
        precondition::none(request.headers())?;
    }
    if !declaration.takes_parameters {
        input::from_query::<Nothing>(request.uri().query().unwrap_or_default())?;
    }
    if !declaration.is_change || declaration.takes_body {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let _: Option<Json<Nothing>> = Json::read(Request::from_parts(parts.clone(), body)).await?;
    Ok(Request::from_parts(parts, Body::empty()))
}

/// Renders a rejection of a key as the authenticator does.
fn in_words_of(key: Option<&AuthenticatedKey>, response: Response) -> Response {
    let rejection = match (key, response.extensions().get()) {
        (Some(key), Some(Unmet::Scope(scope))) => Some(key.refuse_scopes(&Requirement::from(scope.clone()))),
        // The handle reports it by now.
        (Some(key), Some(Unmet::Live)) => key.require_live().err(),
        _ => None,
    };
    rejection.map_or(response, |rejection| Failure::Refused(rejection).into_response())
}

/// Returns the actor that the host has logged in. A session of the page becomes a key. A login or a session must be the
/// only credential, and changes must come from a page of the host.
async fn logged_in(config: &Config, parts: &mut Parts) -> Result<Option<Actor>, Failure> {
    let actor = ask_host(config, parts).await?;
    let session = match &config.sessions {
        None => Opened::None,
        Some(sessions) => sessions.open(&parts.headers, config.keys.now()),
    };
    let is_one = match (&actor, &session) {
        (None, Opened::None) => return Ok(None),
        (Some(_), Opened::None) | (None, Opened::Key(_)) => true,
        _ => false,
    };
    let authenticator = config.keys.authenticator();
    if !is_one || has_key(parts, &authenticator) {
        return Err(Failure::Refused(authenticator.refuse(RejectionKind::InvalidRequest)));
    }
    let is_write = !is_read(parts.method.as_str());
    // Sessions are only for the console's own page: requests from other pages can't even read.
    if is_write || (matches!(session, Opened::Key(_)) && says_foreign(&parts.headers)) {
        from_own_page(&parts.headers, &config.origins)?;
    }
    if let Opened::Key(key) = session {
        let authorization = HeaderValue::try_from(format!("Bearer {}", *key));
        let mut authorization = authorization.map_err(|error| Failure::internal(&error))?;
        authorization.set_sensitive(true);
        parts.headers.insert(AUTHORIZATION, authorization);
    }
    Ok(actor)
}

/// Rejects requests that don't come from a page of the service itself.
pub(crate) fn from_own_page(headers: &HeaderMap, origins: &[String]) -> Result<(), Failure> {
    match is_same_site(headers, origins) {
        true => Ok(()),
        false => {
            let detail = "Changes must come from a page of the service itself.";
            Err(Problem::new(StatusCode::FORBIDDEN, "cross_origin", detail).into())
        }
    }
}

/// Returns `true` if the browser says that a page of another origin sent the request.
fn says_foreign(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(&SEC_FETCH_SITE).iter();
    sites.any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

/// Returns `true` if the request carries a key.
fn has_key(parts: &Parts, authenticator: &Authenticator) -> bool {
    let view = View { headers: &parts.headers, extra_headers: authenticator.extra_headers() };
    parts.extensions.get::<AuthenticatedKey>().is_some()
        || authenticator.headers().any(|header| view.presents_key(header))
}

/// A request's headers, as the core sees them.
struct View<'a> {
    headers: &'a HeaderMap,
    extra_headers: &'a [Box<str>],
}

impl RequestView for View<'_> {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        let lines = match header {
            Header::Authorization => self.headers.get_all(AUTHORIZATION),
            Header::Extra(n) => self.headers.get_all(&*self.extra_headers[n]),
        };
        lines.iter().map(HeaderValue::as_bytes).collect()
    }
}

/// Returns `true` if the browser says that the request comes from a page of the host. Pages can't forge this.
fn is_same_site(headers: &HeaderMap, origins: &[String]) -> bool {
    let only = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    only(&SEC_FETCH_SITE) == Some("same-origin")
        || only(&ORIGIN).is_some_and(|origin| origins.iter().any(|own| own.eq_ignore_ascii_case(origin)))
}

/// Rejects a key that is not accepted. The answer doesn't give the reason.
pub(crate) async fn check(authenticator: &Authenticator, key: &str) -> Result<(), Failure> {
    let authorization = Zeroizing::new(format!("Bearer {key}"));
    let decision = match authenticator.authenticate(&OneKey(&authorization)) {
        Authentication::Done(decision) => decision,
        Authentication::Loading(loading) => loading.await,
    };
    decision.map(drop).map_err(Failure::Refused)
}

/// A request with one key.
struct OneKey<'a>(&'a str);

impl RequestView for OneKey<'_> {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => HeaderLines::One(self.0.as_bytes()),
            Header::Extra(_) => HeaderLines::Absent,
        }
    }
}
