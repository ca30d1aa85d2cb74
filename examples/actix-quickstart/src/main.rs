//! A file service behind API keys, with actix-web and an embedded database.
//!
//! ```console
//! $ cargo run -p actix-quickstart
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
//! $ READER=$(KEY_OUTPUT=stdout cargo run -q -p actix-quickstart -- keys issue reader files:read)
//! $ curl -H "Authorization: Bearer $READER" http://127.0.0.1:3000/files
//! ```

use std::num::NonZeroU32;
use std::{
    collections::BTreeMap, collections::btree_map::Entry, env, io, net::TcpListener, process::ExitCode, time::Duration,
};

use actix_apikey::{ApiKey, ApiKeyMiddleware, Checksum, KeyFormat, KeyOutput, Problem, RequireScope, mount, scopes};
use actix_cors::Cors;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::{Error, JsonPayloadError};
use actix_web::http::StatusCode;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, Json, JsonConfig, Path, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer, ResponseError};
use anyhow::Context;
use apikey_cli::KeysCommand;
use apikey_console::{Console, Page};
use apikey_manager::{Actor, KeyManager, KeyManagerBuilder, NewKey, OrganizationId};
use apikey_sqlx::SqlStore;
use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};
use tokio::{select, signal, sync::Mutex, time::timeout};
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

/// The routes of each worker's application.
fn routes(
    keys: &KeyManager,
    operators: &OrganizationId,
    client_timeout: Duration,
) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let (files, authenticator) = (Data::new(Files::default()), keys.authenticator());
    // The only organization is the one that operates the service, and so sees its processes.
    let console = Console::new(keys).public_path(setting("PUBLIC_PATH", "/keys")).operators(operators.clone());
    let console = console.page(Page::new().title("Files"));
    move |config| {
        let in_time = move |request, next| in_time(client_timeout, request, next);
        let whoami = async |key: ApiKey| Json(key.claims().clone());
        let with_key = || ApiKeyMiddleware::new(authenticator.clone());
        let files_route = web::resource("/files").wrap(from_fn(in_time)).wrap(with_key());
        config
            .app_data(files.clone())
            .app_data(JsonConfig::default().error_handler(|error, _| bad_body(&error).into()))
            .service(files_route.route(web::get().to(list)).route(web::post().to(upload)))
            .service(web::resource("/admin/files/{name}").route(web::delete().to(remove)).wrap(with_key()))
            .service(web::resource("/whoami").route(web::get().to(whoami)).wrap(with_key()))
            .service(mount("/keys", console.clone()))
            .route("/healthz", web::get().to(async || "ok"))
            .default_service(web::to(async || not_found("There is no such route.")));
    }
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

#[actix_web::main]
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
    let address = listener.local_addr()?;
    let keys = open_keys().await?.build()?;
    // The first key has all scopes. It is created once in the life of the database, if it can be shown.
    if let Err(error) = output.check() {
        tracing::info!(%error, "no first key is made; the command `keys issue` makes keys");
    } else if let Some(key) = keys.bootstrap(&host, NewKey::new("bootstrap").scopes(["*"])).await? {
        key.show(&output)?;
    }
    let routes = routes(&keys, host.organization(), client_timeout);
    // Any web page may call the service if its user provides a key, because browsers send none by themselves.
    let cors = || Cors::default().allow_any_origin().send_wildcard().allow_any_method().expose_any_header();
    let headers = ["authorization", "content-type", "if-match", "if-none-match"];
    let server = HttpServer::new(move || App::new().configure(&routes).wrap(cors().allowed_headers(headers)))
        .client_request_timeout(client_timeout)
        .client_disconnect_timeout(client_timeout)
        .shutdown_signal(stop_signal()?)
        .shutdown_timeout(10);
    println!("manage keys at http://{address}/keys/");
    println!("listening on http://{address}");
    server.listen(listener)?.run().await?;
    // Writes the remaining usage.
    keys.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Limits the time of a request with its body. actix limits the head alone.
async fn in_time(limit: Duration, request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let late = Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The request took too long.");
    timeout(limit, next.call(request)).await.unwrap_or_else(|_| Err(late.into()))
}

/// Completes on Ctrl-C or SIGTERM. actix's own handler would cut off requests on Ctrl-C.
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        select! { _ = signal::ctrl_c() => {}, _ = terminate.recv() => {} }
        #[cfg(not(unix))]
        let _ = signal::ctrl_c().await;
        tracing::info!("stopping; requests in progress finish");
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

type Files = Mutex<BTreeMap<String, File>>;
type Answer = Result<HttpResponse, Problem>;

async fn list(_: RequireScope<FilesRead>, files: Data<Files>) -> Json<Vec<File>> {
    Json(files.lock().await.values().cloned().collect())
}

/// The scope is checked before the body is read, because the first failing argument answers.
async fn upload(key: RequireScope<FilesWrite>, files: Data<Files>, Json(new): Json<NewFile>) -> Answer {
    let file = File { size: new.content.len(), uploaded_by: key.name().to_owned(), name: new.name };
    match files.lock().await.entry(file.name.clone()) {
        Entry::Occupied(_) => Err(Problem::new(StatusCode::CONFLICT, "file_exists", "There is a file of this name.")),
        Entry::Vacant(place) => Ok(HttpResponse::Created().json(place.insert(file))),
    }
}

async fn remove(_: RequireScope<Admin>, files: Data<Files>, name: Path<String>) -> Answer {
    match files.lock().await.remove(&*name) {
        Some(_) => Ok(HttpResponse::NoContent().finish()),
        None => not_found("There is no file of this name."),
    }
}

fn not_found(detail: &'static str) -> Answer {
    Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail))
}

fn bad_body(error: &JsonPayloadError) -> Problem {
    let status = match error {
        JsonPayloadError::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        JsonPayloadError::Deserialize(error) if error.is_data() => StatusCode::UNPROCESSABLE_ENTITY,
        error => error.status_code(),
    };
    Problem::new(status, "invalid_body", error.to_string())
}
