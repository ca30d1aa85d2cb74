//! What the service answers, and which scope each answer needs.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State, WebSocketUpgrade},
    http::StatusCode,
    response::Response,
    routing::{any, delete, get},
};
use axum_apikey::{ApiKeyLayer, Authenticator, FinishLayer, KeyId, LingerLayer, Lingering, RequireScope, scopes};

use crate::{keys::Keys, socket};

scopes! {
    /// What a key may do.
    pub(crate) Scopes {
        /// Open the socket.
        Live = "live",
        /// Revoke keys.
        Admin = "admin",
    }
}

#[derive(Clone)]
struct Revoker {
    keys: Arc<Keys>,
    authenticator: Authenticator,
}

pub(crate) fn app(keys: Arc<Keys>, authenticator: Authenticator, client_timeout: Duration) -> Router {
    Router::new()
        .route("/live", any(live))
        // It is finished even if the key is the caller's own.
        .route("/keys/{id}", delete(revoke).layer(FinishLayer))
        // Routes above need a key, routes below don't.
        .route_layer(ApiKeyLayer::new(authenticator.clone()))
        .route("/healthz", get(async || "ok"))
        // Outermost: whoever is refused has the answer, though it still sends.
        .layer(LingerLayer::with(Lingering::new().max_time(client_timeout)))
        .with_state(Revoker { keys, authenticator })
}

/// The layer has let the request in; from here on the socket looks after its key by itself.
async fn live(key: RequireScope<Live>, upgrade: WebSocketUpgrade) -> Response {
    let key = key.into_key();
    upgrade.on_upgrade(|socket| socket::serve(socket, key))
}

/// Ends a key, and all that is under way with it. First where keys are looked up, then where they are remembered.
async fn revoke(_: RequireScope<Admin>, State(revoker): State<Revoker>, Path(id): Path<String>) -> StatusCode {
    // What is no id is nobody's: nothing is left to be done.
    if let Ok(id) = KeyId::new(id) {
        revoker.keys.revoke(id.clone());
        revoker.authenticator.revoke(&id);
    }
    StatusCode::NO_CONTENT
}
