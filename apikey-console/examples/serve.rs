//! A console over keys in memory, to try the API on.
//!
//! ```text
//! cargo run -p apikey-console --example serve -- 127.0.0.1:8090
//! curl -H "authorization: Bearer $KEY" http://127.0.0.1:8090/keys/v1/whoami
//! ```
//!
//! It prints the first key, which may do everything.

use std::{env, error::Error};

use apikey_console::Console;
use apikey_core::{KeyFormat, scopes};
use apikey_manager::{Actor, KeyManager, MemoryStore, NewKey, OrganizationId};
use axum::Router;
use tokio::net::TcpListener;

scopes! {
    Files {
        /// List and download files.
        FilesRead = "files:read",
        /// Upload files.
        FilesWrite = "files:write",
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8090".to_owned());
    let format = KeyFormat::builder("acme").environment("live").environment("test").build()?;
    let keys = KeyManager::builder(MemoryStore::new()).format(format).catalog(Files::catalog()).build()?;
    let host = Actor::host("serve", OrganizationId::new("acme")?)?;
    let listener = TcpListener::bind(address).await?;
    if let Some(first) = keys.bootstrap(&host, NewKey::new("first").scopes(["*"])).await? {
        println!("http://{}/keys/v1", listener.local_addr()?);
        println!("{}", first.secret().expose_secret());
    }
    let app = Router::new().nest_service("/keys", Console::new(&keys));
    axum::serve(listener, app).await?;
    Ok(())
}
