//! A WebSocket behind API keys, with actix-web, that is closed when its key is revoked or expires.
//!
//! ```console
//! $ cargo run -p websocket-actix
//! ```
//!
//! The first start makes `api-keys.toml` and shows a key on the terminal, once. Then, with any client for WebSockets:
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

/// The middleware has let the request in. From here on the socket looks after its key by itself.
async fn live(key: RequireScope<Live>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Error> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    rt::spawn(socket::serve(session, messages, key.into_key()));
    Ok(response)
}

/// Ends a key, and all that is under way with it: first where keys are looked up, then where they are remembered.
async fn revoke(_: RequireScope<Admin>, revoker: Data<Revoker>, id: Path<String>) -> HttpResponse {
    // A text that is no id is no key's: nothing is left to be done.
    if let Ok(id) = KeyId::new(&*id) {
        revoker.0.revoked.write().await.insert(id.clone());
        revoker.1.revoke(&id);
    }
    HttpResponse::NoContent().finish()
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is for the address, and for a key if the operator wants it there.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    // Before a key is made: if the address is taken, none is lost.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    let address = listener.local_addr()?;
    let revoker = Data::new(open_keys()?);

    let server = HttpServer::new(move || {
        let with_key = || ApiKeyMiddleware::new(revoker.1.clone());
        // To actix a socket is a response's body, which the middleware would cut off without a word: the route may finish,
        // and closes by itself.
        let live = web::resource("/live").route(web::get().to(live)).wrap(FinishMiddleware::new()).wrap(with_key());
        // It is finished even if the key is the caller's own.
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

/// Ends at Ctrl-C, or when the system asks. actix's own handler would cut requests off at Ctrl-C.
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        select! { _ = signal::ctrl_c() => {}, _ = terminate.recv() => {} }
        #[cfg(not(unix))]
        let _ = signal::ctrl_c().await;
        tracing::info!("stopping; requests under way finish");
    })
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
