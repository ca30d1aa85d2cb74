//! A WebSocket behind API keys, with actix-web, that is closed when its key is revoked or expires.
//!
//! ```console
//! $ cargo run -p websocket-actix
//! ```
//!
//! The first start creates `api-keys.toml` and shows a key on the terminal, once. Then, with any client for WebSockets:
//!
//! ```console
//! $ websocat -H "Authorization: Bearer $KEY" ws://127.0.0.1:3000/live
//! $ curl -i -X DELETE -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/keys/bootstrap
//! ```

mod socket;

use std::{collections::HashSet, convert::Infallible, env, io, net::TcpListener, num::NonZeroU32, sync::Arc};

use actix_apikey::{
    ApiKeyMiddleware, Authenticator, Checksum, FinishMiddleware, KeyFormat, KeyId, KeyOutput, KeyStatus,
};
use actix_apikey::{PresentedKey, RequireScope, Resolution, Resolver, StaticKeys, scopes};
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, rt};
use anyhow::Context;
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

/// The middleware has accepted the request. From here on, the socket watches its key itself.
async fn live(key: RequireScope<Live>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Error> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    rt::spawn(socket::serve(session, messages, key.into_key()));
    Ok(response)
}

/// Revokes a key and ends its requests in progress: first in the store, then in the cache.
async fn revoke(_: RequireScope<Admin>, revoker: Data<Revoker>, id: Path<String>) -> HttpResponse {
    // A text that is not an id belongs to no key, so there is nothing to do.
    if let Ok(id) = KeyId::new(&*id) {
        revoker.0.revoked.write().await.insert(id.clone());
        revoker.1.revoke(&id);
    }
    HttpResponse::NoContent().finish()
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is reserved for the address and, on request, for a key.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    let address = listener.local_addr()?;
    let revoker = Data::new(open_keys()?);

    let server = HttpServer::new(move || {
        let with_key = || ApiKeyMiddleware::new(revoker.1.clone());
        // To actix, a socket is a response's body, which the middleware would cut off without a close frame. So the
        // route may finish, and closes the socket itself.
        let live = web::resource("/live").route(web::get().to(live)).wrap(FinishMiddleware::new()).wrap(with_key());
        // It finishes even if the caller revokes its own key.
        let revoke =
            web::resource("/keys/{id}").route(web::delete().to(revoke)).wrap(FinishMiddleware::new()).wrap(with_key());
        let app = App::new().app_data(revoker.clone()).service(live).service(revoke);
        app.route("/healthz", web::get().to(async || "ok"))
    });
    let server = server
        .client_request_timeout(std::time::Duration::from_secs(seconds.get().into()))
        .shutdown_signal(stop_signal()?)
        .shutdown_timeout(10);
    println!("listening on http://{address}");
    Ok(server.listen(listener)?.run().await?)
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
