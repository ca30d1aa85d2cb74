//! What the service answers, and which scope each answer needs. What files are, `files` knows.

use std::time::Duration;

use actix_apikey::{ApiKey, ApiKeyMiddleware, Claims, RequireScope, mount, scopes};
use actix_cors::Cors;
use actix_web::{
    HttpResponse,
    http::header::{
        AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
    },
    middleware::from_fn,
    web::{self, Data, Json, JsonConfig, Path, ServiceConfig},
};
use apikey_console::{Console, Page};
use apikey_sqlx::KeyManager;

use crate::{
    deadline::body_in_time,
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

/// The routes, for each worker's application.
pub(crate) fn configure(keys: KeyManager, client_timeout: Duration) -> impl Fn(&mut ServiceConfig) + Clone {
    let (files, authenticator) = (Data::new(Files::default()), keys.authenticator());
    let (console, keys) = (Console::new(&keys).public_path("/keys").page(Page::new().title("Files")), Data::new(keys));
    move |config| {
        let in_time = move |request, next| body_in_time(client_timeout, request, next);
        let with_key =
            |path| web::resource(path).wrap(from_fn(in_time)).wrap(ApiKeyMiddleware::new(authenticator.clone()));
        let json = JsonConfig::default().limit(MAX_BODY).error_handler(|error, _| Problem::from(error).into());
        config
            .app_data(files.clone())
            .app_data(keys.clone())
            .app_data(json)
            .service(with_key("/files").route(web::get().to(list)).route(web::post().to(upload)))
            .service(with_key("/admin/files/{name}").route(web::delete().to(remove)))
            .service(with_key("/whoami").route(web::get().to(whoami)))
            .service(with_key("/usage").route(web::get().to(usage)))
            .service(mount("/keys", console.clone()))
            .route("/healthz", web::get().to(async || "ok"))
            .default_service(web::to(unknown));
    }
}

/// Goes around everything: preflights have no key, and refusals need CORS headers to be read.
pub(crate) fn cors() -> Cors {
    // Any web page may call the service, if its user gives it a key: nothing is sent by the browser unasked.
    Cors::default()
        .allow_any_origin()
        .send_wildcard()
        .allowed_methods(["GET", "POST", "PATCH", "DELETE"])
        .allowed_headers([AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH])
        .expose_headers([ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE])
}

async fn whoami(key: ApiKey) -> Json<Claims> {
    Json(key.claims().clone())
}

async fn usage(key: ApiKey, keys: Data<KeyManager>) -> Result<Json<KeyUsage>, Problem> {
    match usage::of(&key, &keys).await {
        Ok(usage) => Ok(Json(usage)),
        Err(error) => Err(Problem::unavailable(error.as_ref())),
    }
}

async fn list(_: RequireScope<FilesRead>, files: Data<Files>) -> Json<Vec<FileInfo>> {
    Json(files.list())
}

/// The scope is checked before the body is read: the first argument that fails answers.
async fn upload(
    key: RequireScope<FilesWrite>,
    files: Data<Files>,
    Json(new): Json<NewFile>,
) -> Result<HttpResponse, Problem> {
    let file = files.add(new, key.name())?;
    Ok(HttpResponse::Created().json(file))
}

async fn remove(_: RequireScope<Admin>, files: Data<Files>, name: Path<String>) -> Result<HttpResponse, Problem> {
    match files.remove(&name) {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(Problem::not_found("There is no file of this name.")),
    }
}

async fn unknown() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("There is no such route."))
}
