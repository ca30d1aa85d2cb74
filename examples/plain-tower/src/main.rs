//! A file service with API keys, with hyper and tower and without a framework.
//!
//! ```console
//! $ cargo run -p plain-tower
//! ```
//!
//! The first start creates `api-keys.toml` and shows a key on the terminal, once. Then:
//!
//! ```console
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/whoami
//! $ curl -i -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"name":"hello.txt","content":"hello, world"}' http://127.0.0.1:3000/files
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/files
//! ```

mod app;

use std::{env, io, num::NonZeroU32, pin::pin, time::Duration};

use anyhow::Context;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::{server::graceful::GracefulShutdown, service::TowerToHyperService};
use tokio::{net::TcpListener, select, signal, time::timeout};
use tower_apikey::{Authenticator, Checksum, KeyFormat, KeyOutput, StaticKeys};
use tracing_subscriber::filter::LevelFilter;

/// The keys: their file, format and scopes. The first start creates a key with all scopes.
fn open_keys() -> anyhow::Result<Authenticator> {
    let output: KeyOutput = setting("KEY_OUTPUT", "terminal").parse().context("KEY_OUTPUT")?;
    let format = KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()?;
    let keys = StaticKeys::open_or_create(setting("API_KEYS_FILE", "api-keys.toml"), &format, &output)?;
    Ok(Authenticator::builder(keys).format(format).catalog(app::Scopes::catalog()).realm("files").build()?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is reserved for the address and, on request, for a key.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    let client_timeout = Duration::from_secs(seconds.get().into());
    // Bound before a key is created, so that no key is lost if the address is in use.
    let listener = TcpListener::bind(setting("ADDR", "127.0.0.1:3000")).await.context("ADDR")?;
    let app = app::app(open_keys()?, client_timeout);

    let mut stop = pin!(stop_signal()?);
    println!("listening on http://{}", listener.local_addr()?);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(client_timeout);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = select! { accepted = listener.accept() => accepted, () = &mut stop => break };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await; // out of file descriptors, mostly
            continue;
        };
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(connections.watch(http.serve_connection(TokioIo::new(stream), service)));
    }
    drop(listener);
    tracing::info!("stopping; requests in progress finish");
    // A client that never finishes must not delay the shutdown.
    let _ = timeout(Duration::from_secs(10), connections.shutdown()).await;
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
