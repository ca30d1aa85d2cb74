//! Connections over HTTP/1.1 and HTTP/2, and their end. `axum::serve` would wait for slow clients without a limit.

use std::{future::pending, io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, serve::Listener};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::{conn::auto, graceful::GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use tokio::{net::TcpListener, select, signal, sync::Notify, time::timeout};
use tower::ServiceExt;

/// Serves until the process should stop.
pub(crate) async fn serve(mut listener: TcpListener, app: Router, client_timeout: Duration) -> io::Result<()> {
    let mut stop = pin!(stop_signal()?);
    println!("listening on http://{}", listener.local_addr()?);
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(client_timeout);
    // Over HTTP/2, whoever doesn't answer a ping is gone, or halfway through a head, where no answer may come.
    http.http2().timer(TokioTimer::new()).keep_alive_interval(client_timeout).keep_alive_timeout(client_timeout);
    let connections = GracefulShutdown::new();
    loop {
        let (stream, _) = select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut stop => break,
        };
        let first_request = Arc::new(Notify::new());
        let told = Arc::clone(&first_request);
        let service = TowerToHyperService::new(app.clone().map_request(move |request| {
            told.notify_one();
            request
        }));
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service).into_owned());
        // Which version of HTTP a client speaks isn't known before its first bytes, and hyper waits for them without a limit.
        let silent = async move {
            if timeout(client_timeout, first_request.notified()).await.is_ok() {
                pending::<()>().await;
            }
        };
        tokio::spawn(async move {
            select! { _ = connection => {}, () = silent => {} }
        });
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
