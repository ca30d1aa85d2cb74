//! The product's pages, for people who sign in, and the console inside one of them.

use std::time::Duration;

use apikey_console::{Console, Page};
use apikey_manager::{Actor, ActorId, AuditFilter, Bucket, KeyRecord, OrganizationId, PageRequest, Rights, UsageOf};
use apikey_manager::{BulkRevocation, BulkRevoked, ManageError, Selection, Webhook};
use askama::Template;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::{Extensions, HeaderValue, StatusCode, header::*, request::Parts};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Form, Router, routing::get, routing::post};
use axum_apikey::ScopeSet;
use serde::Deserialize;
use tower_http::{csrf::CsrfLayer, set_header::SetResponseHeaderLayer};
use tower_sessions::{Expiry, Session, SessionManagerLayer, cookie::time};

use crate::api::{Failed, Service, Shared, describe, invalid};
use crate::product::{Member, PLANS, Product};

/// Everything comes from the product itself, and nothing is inline.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

pub(crate) fn routes() -> Router<Service> {
    Router::new()
        .route("/", get(home).post(settings))
        .route("/sign-in", get(async || page(&Shown::default())).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/members/{email}", get(leaving).post(leave))
        .layer(SetResponseHeaderLayer::overriding(CONTENT_SECURITY_POLICY, POLICY))
        .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(CsrfLayer::new())
        .route("/page.css", get(async || ([(CONTENT_TYPE, "text/css")], include_str!("../templates/page.css"))))
}

/// The console, for keys and for members, who see the keys of their own organization alone.
pub(crate) fn console(service: &Service) -> Console {
    let product = service.product.clone();
    let page = Page::new().title("Platform").sign_in("/sign-in");
    let console = Console::new(&service.keys).public_path("/keys").page(page).describe_requests(describe);
    console.login_async(move |request| {
        let (extensions, product) = (request.extensions.clone(), product.clone());
        async move { Ok(signed_in(&extensions, &product).await?.map(|member| member.actor()).transpose()?) }
    })
}

/// Sessions of eight hours. Browsers send their cookie over TLS alone, or to localhost.
pub(crate) fn sessions(product: Product) -> SessionManagerLayer<Product> {
    SessionManagerLayer::new(product).with_name("session").with_expiry(Expiry::OnInactivity(time::Duration::hours(8)))
}

/// Returns the member who is signed in. They are looked up for each request, so that whoever is removed is signed out.
async fn signed_in(extensions: &Extensions, product: &Product) -> anyhow::Result<Option<Member>> {
    let Some(session) = extensions.get::<Session>() else { return Ok(None) };
    let Some(login) = session.get("login").await? else { return Ok(None) };
    Ok(product.member(&login).await?)
}

impl Member {
    /// Members may do everything with their organization's keys. A product with roles grants less to some.
    fn actor(&self) -> anyhow::Result<Actor> {
        let rights = Rights::scopes(ScopeSet::parse("keys:admin")?);
        Ok(Actor::user(&self.email, OrganizationId::new(&self.organization)?, rights)?)
    }
}

impl FromRequestParts<Service> for Member {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Failed> {
        let member = signed_in(&parts.extensions, &service.product).await?;
        member.ok_or_else(|| Failed(Box::new(Redirect::to("/sign-in").into_response())))
    }
}

/// What the page shows: a sign-in, unless there is a member.
#[derive(Default, Template)]
#[template(path = "page.html")]
struct Shown {
    is_wrong: bool,
    member: Option<Member>,
    members: Vec<String>,
    leaked: usize,
    leaving: Option<Leaving>,
}

/// Somebody who leaves, and their keys, with the keys' requests of seven days.
#[derive(Default)]
struct Leaving {
    email: String,
    keys: Vec<(KeyRecord, u64)>,
    webhooks: Vec<Webhook>,
    ends: BulkRevoked,
    is_over: bool,
}

type Answer = Result<Html<String>, Failed>;

fn page(shown: &Shown) -> Answer {
    Ok(Html(shown.render()?))
}

async fn home(member: Member, State(service): Shared) -> Answer {
    let members = service.product.members(&member.organization).await?;
    let mut reports = AuditFilter::default();
    reports.actor = Some(ActorId::new("host:leak-report")?);
    reports.from = Some(service.keys.now().saturating_sub(Duration::from_secs(30 * 86_400)));
    let leaked = service.keys.audit(&member.actor()?, reports, PageRequest::first()).await?.items.len();
    page(&Shown { member: Some(member), members, leaked, ..Shown::default() })
}

#[derive(Deserialize)]
struct SignIn {
    email: String,
    password: String,
}

async fn sign_in(session: Session, service: Shared, Form(sent): Form<SignIn>) -> Result<Response, Failed> {
    let Some(login) = service.product.sign_in(&sent.email, sent.password).await? else {
        return Ok((StatusCode::UNAUTHORIZED, page(&Shown { is_wrong: true, ..Shown::default() })?).into_response());
    };
    // Under another id, so that nobody can have planted this session.
    session.cycle_id().await?;
    session.insert("login", login).await?;
    Ok(Redirect::to("/").into_response())
}

async fn sign_out(session: Session) -> Result<Redirect, Failed> {
    session.flush().await?;
    Ok(Redirect::to("/sign-in"))
}

#[derive(Deserialize)]
struct Settings {
    plan: String,
    on_leak: String,
}

/// Changes the plan, where a product asks for money, and what becomes of leaked keys. The operator gives enterprise.
async fn settings(member: Member, service: Shared, Form(sent): Form<Settings>) -> Result<Redirect, Failed> {
    let may_have = ["free", "team", &member.plan].contains(&&*sent.plan);
    if !may_have || !["revoke", "quarantine"].contains(&&*sent.on_leak) {
        return Err(invalid("There is no such choice."));
    }
    service.product.set(&member.organization, &sent.plan, Some(&sent.on_leak)).await?;
    Ok(Redirect::to("/"))
}

/// Shows what somebody created, and what becomes of it.
async fn leaving(member: Member, State(Service { keys, .. }): Shared, Path(email): Path<String>) -> Answer {
    let (actor, all, mut listed) = (member.actor()?, everything_of(&email)?, Vec::new());
    let ends = if_any(keys.preview_revocation(&actor, all.clone()).await)?.unwrap_or_default();
    let made = if_any(keys.preview_revocation(&actor, all.descendants(false).keep_accounts(false)).await)?;
    let stay = made.iter().flat_map(|made| &made.keys).filter(|id| !ends.keys.contains(id));
    let (to, week) = (Bucket::Hour.end(keys.now()), 7 * Bucket::Day.length());
    for id in ends.keys.iter().chain(stay) {
        let usage = keys.usage(&actor, UsageOf::Key(id.clone()), to - week, to, Bucket::Day).await?;
        listed.push((keys.get(&actor, id).await?, usage.ok));
    }
    let leaving = Leaving { email, keys: listed, webhooks: keys.list_webhooks(&actor).await?, ends, is_over: false };
    page(&Shown { member: Some(member), leaving: Some(leaving), ..Shown::default() })
}

/// Removes somebody, and ends what they created. It can be repeated if it fails midway.
async fn leave(member: Member, State(service): Shared, Path(email): Path<String>) -> Answer {
    if email == member.email {
        return Err(invalid("Another member can remove you."));
    }
    let (made, was_here) = (everything_of(&email)?, service.product.remove_member(&member.organization, &email).await?);
    let (actor, mut ends, mut step) = (member.actor()?, BulkRevoked::default(), Some(made.clone()));
    while let Some(next) = step {
        let done = if_any(service.keys.revoke_selected(&actor, next).await)?;
        let done = done.or(was_here.then(BulkRevoked::default)).ok_or_else(|| invalid("There is no such member."))?;
        ends.keys.extend(done.keys);
        ends.secrets.extend(done.secrets);
        ends.widened = done.widened;
        step = done.next.map(|next| made.clone().after(next));
    }
    let leaving = Some(Leaving { email, ends, is_over: true, ..Leaving::default() });
    page(&Shown { member: Some(member), leaving, ..Shown::default() })
}

/// Everything that somebody created, and what came of it.
fn everything_of(email: &str) -> Result<BulkRevocation, Failed> {
    let who = ActorId::new(email).map_err(|_| invalid("There is no such member."))?;
    let made = BulkRevocation::new(Selection::CreatedBy(who)).descendants(true).keep_accounts(true);
    Ok(made.reason(format!("{email} left")))
}

/// Returns `None` if they created nothing, which makes the selection invalid.
fn if_any(done: Result<BulkRevoked, ManageError>) -> Result<Option<BulkRevoked>, ManageError> {
    if done.as_ref().is_err_and(|error| error.code() == "invalid") { Ok(None) } else { done.map(Some) }
}
