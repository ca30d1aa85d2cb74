//! The service.
//!
//! ```console
//! $ VERIFIER_KEY=demo_live_… cargo run -p custom-resolver
//! ```

use std::env;

use anyhow::Context;
use axum_apikey::PlaintextKey;
use custom_resolver::{RemoteKeys, process, service};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (listener, client_timeout) = process::begin("127.0.0.1:3000")?;
    let key: PlaintextKey = env::var("VERIFIER_KEY").context("VERIFIER_KEY")?.parse().context("VERIFIER_KEY")?;
    let verifier = process::setting("VERIFIER_URL", "http://127.0.0.1:4000");
    let keys = RemoteKeys::new(&verifier, &key).context("VERIFIER_URL")?;
    let authenticator = service::authenticator(keys)?.build()?;
    Ok(process::serve(listener, service::app(authenticator), client_timeout).await?)
}
