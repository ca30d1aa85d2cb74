//! A registry of bundles. One key reaches everything of its organization: from CI and from its members' machines.
//!
//! ```console
//! $ cargo run -p registry-api
//! ```
//!
//! The first start creates `api-keys.db` and shows a key on the terminal, once. Then:
//!
//! ```console
//! $ CI=$(KEY_OUTPUT=stdout cargo run -q -p registry-api -- keys issue release-robot)
//! $ curl -H "Authorization: Bearer $CI" http://127.0.0.1:3000/v1/me
//! $ curl -X PUT -H "Authorization: Bearer $CI" -d 'the bundle' http://127.0.0.1:3000/v1/bundles/tools/versions/1.0.0
//! $ curl -H "Authorization: Bearer $CI" http://127.0.0.1:3000/v1/bundles
//! ```

mod routes;
mod store;

use std::{
    env, io,
    net::{SocketAddr, TcpListener},
    num::NonZeroU32,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use apikey_cli::KeysCommand;
use apikey_manager::{ActivitySettings, Actor, KeyManager, KeyManagerBuilder, NewKey, OrganizationId};
use apikey_sqlx::SqlStore;
use axum::Router;
use axum_apikey::{Checksum, KeyFormat, KeyOutput, ScopeCatalog};
use clap::{Parser, Subcommand};
use tokio::{select, signal};
use tracing_subscriber::filter::LevelFilter;

/// The keys: their database and format. There are no scopes besides those that manage keys.
async fn open_keys(format: KeyFormat) -> anyhow::Result<KeyManagerBuilder> {
    let store = SqlStore::connect(&setting("DATABASE_URL", "sqlite:api-keys.db")).await;
    Ok(KeyManager::builder(store.context("DATABASE_URL")?)
        .format(format)
        .catalog(ScopeCatalog::new())
        // Each request of a key is recorded, so that after a leak it is known what the key did.
        .activity(ActivitySettings::new())
        .authenticator(|authenticator| authenticator.realm("registry")))
}

/// A registry of bundles. Without a command it serves
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
    let format = KeyFormat::builder("reg").environment("live").checksum(Checksum::Crc32).build()?;
    // The organization of the first key. `keys --organization acme issue …` makes the first key of another one.
    let organization = OrganizationId::new("main")?;
    if let Some(Command::Keys(command)) = arguments.command {
        let keys = open_keys(format).await?.without_requests().build()?;
        return Ok(command.run(&keys, &organization).await);
    }
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    let client_timeout = Duration::from_secs(seconds.get().into());
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    let keys = open_keys(format.clone()).await?.build()?;
    // The first key may manage keys, too. It is created once in the life of the database, if it can be shown.
    if let Err(error) = output.check() {
        tracing::info!(%error, "no first key is made; the command `keys issue` makes keys");
    } else if let Some(key) =
        keys.bootstrap(&Actor::host("service", organization)?, NewKey::new("bootstrap").scopes(["*"])).await?
    {
        key.show(&output)?;
    }
    let service = routes::Service { keys: keys.clone(), format, kept: Default::default() };
    let app = routes::app(service, setting("PUBLIC_PATH", "/keys"), client_timeout);
    serve(listener, app, client_timeout).await?;
    // Writes the remaining usage and activity.
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
    // The client's address is recorded.
    server.serve(app.into_make_service_with_connect_info::<SocketAddr>()).await
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
