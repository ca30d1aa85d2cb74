//! The routes and their scopes.

use std::{collections::BTreeMap, convert::Infallible, error::Error, iter, net::SocketAddr, sync::Arc, time::Duration};

use apikey_console::{Console, Page};
use apikey_manager::{Actor, Bucket, KeyManager, UsageOf};
use axum::extract::{ConnectInfo, MatchedPath, Path, Request, State, rejection::JsonRejection};
use axum::http::{Extensions, HeaderMap, StatusCode, header::*};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::{get, put};
use axum::{Json, Router, body::Body, handler::Handler, response::IntoResponse, response::Response};
use axum_apikey::{ApiKey, ApiKeyLayer, LingerLayer, Problem, RequestDescription, RequireScope, scopes};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutError, TimeoutLayer};

use crate::store::{About, Aggregator, Environment, File, Kept, Member, ROOM};

scopes! {
    /// The scopes.
    pub(crate) Scopes {
        /// List environments and read their data.
        EnvironmentsRead = "environments:read",
        /// Create, change and delete environments.
        EnvironmentsWrite = "environments:write",
        /// List and download files.
        FilesRead = "files:read",
        /// Upload and delete files.
        FilesWrite = "files:write",
        /// List the members of environments.
        MembersRead = "members:read",
        /// Add, change and remove members.
        MembersWrite = "members:write",
        /// Read the account, its usage and its balance.
        AccountRead = "account:read",
        /// Read how aggregators are configured.
        AggregatorsRead = "aggregators:read",
        /// Change aggregators and their custom domains.
        AggregatorsWrite = "aggregators:write",
    }
}

/// The state that handlers share.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) environment: &'static str,
    pub(crate) keys: KeyManager,
    pub(crate) host: Actor,
    pub(crate) kept: Arc<RwLock<Kept>>,
}

pub(crate) fn app(service: Service, client_timeout: Duration) -> Router {
    let upload = upload.layer(RequestBodyTimeoutLayer::new(client_timeout));
    let console = Console::new(&service.keys).public_path("/keys").page(Page::new().title("Storage"));
    Router::new()
        .route("/v1/environments", get(environments))
        .route("/v1/environments/{name}", get(environment).put(put_environment).delete(delete_environment))
        .route("/v1/environments/{environment}/files", get(files))
        .route("/v1/environments/{environment}/files/{name}", get(file).delete(delete_file))
        .route("/v1/environments/{environment}/members", get(members))
        .route("/v1/environments/{environment}/members/{name}", put(put_member).delete(delete_member))
        .route("/v1/account", get(account))
        .route("/v1/aggregators", get(aggregators))
        .route("/v1/aggregators/{name}", put(put_aggregator))
        .route_layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, client_timeout))
        // A file may take longer, as long as it makes progress.
        .route("/v1/environments/{environment}/files/{name}/content", get(download).put(upload))
        .route_layer(from_fn_with_state(service.clone(), own))
        // Routes above require a key. Routes below don't, or check themselves.
        .route_layer(ApiKeyLayer::new(service.keys.authenticator()).describe_requests(describe))
        .nest_service("/keys", console.describe_requests(describe))
        .route("/healthz", get(async || "ok"))
        .fallback(async || not_found("There is no such route."))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The path has no such method.")
        })
        // Outermost, so that clients that are still sending a body receive the response.
        .layer(LingerLayer::new())
        .with_state(service)
}

/// Refuses keys of other organizations, because everything here is one organization's. In a service with customers, look for
/// everything in the organization of the key instead.
async fn own(service: Shared, key: ApiKey, request: Request, next: Next) -> Result<Response, Problem> {
    match key.organization() == Some(service.host.organization()) {
        true => Ok(next.run(request).await),
        false => Err(Problem::new(StatusCode::FORBIDDEN, "wrong_organization", "The key is another organization's.")),
    }
}

/// Describes a request for the record of what each key did.
fn describe(_: &HeaderMap, extensions: &Extensions) -> RequestDescription {
    let mut description = RequestDescription::new();
    if let Some(route) = extensions.get::<MatchedPath>() {
        description = description.route(route.as_str());
    }
    // Behind a proxy, this is the proxy's address, and a header that only the proxy can set has the client's.
    if let Some(ConnectInfo(client)) = extensions.get::<ConnectInfo<SocketAddr>>() {
        description = description.address(client.ip().to_string());
    }
    description
}

type Shared = State<Service>;
type Name = Path<String>;
/// The path of an environment and something in it.
type Place = Path<(String, String)>;
/// A JSON body, or its error.
type Input<T> = Result<Json<T>, JsonRejection>;
type Answer<T> = Result<Json<T>, Problem>;
/// A resource that was written, and whether it is new.
type Put<T> = Result<(StatusCode, Json<Named<T>>), Problem>;
type Deleted = Result<StatusCode, Problem>;

/// A resource with its name.
#[derive(Serialize)]
struct Named<T> {
    name: String,
    #[serde(flatten)]
    value: T,
}

async fn environments(_: RequireScope<EnvironmentsRead>, service: Shared) -> Json<Vec<Named<About>>> {
    let kept = service.kept.read().await;
    Json(kept.environments.iter().map(|(name, environment)| named(name, &environment.about)).collect())
}

async fn environment(_: RequireScope<EnvironmentsRead>, service: Shared, Path(name): Name) -> Answer<Named<About>> {
    let kept = service.kept.read().await;
    Ok(Json(named(&name, &of(&kept, &name)?.about)))
}

async fn put_environment(
    _: RequireScope<EnvironmentsWrite>,
    service: Shared,
    Path(name): Name,
    body: Input<About>,
) -> Put<About> {
    let (name, about) = (checked(name)?, read(body)?);
    let mut kept = service.kept.write().await;
    let is_new = !kept.environments.contains_key(&name);
    kept.environments.entry(name.clone()).or_default().about = about.clone();
    Ok(done(is_new, name, about))
}

/// Deletes an environment with its files and members.
async fn delete_environment(_: RequireScope<EnvironmentsWrite>, service: Shared, Path(name): Name) -> Deleted {
    gone(service.kept.write().await.environments.remove(&name))
}

async fn files(_: RequireScope<FilesRead>, service: Shared, Path(environment): Name) -> Answer<Vec<Named<File>>> {
    Ok(Json(list(&of(&*service.kept.read().await, &environment)?.files)))
}

async fn file(_: RequireScope<FilesRead>, service: Shared, Path((environment, name)): Place) -> Answer<Named<File>> {
    let kept = service.kept.read().await;
    Ok(Json(named(&name, of(&kept, &environment)?.files.get(&name).ok_or_else(|| not_found(NOTHING))?)))
}

/// Streams a file. If the key is revoked meanwhile, the download is cut off, which its length reveals.
async fn download(_: RequireScope<FilesRead>, service: Shared, place: Place) -> Result<impl IntoResponse, Problem> {
    let Path((environment, name)) = place;
    let file =
        of(&*service.kept.read().await, &environment)?.files.get(&name).cloned().ok_or_else(|| not_found(NOTHING))?;
    let headers = [
        (CONTENT_LENGTH, file.size.to_string()),
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        // The content must not be rendered as a page of this service.
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Body::from_stream(stream::iter(file.chunks.into_iter().map(Ok::<_, Infallible>)))))
}

/// Receives a file as a stream. If the key is revoked meanwhile, this future is dropped, and no file is stored.
async fn upload(key: RequireScope<FilesWrite>, service: Shared, place: Place, body: Body) -> Put<File> {
    let Path((environment, name)) = place;
    let name = checked(name)?;
    of(&*service.kept.read().await, &environment)?;
    let mut file = File { uploaded_by: key.name().to_owned(), ..File::default() };
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| incomplete(&error))?;
        file.size += piece.len();
        if file.size > ROOM {
            return Err(no_room());
        }
        file.chunks.push(piece);
    }
    let mut kept = service.kept.write().await;
    let stored = kept.stored();
    let files = &mut of_mut(&mut kept, &environment)?.files;
    let replaced = files.get(&name).map_or(0, |old| old.size);
    if stored - replaced + file.size > ROOM {
        return Err(no_room());
    }
    let is_new = files.insert(name.clone(), file.clone()).is_none();
    Ok(done(is_new, name, file))
}

async fn delete_file(_: RequireScope<FilesWrite>, service: Shared, Path((environment, name)): Place) -> Deleted {
    gone(of_mut(&mut *service.kept.write().await, &environment)?.files.remove(&name))
}

async fn members(_: RequireScope<MembersRead>, service: Shared, Path(environment): Name) -> Answer<Vec<Named<Member>>> {
    Ok(Json(list(&of(&*service.kept.read().await, &environment)?.members)))
}

async fn put_member(_: RequireScope<MembersWrite>, service: Shared, place: Place, body: Input<Member>) -> Put<Member> {
    let Path((environment, name)) = place;
    let (name, member) = (checked(name)?, read(body)?);
    let mut kept = service.kept.write().await;
    let before = of_mut(&mut kept, &environment)?.members.insert(name.clone(), member.clone());
    Ok(done(before.is_none(), name, member))
}

async fn delete_member(_: RequireScope<MembersWrite>, service: Shared, Path((environment, name)): Place) -> Deleted {
    gone(of_mut(&mut *service.kept.write().await, &environment)?.members.remove(&name))
}

/// Returns the usage of all keys of the account in the last 30 days, and the remaining space.
async fn account(_: RequireScope<AccountRead>, State(service): Shared) -> Answer<Value> {
    let to = Bucket::Hour.end(service.keys.now());
    let from = to - Duration::from_secs(30 * 24 * 60 * 60);
    let usage = service.keys.usage(&service.host, UsageOf::Organization, from, to, Bucket::Day).await;
    let usage = usage.map_err(|error| {
        tracing::error!(%error, "usage can't be read");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later.")
    })?;
    let stored = service.kept.read().await.stored();
    Ok(Json(json!({
        "environment": service.environment,
        "usage": {"ok": usage.ok, "refused": usage.refused},
        "balance": {"stored_bytes": stored, "remaining_bytes": ROOM.saturating_sub(stored)},
    })))
}

async fn aggregators(_: RequireScope<AggregatorsRead>, service: Shared) -> Json<Vec<Named<Aggregator>>> {
    Json(list(&service.kept.read().await.aggregators))
}

async fn put_aggregator(
    _: RequireScope<AggregatorsWrite>,
    service: Shared,
    Path(name): Name,
    body: Input<Aggregator>,
) -> Put<Aggregator> {
    let (name, aggregator) = (checked(name)?, read(body)?);
    let before = service.kept.write().await.aggregators.insert(name.clone(), aggregator.clone());
    Ok(done(before.is_none(), name, aggregator))
}

const NOTHING: &str = "There is nothing of this name.";

fn of<'k>(kept: &'k Kept, environment: &str) -> Result<&'k Environment, Problem> {
    kept.environments.get(environment).ok_or_else(|| not_found("There is no such environment."))
}

fn of_mut<'k>(kept: &'k mut Kept, environment: &str) -> Result<&'k mut Environment, Problem> {
    kept.environments.get_mut(environment).ok_or_else(|| not_found("There is no such environment."))
}

fn not_found(detail: &'static str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

fn no_room() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "content_too_large", "The account has no room for this.")
}

/// The error of a streamed body. Its causes include the layer's error if the body was too slow.
fn incomplete(error: &(dyn Error + 'static)) -> Problem {
    match iter::successors(Some(error), |&error| error.source()).any(|error| error.is::<TimeoutError>()) {
        true => Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body did not come in time."),
        false => Problem::new(StatusCode::BAD_REQUEST, "incomplete_body", "The body ended early."),
    }
}

fn read<T>(body: Input<T>) -> Result<T, Problem> {
    let invalid = |error: JsonRejection| Problem::new(error.status(), "invalid_body", error.body_text());
    body.map(|Json(value)| value).map_err(invalid)
}

/// A name is one path segment, so that everything has a URL.
fn checked(name: String) -> Result<String, Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_name = (1..=100).contains(&name.len()) && name.chars().all(allowed) && !matches!(&*name, "." | "..");
    let detail = "A name is 1 to 100 letters, digits, dots, underscores and hyphens.";
    is_name.then_some(name).ok_or(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", detail))
}

fn done<T>(is_new: bool, name: String, value: T) -> (StatusCode, Json<Named<T>>) {
    (if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(Named { name, value }))
}

fn gone<T>(removed: Option<T>) -> Deleted {
    removed.map(|_| StatusCode::NO_CONTENT).ok_or_else(|| not_found(NOTHING))
}

fn list<T: Clone>(all: &BTreeMap<String, T>) -> Vec<Named<T>> {
    all.iter().map(|(name, value)| named(name, value)).collect()
}

fn named<T: Clone>(name: &str, value: &T) -> Named<T> {
    Named { name: name.to_owned(), value: value.clone() }
}
