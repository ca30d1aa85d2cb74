//! What both programs do at their start and at their end.

use std::{env, io, num::NonZeroU32, pin::pin, time::Duration};

use anyhow::Context;
use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::{server::graceful::GracefulShutdown, service::TowerToHyperService};
use tokio::{net::TcpListener, select, signal, time::timeout};
use tracing_subscriber::filter::LevelFilter;

/// Begins to log, as `LOG` says, and listens where `ADDR` says. Clients may take as long as `CLIENT_TIMEOUT` says.
pub async fn begin(default_address: &str) -> anyhow::Result<(TcpListener, Duration)> {
    let log: LevelFilter = setting("LOG", "info").parse().context("LOG")?;
    // Standard output is for the address, and for keys if the operator wants them there.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let seconds: NonZeroU32 = setting("CLIENT_TIMEOUT", "30").parse().context("CLIENT_TIMEOUT")?;
    let listener = TcpListener::bind(setting("ADDR", default_address)).await.context("ADDR")?;
    Ok((listener, Duration::from_secs(seconds.get().into())))
}

/// Serves until the process should stop. `axum::serve` would wait for slow clients without end.
pub async fn serve(mut listener: TcpListener, app: Router, client_timeout: Duration) -> anyhow::Result<()> {
    let mut stop = pin!(stop_signal()?);
    println!("listening on http://{}", listener.local_addr()?);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(client_timeout);
    let connections = GracefulShutdown::new();
    loop {
        let (stream, _) = select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut stop => break,
        };
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(connections.watch(http.serve_connection(TokioIo::new(stream), service)));
    }
    drop(listener);
    tracing::info!("stopping; requests under way finish");
    // A client that never finishes must not keep the process.
    let _ = timeout(Duration::from_secs(10), connections.shutdown()).await;
    Ok(())
}

/// A setting from the environment.
#[must_use]
pub fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// Ends at Ctrl-C, or when the system asks.
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
