//! The verifier.
//!
//! ```console
//! $ cargo run -p custom-resolver --bin verifier
//! ```
//!
//! The first start makes `keys.json` and prints two keys, once. `ADDR`, `KEYS_FILE`, `CLIENT_TIMEOUT` and `LOG` are
//! settings from the environment.

use std::{path::Path, process::ExitCode};

use axum_apikey::BoxError;
use custom_resolver::{process, verifier};

#[tokio::main]
async fn main() -> ExitCode {
    process::exit(run().await)
}

async fn run() -> Result<(), BoxError> {
    let client_timeout = process::client_timeout()?;
    // Before keys are made: if the address is taken, none is lost.
    let listener = process::begin("127.0.0.1:4000").await?;
    let path = process::setting("KEYS_FILE", "keys.json");
    let (store, first_keys) = verifier::KeyStore::open(Path::new(&path)).map_err(|error| format!("{path}: {error}"))?;
    for (id, key) in first_keys {
        println!("the {id}'s key, shown only now: {}", key.expose_secret());
    }
    process::serve(listener, verifier::app(store, client_timeout)?, client_timeout).await
}
