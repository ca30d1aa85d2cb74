//! Connections: taken until the process should stop, then finished; given up where a client doesn't finish its request.

use std::{convert::Infallible, future::pending, io, sync::Arc, time::Duration};

use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Notify, time::timeout};
use tower::{Service, ServiceExt};

use crate::response::Response;

/// How long requests under way have to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop` ends. Clients have so long for the head of a request.
pub(crate) async fn serve<S>(listener: TcpListener, app: S, client_timeout: Duration, stop: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(client_timeout);
    // Over HTTP/2, whoever doesn't answer a ping is gone, or halfway through a head, where no answer may come.
    http.http2().timer(TokioTimer::new()).keep_alive_interval(client_timeout).keep_alive_timeout(client_timeout);
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
        let first_request = Arc::new(Notify::new());
        let told = Arc::clone(&first_request);
        let service = TowerToHyperService::new(app.clone().map_request(move |request| {
            told.notify_one();
            request
        }));
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            tokio::select! {
                served = connection => if let Err(error) = served {
                    tracing::debug!(%error, "a connection broke");
                },
                // Which version of HTTP it speaks isn't known before, and hyper waits for it without a limit.
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
