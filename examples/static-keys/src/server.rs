//! Connections: taken until the process should stop, then finished; given up where a client doesn't finish its request.

use std::{io, pin::pin, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, time::timeout};

/// How long requests under way have to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop` ends. Clients have so long for the head of a request; `axum::serve` would wait for ever.
pub(crate) async fn serve(
    mut listener: TcpListener,
    app: Router,
    client_timeout: Duration,
    stop: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(client_timeout);
    let service = TowerToHyperService::new(app);
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let (stream, _) = tokio::select! {
            // It waits a little when no more connections can be taken.
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut stop => break,
        };
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    tracing::info!("stopping; requests under way finish");
    // A client that goes on forever must not keep the process.
    if timeout(GRACE, connections.shutdown()).await.is_err() {
        tracing::warn!("stopped with connections open");
    }
}

/// A future that ends at Ctrl-C, or when the system asks the process to stop. The signals are caught from this call on.
#[cfg(unix)]
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A future that ends at Ctrl-C, which is caught from this call on.
#[cfg(windows)]
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
