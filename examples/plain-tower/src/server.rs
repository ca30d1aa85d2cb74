//! Connections: taken until the process should stop, then finished.

use std::{convert::Infallible, io, time::Duration};

use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::Service;

use crate::response::Response;

/// How long requests under way have to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop` ends.
pub(crate) async fn serve<S>(listener: TcpListener, app: S, stop: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let mut http = auto::Builder::new(TokioExecutor::new());
    // With a timer, hyper gives up on clients that don't finish their headers.
    http.http1().timer(TokioTimer::new());
    http.http2().timer(TokioTimer::new());
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, mostly: there will be some when other connections end.
                tracing::error!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(app.clone());
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    tracing::info!("stopping; requests under way finish");
    // A client that goes on forever must not keep the process.
    if tokio::time::timeout(GRACE, connections.shutdown()).await.is_err() {
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
