//! The start and the shutdown of both programs.

use std::{env, io, net::TcpListener, num::NonZeroU32, time::Duration};

use anyhow::Context;
use axum::Router;
use tokio::{select, signal};
use tracing_subscriber::filter::LevelFilter;

/// Initializes logging from `LOG`, listens on `ADDR`, and limits clients to `CLIENT_TIMEOUT`.
pub fn begin(default_address: &str) -> anyhow::Result<(TcpListener, Duration)> {
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is reserved for the address and, on request, for keys.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    let listener = TcpListener::bind(setting("ADDR", default_address)).context("ADDR")?;
    Ok((listener, Duration::from_secs(seconds.get().into())))
}

/// Serves until shutdown. `axum::serve` would wait for slow clients without a limit.
///
/// # Errors
///
/// If the system refuses a signal handler or the listener.
pub async fn serve(listener: TcpListener, app: Router, client_timeout: Duration) -> io::Result<()> {
    let (stop, handle) = (stop_signal()?, axum_server::Handle::new());
    println!("listening on http://{}", listener.local_addr()?);
    let mut server = axum_server::from_tcp(listener)?.handle(handle.clone()).first_request_timeout(client_timeout);
    server.http_builder().http1().header_read_timeout(client_timeout);
    server.http_builder().http2().keep_alive_interval(client_timeout).keep_alive_timeout(client_timeout);
    tokio::spawn(async move {
        stop.await;
        tracing::info!("stopping; requests in progress finish");
        // A client that never finishes must not delay the shutdown.
        handle.graceful_shutdown(Some(Duration::from_secs(10)));
    });
    server.serve(app.into_make_service()).await
}

/// Reads a setting from the environment.
#[must_use]
pub fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
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
