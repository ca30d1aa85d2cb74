//! A file service with API keys from a file, with axum and without a database.
//!
//! ```console
//! $ cargo run -p static-keys
//! ```
//!
//! The first start creates `api-keys.toml` and shows a key on the terminal, once. Then:
//!
//! ```console
//! $ curl http://127.0.0.1:3000/healthz
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/whoami
//! $ curl -i -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"name":"hello.txt","content":"hello, world"}' http://127.0.0.1:3000/files
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/files
//! $ curl -i -X DELETE -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/admin/files/hello.txt
//! ```

use std::time::Duration;
use std::{
    collections::BTreeMap, collections::btree_map::Entry, env, io, net::TcpListener, num::NonZeroU32, sync::Arc,
};

use anyhow::Context;
use axum::extract::{Path, State, rejection::JsonRejection};
use axum::http::{StatusCode, header::*};
use axum::routing::{delete, get};
use axum::{Json, Router};
use axum_apikey::{ApiKey, ApiKeyLayer, Authenticator, Checksum, KeyFormat, KeyOutput, LingerLayer, Problem};
use axum_apikey::{RequireScope, StaticKeys, scopes};
use serde::{Deserialize, Serialize};
use tokio::{select, signal, sync::Mutex};
use tower_http::{cors::CorsLayer, timeout::TimeoutLayer};
use tracing_subscriber::filter::LevelFilter;

scopes! {
    /// The scopes.
    Scopes {
        /// List files.
        FilesRead = "files:read",
        /// Upload files.
        FilesWrite = "files:write",
        /// Delete anyone's files.
        Admin = "admin",
    }
}

/// The keys: their file, format and scopes. The first start creates a key with all scopes.
fn open_keys() -> anyhow::Result<Authenticator> {
    let output: KeyOutput = setting("KEY_OUTPUT", "terminal").parse().context("KEY_OUTPUT")?;
    let format = KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()?;
    let keys = StaticKeys::open_or_create(setting("API_KEYS_FILE", "api-keys.toml"), &format, &output)?;
    Ok(Authenticator::builder(keys).format(format).catalog(Scopes::catalog()).realm("files").build()?)
}

fn app(authenticator: Authenticator, client_timeout: Duration) -> Router {
    Router::new()
        .route("/files", get(list).post(upload))
        .route("/admin/files/{name}", delete(remove))
        .with_state(Files::default())
        .route("/whoami", get(async |key: ApiKey| Json(key.claims().clone())))
        .route_layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, client_timeout))
        // Routes above require a key, and routes below don't.
        .route_layer(ApiKeyLayer::new(authenticator))
        .route("/healthz", get(async || "ok"))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such route."))
        // Any web page may call the service if its user provides a key, because browsers send none by themselves. CORS
        // is outside the key layer: preflights have no key, and pages can read refusals only with CORS headers.
        .layer(CorsLayer::permissive().allow_headers([AUTHORIZATION, CONTENT_TYPE]))
        // Outermost, so that clients that are still sending a body receive the response.
        .layer(LingerLayer::new())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is reserved for the address and, on request, for a key.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    let client_timeout = Duration::from_secs(seconds.get().into());
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    Ok(serve(listener, app(open_keys()?, client_timeout), client_timeout).await?)
}

/// Serves until shutdown. `axum::serve` would wait for slow clients without a limit.
async fn serve(listener: TcpListener, app: Router, client_timeout: Duration) -> io::Result<()> {
    let (stop, handle) = (stop_signal()?, axum_server::Handle::new());
    println!("listening on http://{}", listener.local_addr()?);
    let mut server = axum_server::from_tcp(listener)?.handle(handle.clone()).first_request_timeout(client_timeout);
    server.http_builder().http1().header_read_timeout(client_timeout);
    server.http_builder().http2().keep_alive_interval(client_timeout).keep_alive_timeout(client_timeout);
    tokio::spawn(async move {
        stop.await;
        tracing::info!("stopping; requests in progress finish");
        // A client that never finishes must not delay the shutdown.
        handle.graceful_shutdown(Some(Duration::from_secs(10)));
    });
    server.serve(app.into_make_service()).await
}

/// Completes on Ctrl-C or SIGTERM.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        select! { _ = signal::ctrl_c() => {}, _ = terminate.recv() => {} }
        #[cfg(not(unix))]
        let _ = signal::ctrl_c().await;
    })
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// A file's metadata. A product stores its content, too.
#[derive(Clone, Serialize)]
struct File {
    name: String,
    size: usize,
    uploaded_by: String,
}

#[derive(Deserialize)]
struct NewFile {
    name: String,
    content: String,
}

type Files = Arc<Mutex<BTreeMap<String, File>>>;

async fn list(_: RequireScope<FilesRead>, State(files): State<Files>) -> Json<Vec<File>> {
    Json(files.lock().await.values().cloned().collect())
}

/// The scope is checked before the body is read, because arguments are extracted in order.
async fn upload(
    key: RequireScope<FilesWrite>,
    State(files): State<Files>,
    body: Result<Json<NewFile>, JsonRejection>,
) -> Result<(StatusCode, Json<File>), Problem> {
    let Json(new) = body.map_err(|error| Problem::new(error.status(), "invalid_body", error.body_text()))?;
    let file = File { size: new.content.len(), uploaded_by: key.name().to_owned(), name: new.name };
    match files.lock().await.entry(file.name.clone()) {
        Entry::Occupied(_) => Err(Problem::new(StatusCode::CONFLICT, "file_exists", "There is a file of this name.")),
        Entry::Vacant(place) => Ok((StatusCode::CREATED, Json(place.insert(file).clone()))),
    }
}

async fn remove(_: RequireScope<Admin>, State(files): State<Files>, name: Path<String>) -> Result<StatusCode, Problem> {
    let removed = files.lock().await.remove(&*name).map(|_| StatusCode::NO_CONTENT);
    removed.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no file of this name."))
}
