//! Two servers with the same console, a manager with a manual clock, and a client.

use std::{
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use actix_apikey::ApiKeyMiddleware;
use actix_web::{App, HttpServer, middleware::Condition, rt::System, web};
use apikey_console::Console;
use apikey_core::{KeyFormat, ManualClock, ScopeCatalog, scopes};
use apikey_manager::{Actor, IssuedKey, KeyManager, KeyStore, Limits, MemoryStore, NewKey, OrganizationId};
use apikey_sqlx::SqlStore;
use apikey_testkit::PrivatePostgres;
use axum::{Router, routing::get};
use axum_apikey::ApiKeyLayer;
use serde_json::Value;
use support::{
    patiently,
    wire::{Answer, exchange},
};
use tokio::sync::oneshot;

scopes! {
    pub(crate) Files {
        /// List and download files.
        FilesRead = "files:read",
        /// Upload files.
        FilesWrite = "files:write",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Axum,
    Actix,
    /// Inside a layer of the host, which ends requests in progress.
    AxumInLayer,
    /// Inside a middleware of the host, which ends requests in progress.
    ActixInLayer,
}

/// The database of keys. The answers are the same for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Database {
    Memory,
    Sqlite,
    Postgres,
}

pub(crate) struct Stand {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) keys: KeyManager,
    pub(crate) clock: ManualClock,
    /// Ends the server on drop.
    _stop: oneshot::Sender<()>,
}

/// Runs `test` on each server.
pub(crate) async fn on_each(test: impl AsyncFn(Stand)) {
    on_each_with(|console| console, test).await;
}

/// Runs `test` on each server, with a console configured by `configure`.
pub(crate) async fn on_each_with(configure: impl Fn(Console) -> Console, test: impl AsyncFn(Stand)) {
    on_servers([Server::Axum, Server::Actix], configure, test).await;
}

/// Runs `test` on each of these servers in memory, and on each database with one of the servers.
pub(crate) async fn on_servers<const N: usize>(
    servers: [Server; N],
    configure: impl Fn(Console) -> Console,
    test: impl AsyncFn(Stand),
) {
    let in_memory = servers.iter().map(|server| (*server, Database::Memory));
    let databases = servers.iter().cycle().copied().zip([Database::Postgres, Database::Sqlite]);
    for (server, database) in in_memory.chain(databases) {
        test_on(server, database, &configure, &test).await;
    }
}

async fn test_on(
    server: Server,
    database: Database,
    configure: &impl Fn(Console) -> Console,
    test: &impl AsyncFn(Stand),
) {
    // The context of a failure.
    println!("on {server:?} with {database:?}");
    let folder = tempfile::tempdir().unwrap();
    let url = match database {
        Database::Memory => return test(Stand::start(server, MemoryStore::new(), configure).await).await,
        Database::Sqlite => format!("sqlite:{}", folder.path().join("keys.db").display()),
        Database::Postgres => match PrivatePostgres::shared() {
            Some(server) => server.create_database(),
            None => return,
        },
    };
    let store = patiently(|| SqlStore::connect(&url)).await;
    test(Stand::start(server, store.clone(), configure).await).await;
    store.close().await;
}

pub(crate) fn catalog() -> ScopeCatalog {
    Files::catalog().role("reader", ["files:read"]).unwrap()
}

impl Stand {
    pub(crate) async fn start(server: Server, store: impl KeyStore, configure: &impl Fn(Console) -> Console) -> Self {
        let clock = ManualClock::new();
        let format = KeyFormat::builder("acme").environment("live").environment("test").build().unwrap();
        let keys = KeyManager::builder(store)
            .format(format)
            .catalog(catalog())
            .clock(clock.clone())
            .webhooks(support::sender::Accepts)
            // Tests say themselves for how long a store is held up.
            .authenticator(|authenticator| authenticator.resolver_timeout(Duration::from_secs(60)))
            .limits(async |organization| {
                Ok(match organization.as_str() {
                    "small" => Limits::new().keys(3).service_accounts(1),
                    _ => Limits::new(),
                })
            })
            .build()
            .unwrap();
        let operators = OrganizationId::new("acme").unwrap();
        let console = configure(Console::new(&keys).operators(operators));
        let (stop, stopped) = oneshot::channel();
        let address = match server {
            Server::Axum | Server::AxumInLayer => serve_axum(&keys, console, server, stopped).await,
            Server::Actix | Server::ActixInLayer => serve_actix(&keys, console, server, stopped),
        };
        Stand { server, address, keys, clock, _stop: stop }
    }

    pub(crate) fn host(&self, organization: &str) -> Actor {
        Actor::host("test", OrganizationId::new(organization).unwrap()).unwrap()
    }

    /// Issues a key as the host.
    pub(crate) async fn issue(&self, organization: &str, scopes: &[&str]) -> IssuedKey {
        let key = NewKey::new("a key").scopes(scopes.iter().copied());
        self.keys.issue(&self.host(organization), key).await.unwrap()
    }

    /// Returns the secret of a key with all scopes in the organization `acme`.
    pub(crate) async fn admin(&self) -> String {
        secret_of(&self.issue("acme", &["*"]).await)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request {
            address: self.address,
            head: format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Request {
        self.request("POST", path)
    }

    pub(crate) fn patch(&self, path: &str) -> Request {
        self.request("PATCH", path)
    }

    pub(crate) fn delete(&self, path: &str) -> Request {
        self.request("DELETE", path)
    }
}

pub(crate) fn secret_of(issued: &IssuedKey) -> String {
    issued.secret().expose_secret().to_owned()
}

pub(crate) struct Request {
    address: SocketAddr,
    head: String,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn key(self, secret: &str) -> Self {
        self.header("authorization", &format!("Bearer {secret}"))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len();
        self.header("content-type", content_type).header("content-length", &length.to_string())
    }

    /// Adds to the body, whose length is declared elsewhere.
    pub(crate) fn append(&mut self, body: &[u8]) {
        self.body.extend_from_slice(body);
    }

    pub(crate) async fn send(self) -> Answer {
        let mut bytes = self.head.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        exchange(self.address, &bytes).await
    }

    /// Sends the request, and parses the JSON of an answer with this status.
    pub(crate) async fn expect(self, status: u16) -> Value {
        let sent = self.head.clone();
        let answer = self.send().await;
        assert_eq!(answer.status, status, "{sent}{answer:?}");
        match answer.body.is_empty() {
            true => Value::Null,
            false => json(&answer),
        }
    }
}

pub(crate) fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// Returns the problem's `code`.
pub(crate) fn code(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let problem = json(answer);
    assert_eq!(problem["status"], answer.status, "{problem}");
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    problem["code"].as_str().unwrap().to_owned()
}

/// Returns the invalid fields: `field: code`.
pub(crate) fn fields(answer: &Answer) -> Vec<String> {
    assert_eq!((answer.status, code(answer).as_str()), (422, "invalid"), "{answer:?}");
    let problem = json(answer);
    let mut fields: Vec<String> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| format!("{}: {}", error["field"].as_str().unwrap(), error["code"].as_str().unwrap()))
        .collect();
    fields.sort();
    fields
}

async fn serve_axum(keys: &KeyManager, console: Console, server: Server, stopped: oneshot::Receiver<()>) -> SocketAddr {
    async fn files(_: axum_apikey::RequireScope<FilesRead>) -> &'static str {
        "files"
    }
    let app = Router::new()
        .route("/files", get(files))
        .route_layer(ApiKeyLayer::new(keys.authenticator()))
        .nest_service("/keys", console);
    let app = match server {
        Server::AxumInLayer => app.layer(ApiKeyLayer::new(keys.authenticator())),
        _ => app,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        tokio::select! {
            _ = axum::serve(listener, app) => {}
            _ = stopped => {}
        }
    });
    address
}

fn serve_actix(keys: &KeyManager, console: Console, server: Server, stopped: oneshot::Receiver<()>) -> SocketAddr {
    async fn files(_: actix_apikey::RequireScope<FilesRead>) -> &'static str {
        "files"
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let authenticator = keys.authenticator();
    let in_layer = server == Server::ActixInLayer;
    thread::spawn(move || {
        System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let files = web::resource("/files").route(web::get().to(files));
                App::new()
                    .service(files.wrap(ApiKeyMiddleware::new(authenticator.clone())))
                    .service(actix_apikey::mount("/keys", console.clone()))
                    .wrap(Condition::new(in_layer, ApiKeyMiddleware::new(authenticator.clone())))
            });
            let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
            let handle = server.handle();
            actix_web::rt::spawn(server);
            drop(stopped.await);
            handle.stop(false).await;
        });
    });
    address
}
