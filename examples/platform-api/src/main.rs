//! A product whose customers manage their own API keys: organizations with members and a plan, with axum and an embedded
//! database.
//!
//! ```console
//! $ cargo run -p platform-api
//! ```
//!
//! The first start creates `platform.db` and shows a key on the terminal, once. Then:
//!
//! ```console
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/v1/account
//! $ curl -i -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"name":"website"}' http://127.0.0.1:3000/v1/projects
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/v1/projects
//! ```
//!
//! A customer signs in at `http://127.0.0.1:3000/` after:
//!
//! ```console
//! $ cargo run -p platform-api -- set-plan acme free
//! $ cargo run -p platform-api -- add-member acme dana@acme.example
//! ```

mod api;
mod pages;
mod product;

use std::io::{self, IsTerminal};
use std::{env, net::SocketAddr, net::TcpListener, num::NonZeroU32, process::ExitCode, time::Duration};

use anyhow::Context;
use apikey_cli::KeysCommand;
use apikey_manager::{ActivitySettings, Actor, KeyManager, KeyManagerBuilder, NewKey, OrganizationId};
use apikey_sqlx::SqlStore;
use apikey_webhooks::Webhooks;
use axum::{Router, http::StatusCode, routing::get};
use axum_apikey::{Checksum, KeyFormat, KeyOutput, LingerLayer, Problem, ScopeCatalog};
use clap::{Parser, Subcommand};
use tokio::{select, signal};
use tower_http::timeout::TimeoutLayer;
use tracing_subscriber::filter::LevelFilter;

use crate::{api::Service, product::PLANS, product::Product};

/// The customers with their plans, and the keys with their database and format.
async fn open() -> anyhow::Result<(Product, KeyManagerBuilder)> {
    let url = setting("DATABASE_URL", "sqlite:platform.db");
    // One format for all customers: 26 random characters and 6 of a checksum, by which scanners recognize leaked keys.
    let format = KeyFormat::builder(setting("KEY_PREFIX", "plt")).length(32).checksum(Checksum::Crc32);
    let format = format.environment("live").environment("staging").environment("dev").build().context("KEY_PREFIX")?;
    let store = SqlStore::connect(&url).await.context("DATABASE_URL")?;
    let product = Product::open(&url).await.context("DATABASE_URL")?;
    let plans = product.clone();
    let keys = KeyManager::builder(store)
        .format(format)
        // Keys need no scope here. The scopes that manage keys are known all the same.
        .catalog(ScopeCatalog::new())
        .limits(move |organization| plans.clone().limits(organization))
        // Members are alerted to keys that expire, age, lie unused or are used as never before, on webhooks of theirs, too.
        .webhooks(Webhooks::new()?)
        // Each request with its key, so that customers see what a key did. Requests never wait for it.
        .activity(ActivitySettings::new())
        .authenticator(|authenticator| authenticator.realm("platform"));
    Ok((product, keys))
}

/// A product whose customers manage their own API keys. Without a command it serves
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Manage API keys, of the customer that --organization names
    Keys(Box<KeysCommand>),
    /// Create a customer, or change its plan: free, team or enterprise
    SetPlan {
        organization: OrganizationId,
        #[arg(value_parser = PLANS.map(|(name, _)| name))]
        plan: String,
    },
    /// Let somebody sign in, or give a member another password, which ends their sessions. The password is asked for, or
    /// read from standard input
    #[command(visible_alias = "set-password")]
    AddMember { organization: OrganizationId, email: String },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is reserved for addresses and, on request, for keys.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    // The operator's own. Every customer is another organization.
    let own = OrganizationId::new("main")?;
    match arguments.command {
        None => serve(own).await?,
        Some(Command::Keys(keys)) => return Ok(keys.run(&open().await?.1.without_requests().build()?, &own).await),
        Some(Command::SetPlan { organization, plan }) => open().await?.0.set(organization, &plan, None).await?,
        Some(Command::AddMember { organization, email }) => {
            let password = match io::stdin().is_terminal() {
                true => rpassword::prompt_password("Password: ")?,
                false => io::stdin().lines().next().context("no password")??,
            };
            open().await?.0.set_member(&organization, &email, &password).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(own: OrganizationId) -> anyhow::Result<()> {
    let output: KeyOutput = setting("KEY_OUTPUT", "terminal").parse().context("KEY_OUTPUT")?;
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    let client_timeout = Duration::from_secs(seconds.get().into());
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    let (product, keys) = open().await?;
    let (keys, host) = (keys.build()?, Actor::host("service", own)?);
    // The first key has all scopes. It is created once in the life of the database, if it can be shown.
    if let Err(error) = output.check() {
        tracing::info!(%error, "no first key is made; the command `keys issue` makes keys");
    } else if let Some(key) = keys.bootstrap(&host, NewKey::new("bootstrap").scopes(["*"])).await? {
        key.show(&output)?;
    }
    let service = Service { product, keys: keys.clone() };
    let app = Router::new()
        .merge(api::routes(&keys))
        .merge(pages::routes())
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, client_timeout))
        .nest_service("/keys", pages::console(&service))
        .layer(pages::sessions(service.product.clone()))
        .route("/healthz", get(async || "ok"))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such route."))
        // Outermost, so that clients that are still sending a body receive the response.
        .layer(LingerLayer::new())
        .with_state(service);
    // `axum::serve` would wait for slow clients without a limit.
    let handle = axum_server::Handle::new();
    stop_on_signal(handle.clone())?;
    let address = listener.local_addr()?;
    println!("manage keys at http://{address}/keys/\nlistening on http://{address}");
    let mut server = axum_server::from_tcp(listener)?.handle(handle).first_request_timeout(client_timeout);
    server.http_builder().http1().header_read_timeout(client_timeout);
    server.serve(app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    // Writes the remaining usage.
    keys.shutdown().await;
    Ok(())
}

/// Stops the server on Ctrl-C or SIGTERM.
fn stop_on_signal(handle: axum_server::Handle<SocketAddr>) -> io::Result<()> {
    #[cfg(unix)]
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        #[cfg(unix)]
        select! { _ = signal::ctrl_c() => {}, _ = terminate.recv() => {} }
        #[cfg(not(unix))]
        let _ = signal::ctrl_c().await;
        tracing::info!("stopping; requests in progress finish");
        // A client that never finishes must not delay the shutdown.
        handle.graceful_shutdown(Some(Duration::from_secs(10)));
    });
    Ok(())
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
