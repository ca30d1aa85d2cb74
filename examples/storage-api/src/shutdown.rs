//! When to stop: at Ctrl-C, or when the system asks.

use std::{io, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::oneshot};

/// How long requests under way have to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop` ends and the requests under way are answered, or have had their time.
pub(crate) async fn serve_until(
    stop: impl Future<Output = ()> + Send + 'static,
    listener: TcpListener,
    app: Router,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let stop = async {
        stop.await;
        tracing::info!("stopping; requests under way finish");
        let _ = stopping.send(());
    };
    // A client that goes on forever, or has connected and says nothing, must not keep the process.
    let patience = async {
        let _ = stopped.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = axum::serve(listener, app).with_graceful_shutdown(stop).into_future() => served,
        () = patience => {
            tracing::warn!("stopped with connections open");
            Ok(())
        }
    }
}

/// A future that ends when the process should. The signals are caught from this call on.
#[cfg(unix)]
pub(crate) fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
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

/// A future that ends when the process should. Ctrl-C is caught from this call on.
#[cfg(windows)]
pub(crate) fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
