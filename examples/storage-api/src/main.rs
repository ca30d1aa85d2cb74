//! A storage service behind API keys: environments with files and members, with axum and an embedded database.
//!
//! ```console
//! $ cargo run -p storage-api
//! ```
//!
//! The first start creates `api-keys-live.db` and shows a key on the terminal, once. Then:
//!
//! ```console
//! $ curl -X PUT -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"description":"the website"}' http://127.0.0.1:3000/v1/environments/website
//! $ curl -X PUT -H "Authorization: Bearer $KEY" \
//!     -d 'hello, world' http://127.0.0.1:3000/v1/environments/website/files/hello.txt/content
//! $ READER=$(KEY_OUTPUT=stdout cargo run -q -p storage-api -- keys issue website-reader files:read)
//! $ curl -H "Authorization: Bearer $READER" http://127.0.0.1:3000/v1/environments/website/files/hello.txt/content
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/keys/v1/api-keys
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

use anyhow::{Context, bail};
use apikey_cli::KeysCommand;
use apikey_manager::{ActivitySettings, Actor, KeyManager, KeyManagerBuilder, NewKey, OrganizationId};
use apikey_sqlx::SqlStore;
use axum::Router;
use axum_apikey::{Checksum, KeyFormat, KeyOutput};
use clap::{Parser, Subcommand};
use tokio::{select, signal};
use tracing_subscriber::filter::LevelFilter;

/// The keys: their database, format and scopes. Each environment refuses the other's keys.
async fn open_keys(environment: &'static str, other: &str) -> anyhow::Result<KeyManagerBuilder> {
    let url = setting("DATABASE_URL", &format!("sqlite:api-keys-{environment}.db"));
    let store = SqlStore::connect(&url).await.context("DATABASE_URL")?;
    let format = |environment| KeyFormat::builder("tsk").environment(environment).checksum(Checksum::Crc32).build();
    Ok(KeyManager::builder(store)
        // The first format issues, so no keys of the other environment are issued here.
        .format(format(environment)?)
        // Declared as well, so that the log says `wrong_environment` for them instead of `malformed`.
        .format(format(other)?)
        .catalog(routes::Scopes::catalog())
        // Each request is recorded, so that the page tells what a lost key did.
        .activity(ActivitySettings::new())
        .authenticator(move |authenticator| authenticator.realm("storage").environments([environment])))
}

/// A storage service behind API keys. Without a command it serves
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
    let (environment, other) = match &*setting("ENVIRONMENT", "live") {
        "live" => ("live", "test"),
        "test" => ("test", "live"),
        name => bail!("ENVIRONMENT: {name:?} is neither live nor test"),
    };
    // The service itself. The keys of an environment belong to one organization, so that even in a shared database,
    // administrators can't see the other environment's keys. In a service with customers, each customer is an
    // organization in each environment.
    let organization = OrganizationId::new(environment)?;
    if let Some(Command::Keys(command)) = arguments.command {
        let keys = open_keys(environment, other).await?.without_requests().build()?;
        return Ok(command.run(&keys, &organization).await);
    }
    let host = Actor::host("service", organization)?;
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    let client_timeout = Duration::from_secs(seconds.get().into());
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    let keys = open_keys(environment, other).await?.build()?;
    // The first key has all scopes. It is created once in the life of the database, if it can be shown.
    if let Err(error) = output.check() {
        tracing::info!(%error, "no first key is made; the command `keys issue` makes keys");
    } else if let Some(key) = keys.bootstrap(&host, NewKey::new("bootstrap").scopes(["*"])).await? {
        key.show(&output)?;
    }
    let service = routes::Service { environment, keys: keys.clone(), host, kept: Default::default() };
    serve(listener, routes::app(service, client_timeout), client_timeout).await?;
    // Writes the remaining usage.
    keys.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Serves until shutdown. `axum::serve` would wait for slow clients without a limit.
async fn serve(listener: TcpListener, app: Router, client_timeout: Duration) -> io::Result<()> {
    let (stop, handle) = (stop_signal()?, axum_server::Handle::new());
    let address = listener.local_addr()?;
    println!("manage keys at http://{address}/keys/\nlistening on http://{address}");
    let mut server = axum_server::from_tcp(listener)?.handle(handle.clone()).first_request_timeout(client_timeout);
    server.http_builder().http1().header_read_timeout(client_timeout);
    server.http_builder().http2().keep_alive_interval(client_timeout).keep_alive_timeout(client_timeout);
    tokio::spawn(async move {
        stop.await;
        tracing::info!("stopping; requests in progress finish");
        // A client that never finishes must not delay the shutdown.
        handle.graceful_shutdown(Some(Duration::from_secs(10)));
    });
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
