//! What the service answers, and which scope each answer needs. What files are, `files` knows.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State, rejection::JsonRejection},
    http::{
        Method, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    routing::{delete, get},
};
use axum_apikey::{ApiKey, ApiKeyLayer, Authenticator, Claims, LingerLayer, Lingering, RequireScope, scopes};
use tower_http::{
    cors::{Any, CorsLayer},
    timeout::RequestBodyDeadlineLayer,
};

use crate::{
    files::{FileInfo, Files, NewFile},
    problem::Problem,
};

scopes! {
    /// What a key may do.
    pub(crate) Scopes {
        /// List files.
        FilesRead = "files:read",
        /// Upload files.
        FilesWrite = "files:write",
        /// Delete anyone's files.
        Admin = "admin",
    }
}

/// Files are kept in memory, so they are small.
const MAX_BODY: usize = 64 * 1024;

pub(crate) fn app(authenticator: Authenticator, client_timeout: Duration) -> Router {
    // Any web page may call the service, if its user gives it a key: nothing is sent by the browser unasked.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([RETRY_AFTER, WWW_AUTHENTICATE]);
    Router::new()
        .route("/files", get(list).post(upload))
        .route("/admin/files/{name}", delete(remove))
        .route("/whoami", get(whoami))
        // Routes above need a key, routes below don't.
        .route_layer(RequestBodyDeadlineLayer::new(client_timeout))
        .route_layer(ApiKeyLayer::new(authenticator))
        .route("/healthz", get(async || "ok"))
        .fallback(async || Problem::not_found("There is no such route."))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        // Outside the key layer: preflights have no key, and refusals need CORS headers to be read.
        .layer(cors)
        // Outermost: whoever is refused has the answer, though it still sends.
        .layer(LingerLayer::with(Lingering::new().max_time(client_timeout)))
        .with_state(Files::default())
}

async fn whoami(key: ApiKey) -> Json<Claims> {
    Json(key.claims().clone())
}

async fn list(_: RequireScope<FilesRead>, State(files): State<Files>) -> Json<Vec<FileInfo>> {
    Json(files.list())
}

/// The scope is checked before the body is read: arguments are extracted in order, and the body is last.
async fn upload(
    key: RequireScope<FilesWrite>,
    State(files): State<Files>,
    body: Result<Json<NewFile>, JsonRejection>,
) -> Result<(StatusCode, Json<FileInfo>), Problem> {
    let Json(new) = body?;
    let file = files.add(new, key.name())?;
    Ok((StatusCode::CREATED, Json(file)))
}

async fn remove(
    _: RequireScope<Admin>,
    State(files): State<Files>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    match files.remove(&name) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("There is no file of this name.")),
    }
}
