//! A console for tools that test it from outside with generated requests. It prints its address.
//!
//! Its keys are in memory or in its own database: the first argument is `memory`, `sqlite` or `postgres`. Such a tool
//! revokes its own key sooner or later, so `GET /fresh-key` returns another.

use std::{env, error::Error};

use apikey_console::Console;
use apikey_core::{KeyFormat, scopes};
use apikey_manager::{Actor, KeyManager, KeyManagerBuilder, MemoryStore, NewKey, OrganizationId};
use apikey_sqlx::SqlStore;
use apikey_testkit::PrivatePostgres;
use axum::{Router, routing::get};
use tokio::net::TcpListener;

scopes! {
    Files { FilesRead = "files:read", FilesWrite = "files:write" }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let builder = match env::args().nth(1).as_deref() {
        None | Some("memory") => KeyManager::builder(MemoryStore::new()),
        Some("sqlite") => on(&format!("sqlite:{}", folder.path().join("keys.db").display())).await?,
        Some("postgres") => match PrivatePostgres::shared() {
            Some(server) => on(&server.create_database()).await?,
            None => return Ok(()),
        },
        Some(other) => return Err(format!("{other}: there are memory, sqlite and postgres").into()),
    };
    let format = KeyFormat::builder("acme").environment("live").environment("test").build()?;
    let keys = builder.format(format).catalog(Files::catalog()).webhooks(support::sender::Accepts).build()?;
    let host = Actor::host("served", OrganizationId::new("acme")?)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let issuer = keys.clone();
    let fresh_key = async move || {
        let issued = issuer.issue(&host, NewKey::new("fresh").scopes(["*"])).await;
        issued.map(|issued| issued.secret().expose_secret().to_owned()).map_err(|error| error.to_string())
    };
    let console = Console::new(&keys).public_path("/keys");
    let app = Router::new().route("/fresh-key", get(fresh_key)).nest_service("/keys", console);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn on(url: &str) -> Result<KeyManagerBuilder, Box<dyn Error>> {
    Ok(KeyManager::builder(SqlStore::connect(url).await?))
}
