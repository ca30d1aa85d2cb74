//! A file service behind API keys, with axum and an embedded database.
//!
//! ```console
//! $ cargo run -p axum-quickstart
//! ```
//!
//! The first start creates `api-keys.db` and shows a key on the terminal, once. Then:
//!
//! ```console
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/whoami
//! $ curl -i -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"name":"hello.txt","content":"hello, world"}' http://127.0.0.1:3000/files
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/files
//! $ curl -i -X DELETE -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/admin/files/hello.txt
//! $ READER=$(KEY_OUTPUT=stdout cargo run -q -p axum-quickstart -- keys issue reader files:read)
//! $ curl -H "Authorization: Bearer $READER" http://127.0.0.1:3000/files
//! ```

use std::time::Duration;
use std::{
    collections::BTreeMap, collections::btree_map::Entry, env, io, net::TcpListener, num::NonZeroU32,
    process::ExitCode, sync::Arc,
};

use anyhow::Context;
use apikey_cli::KeysCommand;
use apikey_console::{Console, Page};
use apikey_manager::{Actor, KeyManager, KeyManagerBuilder, NewKey, OrganizationId};
use apikey_sqlx::SqlStore;
use axum::extract::{Path, State, rejection::JsonRejection};
use axum::http::{StatusCode, header::*};
use axum::routing::{delete, get};
use axum::{Json, Router};
use axum_apikey::{ApiKey, ApiKeyLayer, Checksum, KeyFormat, KeyOutput, LingerLayer, Problem, RequireScope, scopes};
use clap::{Parser, Subcommand};
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

/// The keys: their database, format and scopes.
async fn open_keys() -> anyhow::Result<KeyManagerBuilder> {
    let store = SqlStore::connect(&setting("DATABASE_URL", "sqlite:api-keys.db")).await;
    let format = KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()?;
    let keys = KeyManager::builder(store.context("DATABASE_URL")?).format(format).catalog(Scopes::catalog());
    Ok(keys.authenticator(|authenticator| authenticator.realm("files")))
}

fn app(keys: &KeyManager, operators: &OrganizationId, client_timeout: Duration) -> Router {
    // The only organization is the one that operates the service, and so sees its processes.
    let console = Console::new(keys).public_path(setting("PUBLIC_PATH", "/keys")).operators(operators.clone());
    let console = console.page(Page::new().title("Files"));
    // Any web page may call the service if its user provides a key, because browsers send none by themselves.
    let cors = CorsLayer::permissive().allow_headers([AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH]);
    Router::new()
        .route("/files", get(list).post(upload))
        .route("/admin/files/{name}", delete(remove))
        .with_state(Files::default())
        .route("/whoami", get(async |key: ApiKey| Json(key.claims().clone())))
        .route_layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, client_timeout))
        // Routes above require a key. Routes below don't, or check themselves.
        .route_layer(ApiKeyLayer::new(keys.authenticator()))
        .nest_service("/keys", console)
        .route("/healthz", get(async || "ok"))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such route."))
        // Outside the key layer: preflights have no key, and pages can read refusals only with CORS headers.
        .layer(cors)
        // Outermost, so that clients that are still sending a body receive the response.
        .layer(LingerLayer::new())
}

/// A file service behind API keys. Without a command it serves
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Manage API keys
    Keys(KeysCommand),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is reserved for the address and, on request, for keys.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let output: KeyOutput = setting("KEY_OUTPUT", "terminal").parse().context("KEY_OUTPUT")?;
    // The service itself. All keys belong to one organization here. In a service with customers, each customer is an
    // organization.
    let organization = OrganizationId::new("main")?;
    if let Some(Command::Keys(command)) = arguments.command {
        let keys = open_keys().await?.without_requests().build()?;
        return Ok(command.run(&keys, &organization).await);
    }
    let host = Actor::host("service", organization)?;
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    let client_timeout = Duration::from_secs(seconds.get().into());
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    let keys = open_keys().await?.build()?;
    // The first key has all scopes. It is created once in the life of the database, if it can be shown.
    if let Err(error) = output.check() {
        tracing::info!(%error, "no first key is made; the command `keys issue` makes keys");
    } else if let Some(key) = keys.bootstrap(&host, NewKey::new("bootstrap").scopes(["*"])).await? {
        key.show(&output)?;
    }
    serve(listener, app(&keys, host.organization(), client_timeout), client_timeout).await?;
    // Writes the remaining usage.
    keys.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Serves until shutdown. `axum::serve` would wait for slow clients without a limit.
async fn serve(listener: TcpListener, app: Router, client_timeout: Duration) -> io::Result<()> {
    let (stop, handle) = (stop_signal()?, axum_server::Handle::new());
    let address = listener.local_addr()?;
    println!("manage keys at http://{address}/keys/");
    println!("listening on http://{address}");
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
