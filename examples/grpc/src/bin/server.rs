//! The ledger's server.
//!
//! ```console
//! $ cargo run -p grpc --bin server
//! ```

use std::{env, io, num::NonZeroU32, time::Duration};

use anyhow::Context;
use grpc::server::{Scopes, serve};
use tokio::{net::TcpListener, select, signal, sync::Notify, time::sleep};
use tower_apikey::{Authenticator, Checksum, KeyFormat, KeyOutput, StaticKeys};
use tracing_subscriber::filter::LevelFilter;

/// The keys: their file, format and scopes. The first start creates a key with all scopes.
fn open_keys() -> anyhow::Result<Authenticator> {
    let output: KeyOutput = setting("KEY_OUTPUT", "terminal").parse().context("KEY_OUTPUT")?;
    let format = KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()?;
    let keys = StaticKeys::open_or_create(setting("API_KEYS_FILE", "api-keys.toml"), &format, &output)?;
    Ok(Authenticator::builder(keys).format(format).catalog(Scopes::catalog()).build()?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is reserved for the address and, on request, for a key.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:50051")).await.context("ADDR")?;
    let (authenticator, stopping) = (open_keys()?, Notify::new());
    let stop = stop_signal()?;
    let stop = async {
        stop.await;
        tracing::info!("stopping; requests in progress finish");
        stopping.notify_one();
    };
    println!("listening on http://{}", listener.local_addr()?);
    select! {
        served = serve(listener, authenticator, Duration::from_secs(seconds.get().into()), stop) => served?,
        // A client that never finishes or never sends anything must not delay the shutdown.
        () = async { stopping.notified().await; sleep(Duration::from_secs(10)).await } => {}
    }
    Ok(())
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
