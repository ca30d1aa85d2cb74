//! A service with workspaces, whose owners and admins hand out API keys; with actix-web and an embedded database.
//!
//! ```console
//! $ cargo run -p workspace-api
//! ```
//!
//! The first start creates `api-keys.db` and shows a key on the terminal, once. Then:
//!
//! ```console
//! $ curl -i -X PUT -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"title":"Order 7","content":"two chairs"}' http://127.0.0.1:3000/v1/records/order-7
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/v1/records
//! $ PASSWORD=$(KEY_OUTPUT=stdout cargo run -q -p workspace-api -- add-person ada@example.com owner)
//! $ STAGING=$(KEY_OUTPUT=stdout cargo run -q -p workspace-api -- keys issue --environment staging nightly-import)
//! ```

mod people;
mod records;
mod routes;

use std::{env, io, net::TcpListener, num::NonZeroU32, process::ExitCode, time::Duration};

use actix_apikey::{Checksum, KeyFormat, KeyOutput, ScopeCatalog};
use actix_web::{App, HttpServer};
use anyhow::{Context, anyhow};
use apikey_cli::KeysCommand;
use apikey_manager::{ActivitySettings, Actor, KeyManager, KeyManagerBuilder, Limits, NewKey, OrganizationId};
use apikey_sqlx::SqlStore;
use clap::{Parser, Subcommand};
use tokio::{select, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::{people::Role, records::Store};

/// The keys: their database and format. All keys of a workspace are equal, so there are no scopes to give them.
async fn open_keys(url: &str) -> anyhow::Result<KeyManagerBuilder> {
    let store = SqlStore::connect(url).await.context("DATABASE_URL")?;
    // The environment is a label: it says where a key is used, and changes nothing about what it may do.
    let format = KeyFormat::builder("ws").environment("production").environment("staging").checksum(Checksum::Crc32);
    let keys = KeyManager::builder(store).format(format.build()?).catalog(ScopeCatalog::new());
    // A rotation ends the old value at once.
    let keys = keys.limits(async |_| Ok(Limits::new().longest_overlap(Duration::ZERO)));
    // Each request is recorded, so that after a leak people see what a key did.
    Ok(keys.activity(ActivitySettings::new()).authenticator(|authenticator| authenticator.realm("workspace")))
}

/// A service with workspaces that hand out API keys. Without a command it serves
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Manage API keys
    Keys(KeysCommand),
    /// Add a person, or give one another role and a new password, which is shown once
    AddPerson {
        /// Their e-mail address
        email: String,
        role: Role,
        /// Their workspace
        #[arg(long, default_value = "main")]
        workspace: String,
    },
}

#[actix_web::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is reserved for the address and, on request, for secrets.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let output: KeyOutput = setting("KEY_OUTPUT", "terminal").parse().context("KEY_OUTPUT")?;
    let database = setting("DATABASE_URL", "sqlite:api-keys.db");
    // The workspace of the first key, and of commands that name no other. Each workspace is an organization.
    let first = OrganizationId::new("main")?;
    match arguments.command {
        Some(Command::Keys(command)) => {
            return Ok(command.run(&open_keys(&database).await?.without_requests().build()?, &first).await);
        }
        Some(Command::AddPerson { email, role, workspace }) => {
            output.check()?;
            // Creates the database, if this is the first command.
            drop(open_keys(&database).await?);
            let added = Store::open(&database).await?.set(None, (&workspace, &email), Some(role)).await;
            let password = added.map_err(|problem| anyhow!("{problem}"))?;
            password.iter().try_for_each(|password| output.show_as(&format!("password of {email}"), password))?;
            return Ok(ExitCode::SUCCESS);
        }
        None => {}
    }
    let host = Actor::host("service", first)?;
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    let client_timeout = Duration::from_secs(seconds.get().into());
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).context("ADDR")?;
    let keys = open_keys(&database).await?.build()?;
    let store = Store::open(&database).await?;
    // The first key is created once in the life of the database, if it can be shown.
    if let Err(error) = output.check() {
        tracing::info!(%error, "no first key is made; the command `keys issue` makes keys");
    } else if let Some(key) = keys.bootstrap(&host, NewKey::new("bootstrap")).await? {
        key.show(&output)?;
    }
    let routes = routes::routes(&keys, store, client_timeout);
    let server = HttpServer::new(move || App::new().configure(&routes))
        .client_request_timeout(client_timeout)
        .client_disconnect_timeout(client_timeout)
        .shutdown_signal(stop_signal()?)
        .shutdown_timeout(10);
    let address = listener.local_addr()?;
    println!("manage keys at http://{address}/keys/");
    println!("listening on http://{address}");
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
