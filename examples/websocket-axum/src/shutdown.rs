//! When to stop: at Ctrl-C, or when the system asks.

use std::{io, process, time::Duration};

/// How long requests under way have to finish.
const GRACE: Duration = Duration::from_secs(10);

/// A future that ends when the process should. The signals are caught from this call on.
pub(crate) fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let asked = asked()?;
    Ok(async {
        asked.await;
        tracing::info!("stopping; requests under way finish");
        // A client that goes on forever, or has connected and says nothing, must not keep the process.
        tokio::spawn(async {
            tokio::time::sleep(GRACE).await;
            tracing::warn!("stopped with connections open");
            process::exit(0);
        });
    })
}

#[cfg(unix)]
fn asked() -> io::Result<impl Future<Output = ()> + Send + 'static> {
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

#[cfg(windows)]
fn asked() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
