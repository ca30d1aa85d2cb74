//! The verifier's routes. Its callers, operators and services, have keys, too.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use axum_apikey::{ApiKeyLayer, Authenticator, KeyId, LingerLayer, Problem, RequireScope, ScopeSet, Timestamp, scopes};
use serde::Deserialize;
use serde_json::json;
use tower_http::timeout::TimeoutLayer;

use super::store::{KeyStore, StoreError};
use crate::{
    key_format,
    record::{Question, Record, UNKNOWN_KEY},
};

scopes! {
    /// The scopes.
    pub(crate) VerifierScopes {
        /// Ask for the records of keys.
        KeysResolve = "keys:resolve",
        /// Make keys and end them.
        KeysManage = "keys:manage",
    }
}

#[derive(Clone)]
struct Verifier {
    store: KeyStore,
    authenticator: Authenticator,
}

/// The verifier's routes.
///
/// # Errors
///
/// Returns an error if its own authenticator can't be built.
pub fn app(store: KeyStore, client_timeout: Duration) -> anyhow::Result<Router> {
    let authenticator = Authenticator::builder(store.clone())
        .format(key_format()?)
        .catalog(VerifierScopes::catalog())
        .realm("verifier")
        .build()?;
    Ok(Router::new()
        .route("/resolve", post(resolve))
        .route("/keys", post(issue))
        .route("/keys/{id}", delete(revoke))
        .route_layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, client_timeout))
        .route_layer(ApiKeyLayer::new(authenticator.clone()))
        .route("/healthz", get(async || "ok"))
        // Outermost, so that refused clients that are still sending receive the response.
        .layer(LingerLayer::new())
        .with_state(Verifier { store, authenticator }))
}

/// The caller must already know the digest, which can't be guessed and doesn't reveal the key.
async fn resolve(
    _: RequireScope<KeysResolve>,
    State(Verifier { store, .. }): State<Verifier>,
    Json(question): Json<Question>,
) -> Result<Json<Record>, Problem> {
    let unknown = Problem::new(StatusCode::NOT_FOUND, UNKNOWN_KEY, "There is no such key.");
    store.find(&question.digests).map(Json).ok_or(unknown)
}

#[derive(Deserialize)]
struct NewKey {
    id: KeyId,
    #[serde(default)]
    name: String,
    scopes: ScopeSet,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

async fn issue(
    operator: RequireScope<KeysManage>,
    State(Verifier { store, .. }): State<Verifier>,
    Json(new): Json<NewKey>,
) -> Result<Response, Problem> {
    if !operator.scopes().covers_grants(&new.scopes) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "exceeds_own", "Nobody grants what they don't have."));
    }
    let key = store.issue(new.id.clone(), new.name, new.scopes, new.expires_at)?;
    // Only this response contains the secret.
    let answer = Json(json!({ "id": new.id, "key": key.expose_secret() }));
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, HeaderValue::from_static("no-store"))], answer).into_response())
}

async fn revoke(
    _: RequireScope<KeysManage>,
    State(Verifier { store, authenticator }): State<Verifier>,
    Path(id): Path<KeyId>,
) -> Result<StatusCode, Problem> {
    store.revoke(&id)?;
    // First the store, then this process's own cache. Other services learn of it by their hook or after their cache
    // TTL.
    authenticator.revoke(&id);
    Ok(StatusCode::NO_CONTENT)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists => Problem::new(StatusCode::CONFLICT, "key_exists", "There is a key of this id."),
            StoreError::Unknown => Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no key of this id."),
            StoreError::Failed(error) => {
                tracing::error!(error, "keys can't be changed");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The change could not be made.")
            }
        }
    }
}
