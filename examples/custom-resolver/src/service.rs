//! The service: its routes, and how it is configured to ask the verifier.

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
    /// What a key may do here. The verifier keeps scopes as text, and need not know these.
    pub Scopes {
        /// Read reports.
        ReportsRead = "reports:read",
        /// Tell that a key has changed.
        HooksKeys = "hooks:keys",
    }
}

/// An authenticator that asks the verifier, and believes an answer for a minute: so long may a change go unnoticed that
/// nobody tells of, and so long are callers served while the verifier is down.
///
/// # Errors
///
/// Those of [`key_format`].
pub fn authenticator(keys: RemoteKeys) -> Result<AuthenticatorBuilder, KeyFormatError> {
    Ok(Authenticator::builder(keys).format(key_format()?).catalog(Scopes::catalog()).realm("reports"))
}

/// The routes, for callers whom `authenticator` lets in.
pub fn app(authenticator: Authenticator) -> Router {
    Router::new()
        .route("/reports", get(reports))
        .route("/whoami", get(whoami))
        .route("/hooks/keys/{id}", post(key_changed))
        // Routes above need a key, routes below don't.
        .route_layer(ApiKeyLayer::new(authenticator.clone()))
        .route("/healthz", get(async || "ok"))
        // Outermost: clients that still send their body get the answer all the same.
        .layer(LingerLayer::new())
        .with_state(authenticator)
}

async fn reports(_: RequireScope<ReportsRead>) -> Json<[&'static str; 2]> {
    Json(["first-quarter", "second-quarter"])
}

async fn whoami(key: ApiKey) -> Json<Claims> {
    Json(key.claims().clone())
}

/// The verifier, or whoever has changed a key there, says so. The key is looked up again before it is next let in.
///
/// `refresh`, not `revoke`: it is the verifier's answer that counts, and a caller who tells lies costs one look-up.
async fn key_changed(
    _: RequireScope<HooksKeys>,
    State(authenticator): State<Authenticator>,
    Path(id): Path<KeyId>,
) -> StatusCode {
    authenticator.refresh(&id);
    StatusCode::NO_CONTENT
}
