//! The service.
//!
//! ```console
//! $ VERIFIER_KEY=demo_live_… cargo run -p custom-resolver
//! ```
//!
//! `VERIFIER_KEY` (a key that may `keys:resolve`), `VERIFIER_URL`, `ADDR`, `CLIENT_TIMEOUT` and `LOG` (`debug` shows why a
//! key was refused) are settings from the environment.

use std::{env, process::ExitCode};

use axum_apikey::{BoxError, PlaintextKey};
use custom_resolver::{RemoteKeys, process, service};

#[tokio::main]
async fn main() -> ExitCode {
    process::exit(run().await)
}

async fn run() -> Result<(), BoxError> {
    let listener = process::begin("127.0.0.1:3000").await?;
    let key = env::var("VERIFIER_KEY").map_err(|error| format!("VERIFIER_KEY: {error}"))?;
    let key: PlaintextKey = key.parse().map_err(|error| format!("VERIFIER_KEY: {error}"))?;
    let verifier = process::setting("VERIFIER_URL", "http://127.0.0.1:4000");
    let keys = RemoteKeys::new(&verifier, &key).map_err(|error| format!("VERIFIER_URL: {error}"))?;
    let authenticator = service::authenticator(keys)?.build()?;
    let client_timeout = process::client_timeout()?;
    process::serve(listener, service::app(authenticator, client_timeout), client_timeout).await
}
