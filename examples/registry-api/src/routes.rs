//! The routes. A key needs no scope: it reaches everything of its organization, and nothing of another's.

use std::{collections::btree_map::Entry, net::SocketAddr, sync::Arc, time::Duration};

use apikey_console::{Console, Page};
use apikey_manager::KeyManager;
use axum::extract::{
    ConnectInfo, DefaultBodyLimit, OriginalUri, Path, State,
    rejection::{BytesRejection, JsonRejection},
};
use axum::http::{Extensions, HeaderMap, StatusCode, header::*};
use axum::routing::get;
use axum::{Json, Router, body::Bytes, response::IntoResponse};
use axum_apikey::{
    ApiKey, ApiKeyLayer, KeyFormat, LingerLayer, OrganizationId, PlaintextKey, Problem, RequestDescription,
};
use semver::Version;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tower_http::timeout::TimeoutLayer;

use crate::store::{Configuration, Kept, Published, Publisher, Versions, latest};

/// The largest bundle in bytes. A product streams larger ones to a store of its own.
const LARGEST: usize = 4 << 20;

/// The most versions of an organization, since they are kept in memory.
const MOST: usize = 100;

/// The state that handlers share.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) keys: KeyManager,
    pub(crate) format: KeyFormat,
    pub(crate) kept: Arc<RwLock<Kept>>,
}

pub(crate) fn app(service: Service, public_path: String, client_timeout: Duration) -> Router {
    let console = Console::new(&service.keys).public_path(public_path).page(Page::new().title("Registry"));
    let console = console.describe_requests(describe);
    Router::new()
        .route("/v1/me", get(me))
        .route("/v1/bundles", get(bundles))
        .route("/v1/bundles/{bundle}", get(bundle))
        .route("/v1/bundles/{bundle}/versions/{version}", get(pull).put(publish).delete(delete))
        .route("/v1/publisher", get(publisher).put(put_publisher))
        .route("/v1/organization", get(configuration).put(put_configuration))
        .route_layer(DefaultBodyLimit::max(LARGEST))
        .route_layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, client_timeout))
        // Routes above require a key. Routes below don't, or check themselves.
        .route_layer(ApiKeyLayer::new(service.keys.authenticator()).describe_requests(describe))
        .nest_service("/keys", console)
        .route("/healthz", get(async || "ok"))
        .fallback(async || not_found("There is no such route."))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The path has no such method.")
        })
        // Outermost, so that clients that are still sending a body receive the response.
        .layer(LingerLayer::new())
        .with_state(service)
}

/// Describes a request for the record of what each key did. This API's paths name bundles and versions and hold no
/// secrets, so they are recorded instead of the routes' templates.
fn describe(_: &HeaderMap, extensions: &Extensions) -> RequestDescription {
    let mut description = RequestDescription::new();
    if let Some(OriginalUri(uri)) = extensions.get() {
        description = description.route(uri.path());
    }
    // Behind a proxy, this is the proxy's address, and a header that only the proxy can set has the client's.
    if let Some(ConnectInfo(client)) = extensions.get::<ConnectInfo<SocketAddr>>() {
        description = description.address(client.ip().to_string());
    }
    description
}

type Shared = State<Service>;
/// The path of a bundle and a version of it.
type Place = Path<(String, String)>;
type Answer<T> = Result<Json<T>, Problem>;

/// A version with its number.
#[derive(Serialize)]
struct Numbered<'v> {
    version: &'v Version,
    #[serde(flatten)]
    published: &'v Published,
}

/// Answers whose the key is. After a rotation, the hint tells whether the new one was sent.
async fn me(key: ApiKey, service: Shared, headers: HeaderMap) -> Json<Value> {
    let sent = headers.get(AUTHORIZATION).and_then(|line| line.to_str().ok()?.rsplit(' ').next()?.parse().ok());
    Json(json!({
        "organization": key.organization(),
        "key": {
            "id": key.key_id(),
            "name": key.name(),
            "hint": sent.map(|sent: PlaintextKey| service.format.hint(&sent, key.environment())),
        },
        "expires_at": key.claims().expires_at(),
    }))
}

async fn bundles(key: ApiKey, service: Shared) -> Answer<Vec<Value>> {
    let kept = service.kept.read().await;
    let bundles = kept.get(own(&key)?).into_iter().flat_map(|own| &own.bundles);
    Ok(Json(bundles.map(|(name, versions)| json!({"name": name, "latest": latest(versions)})).collect()))
}

async fn bundle(key: ApiKey, service: Shared, Path(name): Path<String>) -> Answer<Value> {
    let kept = service.kept.read().await;
    let versions = kept.get(own(&key)?).and_then(|own| own.bundles.get(&name)).ok_or_else(nothing)?;
    let all: Vec<_> = versions.iter().rev().map(|(version, published)| Numbered { version, published }).collect();
    Ok(Json(json!({"name": name, "latest": latest(versions), "versions": all})))
}

async fn pull(key: ApiKey, service: Shared, Path((name, version)): Place) -> Result<impl IntoResponse, Problem> {
    let version = numbered(&version)?;
    let kept = service.kept.read().await;
    let versions = kept.get(own(&key)?).and_then(|own| own.bundles.get(&name)).ok_or_else(nothing)?;
    let content = versions.get(&version).ok_or_else(nothing)?.content.clone();
    // The content must not be rendered as a page of this service.
    Ok(([(CONTENT_TYPE, "application/octet-stream"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], content))
}

/// Publishes a version. It stays as it is: to change it, publish the next one.
async fn publish(
    key: ApiKey,
    service: Shared,
    Path((name, version)): Place,
    content: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    let (name, version) = (named(name)?, numbered(&version)?);
    let content = content.map_err(|error| invalid(error.status(), error.body_text()))?;
    let published = Published {
        size: content.len(),
        published_by: key.name().to_owned(),
        published_at: service.keys.now(),
        content,
    };
    let mut kept = service.kept.write().await;
    let bundles = &mut kept.entry(own(&key)?.clone()).or_default().bundles;
    let is_there = bundles.get(&name).is_some_and(|versions| versions.contains_key(&version));
    if !is_there && bundles.values().map(Versions::len).sum::<usize>() >= MOST {
        return Err(conflict("too_many_versions", "The organization has 100 versions. Delete some first."));
    }
    match bundles.entry(name).or_default().entry(version.clone()) {
        Entry::Occupied(_) => Err(conflict("version_exists", "This version is published and can't be replaced.")),
        Entry::Vacant(place) => {
            let published = place.insert(published);
            Ok((StatusCode::CREATED, Json(Numbered { version: &version, published }).into_response()))
        }
    }
}

async fn delete(key: ApiKey, service: Shared, Path((name, version)): Place) -> Result<StatusCode, Problem> {
    let version = numbered(&version)?;
    let mut kept = service.kept.write().await;
    let own = kept.get_mut(own(&key)?).ok_or_else(nothing)?;
    let versions = own.bundles.get_mut(&name).ok_or_else(nothing)?;
    if !own.configuration.allow_deletion {
        return Err(conflict("deletion_not_allowed", "The organization doesn't allow that versions are deleted."));
    }
    versions.remove(&version).ok_or_else(nothing)?;
    if versions.is_empty() {
        own.bundles.remove(&name);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn publisher(key: ApiKey, service: Shared) -> Answer<Publisher> {
    let kept = service.kept.read().await;
    Ok(Json(kept.get(own(&key)?).map(|own| own.publisher.clone()).unwrap_or_default()))
}

async fn put_publisher(
    key: ApiKey,
    service: Shared,
    body: Result<Json<Publisher>, JsonRejection>,
) -> Answer<Publisher> {
    let Json(publisher) = body.map_err(|error| invalid(error.status(), error.body_text()))?;
    service.kept.write().await.entry(own(&key)?.clone()).or_default().publisher = publisher.clone();
    Ok(Json(publisher))
}

async fn configuration(key: ApiKey, service: Shared) -> Answer<Configuration> {
    let kept = service.kept.read().await;
    Ok(Json(kept.get(own(&key)?).map(|own| own.configuration.clone()).unwrap_or_default()))
}

async fn put_configuration(
    key: ApiKey,
    service: Shared,
    body: Result<Json<Configuration>, JsonRejection>,
) -> Answer<Configuration> {
    let Json(configuration) = body.map_err(|error| invalid(error.status(), error.body_text()))?;
    service.kept.write().await.entry(own(&key)?.clone()).or_default().configuration = configuration.clone();
    Ok(Json(configuration))
}

/// Returns the organization of the key. Everything is looked for in it alone.
fn own(key: &ApiKey) -> Result<&OrganizationId, Problem> {
    let none = || Problem::new(StatusCode::FORBIDDEN, "no_organization", "The key belongs to no organization.");
    key.organization().ok_or_else(none)
}

/// A name is one path segment, so that everything has a URL.
fn named(name: String) -> Result<String, Problem> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = (1..=100).contains(&name.len()) && name.chars().all(allowed);
    let detail = "A name is 1 to 100 lower-case letters, digits and hyphens.";
    is_name.then_some(name).ok_or(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", detail))
}

fn numbered(version: &str) -> Result<Version, Problem> {
    let detail = "A version is as in Semantic Versioning, such as 1.2.0.";
    version.parse().map_err(|_| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_version", detail))
}

fn invalid(status: StatusCode, detail: String) -> Problem {
    Problem::new(status, "invalid_body", detail)
}

fn conflict(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, detail)
}

fn nothing() -> Problem {
    not_found("The organization has nothing of this name.")
}

fn not_found(detail: &'static str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}
