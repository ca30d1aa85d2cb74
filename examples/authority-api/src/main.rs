//! A list of revoked ids, signed for those who check them, behind API keys; with actix-web and an embedded database.
//!
//! ```console
//! $ cargo run -p authority-api
//! ```
//!
//! The first start creates `api-keys.db` and shows a key on the terminal, once. Then:
//!
//! ```console
//! $ curl -i -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"id":"card-1842","reason":"lost"}' http://127.0.0.1:3000/revocations
//! $ AUTHORIZER=$(KEY_OUTPUT=stdout cargo run -q -p authority-api -- keys issue north-gate authorizer)
//! $ curl -H "Authorization: Bearer $AUTHORIZER" http://127.0.0.1:3000/revocations/card-1842/check
//! $ curl -H "Authorization: Bearer $AUTHORIZER" http://127.0.0.1:3000/revocation-list
//! $ curl http://127.0.0.1:3000/.well-known/jwks.json
//! ```

mod authority;
mod routes;
mod signer;

use std::{env, io, net::TcpListener, num::NonZeroU32, process::ExitCode, time::Duration};

use actix_apikey::{Alphabet, Checksum, KeyFormat, KeyOutput};
use actix_web::{App, HttpServer};
use anyhow::Context;
use apikey_cli::KeysCommand;
use apikey_manager::{ActivitySettings, Actor, KeyManager, KeyManagerBuilder, NewKey, OrganizationId};
use apikey_sqlx::SqlStore;
use clap::{Parser, Subcommand};
use tokio::{select, signal};
use tracing_subscriber::filter::LevelFilter;

/// The keys: their database, format and scopes.
async fn open_keys(url: &str) -> anyhow::Result<KeyManagerBuilder> {
    let store = SqlStore::connect(url).await.context("DATABASE_URL")?;
    // `tc_` and 43 characters: 256 random bits as base64url, and nothing else.
    let format = KeyFormat::builder("tc").alphabet(Alphabet::Base64Url).entropy_bits(256).checksum(Checksum::None);
    let keys = KeyManager::builder(store).format(format.build()?).catalog(routes::catalog()?);
    // Each request is recorded, so that the page tells what a lost key did.
    Ok(keys.activity(ActivitySettings::new()).authenticator(|authenticator| authenticator.realm("authority")))
}

/// A list of revoked ids behind API keys. Without a command it serves
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
    let database = setting("DATABASE_URL", "sqlite:api-keys.db");
    let organization = OrganizationId::new(routes::ORGANIZATION)?;
    if let Some(Command::Keys(command)) = arguments.command {
        let keys = open_keys(&database).await?.without_requests().build()?;
        return Ok(command.run(&keys, &organization).await);
    }
    let host = Actor::host("service", organization)?;
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    let client_timeout = Duration::from_secs(seconds.get().into());
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    let keys = open_keys(&database).await?.build()?;
    let authority = authority::Authority::open(&database, env::var("SIGNING_KEY").ok()).await?;
    // The first key has all scopes. It is created once in the life of the database, if it can be shown.
    if let Err(error) = output.check() {
        tracing::info!(%error, "no first key is made; the command `keys issue` makes keys");
    } else if let Some(key) = keys.bootstrap(&host, NewKey::new("bootstrap").scopes(["admin"])).await? {
        key.show(&output)?;
    }
    let routes = routes::routes(&keys, authority, client_timeout);
    let server = HttpServer::new(move || App::new().configure(&routes))
        .client_request_timeout(client_timeout)
        .client_disconnect_timeout(client_timeout)
        .shutdown_signal(stop_signal()?)
        .shutdown_timeout(10);
    let address = listener.local_addr()?;
    println!("manage keys at http://{address}/keys/\nlistening on http://{address}");
    server.listen(listener)?.run().await?;
    // Writes the remaining usage.
    keys.shutdown().await;
    Ok(ExitCode::SUCCESS)
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
