//! The service: its routes, and its authenticator.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use axum_apikey::{
    ApiKey, ApiKeyLayer, Authenticator, AuthenticatorBuilder, Claims, KeyFormatError, KeyId, LingerLayer, RequireScope,
    scopes,
};

use crate::{key_format, remote_keys::RemoteKeys};

scopes! {
    /// The scopes. The verifier stores them as text and needn't know them.
    pub Scopes {
        /// Read reports.
        ReportsRead = "reports:read",
        /// Report that a key has changed.
        HooksKeys = "hooks:keys",
    }
}

/// Creates an authenticator that asks the verifier, and caches an answer for a minute. That is how long a change
/// without notification goes unnoticed, and how long callers are served while the verifier is down.
///
/// # Errors
///
/// Those of [`key_format`].
pub fn authenticator(keys: RemoteKeys) -> Result<AuthenticatorBuilder, KeyFormatError> {
    Ok(Authenticator::builder(keys).format(key_format()?).catalog(Scopes::catalog()).realm("reports"))
}

/// Creates the routes, for callers that `authenticator` accepts.
pub fn app(authenticator: Authenticator) -> Router {
    Router::new()
        .route("/reports", get(reports))
        .route("/whoami", get(whoami))
        .route("/hooks/keys/{id}", post(key_changed))
        // Routes above require a key, and routes below don't.
        .route_layer(ApiKeyLayer::new(authenticator.clone()))
        .route("/healthz", get(async || "ok"))
        // Outermost, so that clients that are still sending a body receive the response.
        .layer(LingerLayer::new())
        .with_state(authenticator)
}

async fn reports(_: RequireScope<ReportsRead>) -> Json<[&'static str; 2]> {
    Json(["first-quarter", "second-quarter"])
}

async fn whoami(key: ApiKey) -> Json<Claims> {
    Json(key.claims().clone())
}

/// Called when a key has changed at the verifier. The key is looked up again before it is next accepted.
///
/// It calls `refresh` rather than `revoke`, because the verifier's answer decides, and a false report costs one lookup.
async fn key_changed(
    _: RequireScope<HooksKeys>,
    State(authenticator): State<Authenticator>,
    Path(id): Path<KeyId>,
) -> StatusCode {
    authenticator.refresh(&id);
    StatusCode::NO_CONTENT
}
