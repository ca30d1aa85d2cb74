//! What both programs do at their start and at their end.

use std::{env, future::Future, io, process, process::ExitCode, time::Duration};

use axum::Router;
use axum_apikey::BoxError;
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

/// How long requests under way have to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Tells on standard error what went wrong, if anything did.
pub fn exit(ended: Result<(), BoxError>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Begins to log, as `LOG` says, and listens where `ADDR` says.
///
/// # Errors
///
/// When either setting is wrong, or the address is taken.
pub async fn begin(default_address: &str) -> Result<TcpListener, BoxError> {
    let log: LevelFilter = setting("LOG", "info").parse().map_err(|error| format!("LOG: {error}"))?;
    // Standard output has the address and new keys, and nothing else.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    let address = setting("ADDR", default_address);
    Ok(TcpListener::bind(&address).await.map_err(|error| format!("ADDR {address}: {error}"))?)
}

/// Serves `app` until Ctrl-C, or until the system asks the process to stop.
///
/// # Errors
///
/// When signals can't be caught.
pub async fn serve(listener: TcpListener, app: Router) -> Result<(), BoxError> {
    let stop = stop_signal()?;
    println!("listening on http://{}", listener.local_addr()?);
    let stop = async {
        stop.await;
        tracing::info!("stopping; requests under way finish");
        // A client that goes on forever, or has connected and says nothing, must not keep the process.
        tokio::spawn(async {
            tokio::time::sleep(GRACE).await;
            tracing::warn!("stopped with connections open");
            process::exit(0);
        });
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    Ok(())
}

/// A setting from the environment.
#[must_use]
pub fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// A future that ends when the process should. The signals are caught from this call on.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
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
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
