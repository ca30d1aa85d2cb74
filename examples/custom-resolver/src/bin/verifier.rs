//! The verifier. The first start creates `keys.json` and shows two keys, once: the operator's and the service's.
//!
//! ```console
//! $ cargo run -p custom-resolver --bin verifier
//! ```

use std::path::Path;

use anyhow::Context;
use custom_resolver::{process, verifier};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Bound before keys are created, so that none is lost if the address is in use.
    let (listener, client_timeout) = process::begin("127.0.0.1:4000")?;
    let output = process::setting("KEY_OUTPUT", "terminal").parse().context("KEY_OUTPUT")?;
    let path = process::setting("KEYS_FILE", "keys.json");
    let store = verifier::KeyStore::open(Path::new(&path), &output).context(path)?;
    Ok(process::serve(listener, verifier::app(store, client_timeout)?, client_timeout).await?)
}
