//! A WebSocket behind API keys, with axum, that is closed when its key is revoked or expires.
//!
//! ```console
//! $ cargo run -p websocket-axum
//! ```
//!
//! The first start makes `api-keys.toml` and shows a key on the terminal, once. Then, with any client for WebSockets:
//!
//! ```console
//! $ websocat -H "Authorization: Bearer $KEY" ws://127.0.0.1:3000/live
//! $ curl -i -X DELETE -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/keys/bootstrap
//! ```

mod socket;

use std::{
    collections::HashSet, convert::Infallible, env, io, net::TcpListener, num::NonZeroU32, sync::Arc, time::Duration,
};

use anyhow::Context;
use axum::extract::{Path, State, WebSocketUpgrade};
use axum::routing::{any, delete, get};
use axum::{Router, http::StatusCode, response::Response};
use axum_apikey::{
    ApiKeyLayer, Authenticator, Checksum, FinishLayer, KeyFormat, KeyId, KeyOutput, KeyStatus, LingerLayer,
};
use axum_apikey::{PresentedKey, RequireScope, Resolution, Resolver, StaticKeys, scopes};
use tokio::{select, signal, sync::RwLock};
use tracing_subscriber::filter::LevelFilter;

scopes! {
    /// What a key may do.
    Scopes {
        /// Open the socket.
        Live = "live",
        /// Revoke keys.
        Admin = "admin",
    }
}

/// The keys of a file, and which of them were revoked since the start. A product has a table here, in which a key is
/// revoked for good.
struct Keys {
    listed: StaticKeys,
    revoked: RwLock<HashSet<KeyId>>,
}

impl Resolver for Keys {
    type Error = Infallible;

    async fn resolve(&self, key: &PresentedKey) -> Result<Option<Resolution>, Infallible> {
        let found = self.listed.resolve(key).await?;
        let revoked = self.revoked.read().await;
        Ok(found.map(|record| match revoked.contains(record.claims().key_id()) {
            true => record.with_status(KeyStatus::Revoked),
            false => record,
        }))
    }
}

/// Where keys are looked up, and where they are remembered.
type Revoker = (Arc<Keys>, Authenticator);

/// The first start makes a key that may do everything.
fn open_keys() -> anyhow::Result<Revoker> {
    let output: KeyOutput = setting("KEY_OUTPUT", "terminal").parse().context("KEY_OUTPUT")?;
    let format = KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()?;
    let listed = StaticKeys::open_or_create(setting("API_KEYS_FILE", "api-keys.toml"), &format, &output)?;
    let keys = Arc::new(Keys { listed, revoked: RwLock::default() });
    let authenticator = Authenticator::builder(Arc::clone(&keys)).format(format).catalog(Scopes::catalog());
    Ok((keys, authenticator.realm("live").build()?))
}

fn app(keys: Revoker) -> Router {
    Router::new()
        .route("/live", any(live))
        // It is finished even if the key is the caller's own.
        .route("/keys/{id}", delete(revoke).layer(FinishLayer::new()))
        // Routes above need a key, routes below don't.
        .route_layer(ApiKeyLayer::new(keys.1.clone()))
        .route("/healthz", get(async || "ok"))
        // Outermost: clients that still send their body get the answer all the same.
        .layer(LingerLayer::new())
        .with_state(keys)
}

/// The layer has let the request in. From here on the socket looks after its key by itself.
async fn live(key: RequireScope<Live>, upgrade: WebSocketUpgrade) -> Response {
    let key = key.into_key();
    upgrade.on_upgrade(|socket| socket::serve(socket, key))
}

/// Ends a key, and all that is under way with it: first where keys are looked up, then where they are remembered.
async fn revoke(_: RequireScope<Admin>, State((keys, authenticator)): State<Revoker>, id: Path<String>) -> StatusCode {
    // A text that is no id is no key's: nothing is left to be done.
    if let Ok(id) = KeyId::new(&*id) {
        keys.revoked.write().await.insert(id.clone());
        authenticator.revoke(&id);
    }
    StatusCode::NO_CONTENT
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is for the address, and for a key if the operator wants it there.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    // Before a key is made: if the address is taken, none is lost.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    let app = app(open_keys()?);

    Ok(serve(listener, app, Duration::from_secs(seconds.get().into())).await?)
}

/// Serves until the process should stop. `axum::serve` would wait for slow clients without a limit.
async fn serve(listener: TcpListener, app: Router, client_timeout: Duration) -> io::Result<()> {
    let (stop, handle) = (stop_signal()?, axum_server::Handle::new());
    println!("listening on http://{}", listener.local_addr()?);
    let mut server = axum_server::from_tcp(listener)?.handle(handle.clone()).first_request_timeout(client_timeout);
    server.http_builder().http1().header_read_timeout(client_timeout);
    server.http_builder().http2().keep_alive_interval(client_timeout).keep_alive_timeout(client_timeout);
    tokio::spawn(async move {
        stop.await;
        tracing::info!("stopping; requests under way finish");
        // A client that never finishes must not keep the process.
        handle.graceful_shutdown(Some(Duration::from_secs(10)));
    });
    server.serve(app.into_make_service()).await
}

/// Ends at Ctrl-C, or when the system asks.
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
