//! The product's API, for programs with a key: one key reaches all of it, for its own organization and environment.

use std::net::SocketAddr;

use apikey_manager::{Actor, KeyManager, ManageError};
use axum::extract::{ConnectInfo, MatchedPath, State, rejection::JsonRejection};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, http::Extensions, http::HeaderMap, http::StatusCode, routing::get, routing::post};
use axum_apikey::{ApiKey, ApiKeyLayer, Problem, RequestDescription};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::product::Product;

/// The state that handlers share.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) product: Product,
    pub(crate) keys: KeyManager,
}

pub(crate) fn routes(keys: &KeyManager) -> Router<Service> {
    Router::new()
        .route("/v1/projects", get(projects).post(add_project))
        .route("/v1/account", get(account))
        .route_layer(ApiKeyLayer::new(keys.authenticator()).describe_requests(describe))
        // Routes above require a key.
        .route("/report-leak", post(report_leak))
}

/// Describes a request as customers see it. Behind a proxy, take the address from the header that it sets.
pub(crate) fn describe(_: &HeaderMap, extensions: &Extensions) -> RequestDescription {
    let route = extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let from = extensions.get().map(|ConnectInfo(from): &ConnectInfo<SocketAddr>| from.ip().to_string());
    RequestDescription::new().route(route).address(from.unwrap_or_default())
}

pub(crate) type Shared = State<Service>;
/// A JSON body, or its error.
type Input<T> = Result<Json<T>, JsonRejection>;

/// Returns the organization and the environment of a key. Every key of the manager has both.
fn owner(key: &ApiKey) -> (&str, &str) {
    (key.organization().map_or("", |organization| organization.as_str()), key.environment().unwrap_or_default())
}

async fn projects(key: ApiKey, service: Shared) -> Result<Json<Vec<String>>, Failed> {
    Ok(Json(service.product.projects(owner(&key)).await?))
}

#[derive(Deserialize)]
struct NewProject {
    name: String,
}

async fn add_project(key: ApiKey, service: Shared, body: Input<NewProject>) -> Result<impl IntoResponse, Failed> {
    let NewProject { name } = read(body)?;
    service.product.add_project(owner(&key), &name).await?;
    Ok((StatusCode::CREATED, Json(json!({"name": name, "created_by": key.name()}))))
}

/// Tells whose key this is: the check after a rotation.
async fn account(key: ApiKey) -> Json<Value> {
    Json(json!({"organization": key.organization(), "environment": key.environment(), "key": key.name()}))
}

#[derive(Deserialize)]
struct Leak {
    key: String,
}

/// The number of reports that are looked up at once. Anyone can send them.
static REPORTS: Semaphore = Semaphore::const_new(16);

/// Ends a key that somebody found: it is revoked, or disabled until its organization has looked. The answer is the same for
/// every text, so it tells nothing about the key.
async fn report_leak(State(Service { product, keys }): Shared, body: Input<Leak>) -> Result<impl IntoResponse, Failed> {
    let leak = read(body)?;
    let _turn = REPORTS.acquire().await?;
    if let Some(found) = keys.identify(&leak.key).await? {
        let finder = Actor::host("leak-report", found.organization)?;
        let ended = match &*product.terms(finder.organization().as_str()).await?.1 {
            "quarantine" => keys.disable(&finder, &found.id).await,
            _ => keys.revoke(&finder, &found.id, "reported as leaked").await,
        };
        // Its organization may have been faster.
        if !matches!(ended, Err(ManageError::WrongState { .. } | ManageError::NotFound(_))) {
            ended?;
        }
    }
    Ok((StatusCode::ACCEPTED, Json(json!({"status": "received"}))))
}

fn read<T>(body: Input<T>) -> Result<T, Problem> {
    let invalid = |error: JsonRejection| Problem::new(error.status(), "invalid_body", error.body_text());
    body.map(|Json(value)| value).map_err(invalid)
}

pub(crate) fn invalid(detail: &'static str) -> Failed {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).into()
}

/// The answer of a handler that can't go on: a [`Problem`], or 503 for a failure of the service, which is logged.
pub(crate) struct Failed(pub(crate) Box<Response>);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        let problem = error.into().downcast::<Problem>().unwrap_or_else(|error| {
            tracing::error!("{error:#}");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later.")
        });
        Failed(Box::new(problem.into_response()))
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        *self.0
    }
}
