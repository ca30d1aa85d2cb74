//! What the service answers, and which scope each answer needs. What files are, `files` knows.

use std::time::Duration;

use apikey_console::{Console, Page};
use apikey_sqlx::KeyManager;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State, rejection::JsonRejection},
    http::{
        Method, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    routing::{delete, get},
};
use axum_apikey::{ApiKey, ApiKeyLayer, Claims, LingerLayer, Lingering, RequireScope, scopes};
use tower_http::{
    cors::{Any, CorsLayer},
    timeout::RequestBodyDeadlineLayer,
};

use crate::{
    files::{FileInfo, Files, NewFile},
    problem::Problem,
    usage::{self, KeyUsage},
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

/// What handlers share.
#[derive(Clone)]
struct Service {
    files: Files,
    keys: KeyManager,
}

pub(crate) fn app(keys: KeyManager, client_timeout: Duration) -> Router {
    let lingering = Lingering::new().max_time(client_timeout);
    let console =
        Console::new(&keys).public_path("/keys").page(Page::new().title("Files")).lingering(lingering.clone());
    // Any web page may call the service, if its user gives it a key: nothing is sent by the browser unasked.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH])
        .expose_headers([ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE]);
    Router::new()
        .route("/files", get(list).post(upload))
        .route("/admin/files/{name}", delete(remove))
        .route("/whoami", get(whoami))
        .route("/usage", get(usage))
        // Routes above need a key; those below don't, or ask for one themselves.
        .route_layer(RequestBodyDeadlineLayer::new(client_timeout))
        .route_layer(ApiKeyLayer::new(keys.authenticator()))
        .nest_service("/keys", console)
        .route("/healthz", get(async || "ok"))
        .fallback(async || Problem::not_found("There is no such route."))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        // Outside the key layer: preflights have no key, and refusals need CORS headers to be read.
        .layer(cors)
        // Outermost: whoever is refused has the answer, though it still sends.
        .layer(LingerLayer::with(lingering))
        .with_state(Service { files: Files::default(), keys })
}

async fn whoami(key: ApiKey) -> Json<Claims> {
    Json(key.claims().clone())
}

async fn usage(key: ApiKey, State(service): State<Service>) -> Result<Json<KeyUsage>, Problem> {
    match usage::of(&key, &service.keys).await {
        Ok(usage) => Ok(Json(usage)),
        Err(error) => Err(Problem::unavailable(error.as_ref())),
    }
}

async fn list(_: RequireScope<FilesRead>, State(service): State<Service>) -> Json<Vec<FileInfo>> {
    Json(service.files.list())
}

/// The scope is checked before the body is read: arguments are extracted in order, and the body is last.
async fn upload(
    key: RequireScope<FilesWrite>,
    State(service): State<Service>,
    body: Result<Json<NewFile>, JsonRejection>,
) -> Result<(StatusCode, Json<FileInfo>), Problem> {
    let Json(new) = body?;
    let file = service.files.add(new, key.name())?;
    Ok((StatusCode::CREATED, Json(file)))
}

async fn remove(
    _: RequireScope<Admin>,
    State(service): State<Service>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    match service.files.remove(&name) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("There is no file of this name.")),
    }
}
