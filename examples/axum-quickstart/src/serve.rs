//! Connections, and their end. Clients have a limited time for a request's head, for which
//! `axum::serve` waits without end.

use std::{io, pin::pin, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::{server::graceful::GracefulShutdown, service::TowerToHyperService};
use tokio::{net::TcpListener, select, signal, time::timeout};

/// Serves until the process should stop.
pub(crate) async fn serve(mut listener: TcpListener, app: Router, client_timeout: Duration) -> io::Result<()> {
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
