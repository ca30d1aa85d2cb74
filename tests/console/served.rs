//! A console to be tested from outside, by a tool that makes up requests. It prints its address.
//!
//! Such a tool ends the key it was given sooner or later, so `GET /fresh-key` gives it another.

use std::error::Error;

use apikey_console::Console;
use apikey_core::{KeyFormat, scopes};
use apikey_manager::{Actor, KeyManager, MemoryStore, NewKey, OrganizationId};
use axum::{Router, routing::get};
use tokio::net::TcpListener;

scopes! {
    Files { FilesRead = "files:read", FilesWrite = "files:write" }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let format = KeyFormat::builder("acme").environment("live").environment("test").build()?;
    let keys = KeyManager::builder(MemoryStore::new()).format(format).catalog(Files::catalog()).build()?;
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
