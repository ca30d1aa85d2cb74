//! A WebSocket behind API keys, with axum, that is closed when its key is revoked or expires.
//!
//! ```console
//! $ cargo run -p websocket-axum
//! ```
//!
//! The first start creates `api-keys.toml` and shows a key on the terminal, once. Then, with any client for WebSockets:
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
    /// The scopes.
    Scopes {
        /// Open the socket.
        Live = "live",
        /// Revoke keys.
        Admin = "admin",
    }
}

/// The keys of a file, and the revocations since the start. A product has a table here, which keeps revocations.
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

/// The keys, and the authenticator that caches them.
type Revoker = (Arc<Keys>, Authenticator);

/// The first start creates a key with all scopes.
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
        // It finishes even if the caller revokes its own key.
        .route("/keys/{id}", delete(revoke).layer(FinishLayer::new()))
        // Routes above require a key, and routes below don't.
        .route_layer(ApiKeyLayer::new(keys.1.clone()))
        .route("/healthz", get(async || "ok"))
        // Outermost, so that clients that are still sending a body receive the response.
        .layer(LingerLayer::new())
        .with_state(keys)
}

/// The layer has accepted the request. From here on, the socket watches its key itself.
async fn live(key: RequireScope<Live>, upgrade: WebSocketUpgrade) -> Response {
    let key = key.into_key();
    upgrade.on_upgrade(|socket| socket::serve(socket, key))
}

/// Revokes a key and ends its requests in progress: first in the store, then in the cache.
async fn revoke(_: RequireScope<Admin>, State((keys, authenticator)): State<Revoker>, id: Path<String>) -> StatusCode {
    // A text that is not an id belongs to no key, so there is nothing to do.
    if let Ok(id) = KeyId::new(&*id) {
        keys.revoked.write().await.insert(id.clone());
        authenticator.revoke(&id);
    }
    StatusCode::NO_CONTENT
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is reserved for the address and, on request, for a key.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    let app = app(open_keys()?);

    Ok(serve(listener, app, Duration::from_secs(seconds.get().into())).await?)
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
