//! Connections: taken until the process should stop, then finished; given up where a client doesn't finish its request.

use std::{future::pending, io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, serve::Listener};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Notify, time::timeout};
use tower::ServiceExt;

/// How long requests under way have to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop` ends. Clients have so long for the head of a request; `axum::serve` would wait for ever.
pub(crate) async fn serve(
    mut listener: TcpListener,
    app: Router,
    client_timeout: Duration,
    stop: impl Future<Output = ()>,
) {
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(client_timeout);
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let (stream, _) = tokio::select! {
            // It waits a little when no more connections can be taken.
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut stop => break,
        };
        let first_request = Arc::new(Notify::new());
        let told = Arc::clone(&first_request);
        let service = TowerToHyperService::new(app.clone().map_request(move |request| {
            told.notify_one();
            request
        }));
        // With upgrades, which is what a socket begins with.
        let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                served = connection => if let Err(error) = served {
                    tracing::debug!(%error, "a connection broke");
                },
                // hyper waits for the first byte of a connection without a limit.
                () = no_request(&first_request, client_timeout) => tracing::debug!("a client has sent no request"),
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

/// Ends if there is no first request in time.
async fn no_request(first_request: &Notify, client_timeout: Duration) {
    if timeout(client_timeout, first_request.notified()).await.is_ok() {
        pending().await
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
