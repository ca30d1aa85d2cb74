//! What both programs do at their start and at their end.

use std::{env, future::Future, io, pin::pin, process::ExitCode, time::Duration};

use axum::{Router, serve::Listener};
use axum_apikey::BoxError;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, time::timeout};
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

/// How long clients may take, as `CLIENT_TIMEOUT` says: for the head of a request, for its body, and for the rest of one that
/// is refused.
///
/// # Errors
///
/// When the setting is wrong.
pub fn client_timeout() -> Result<Duration, BoxError> {
    let seconds = setting("CLIENT_TIMEOUT", "30").parse().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).filter(|time| !time.is_zero());
    time.ok_or_else(|| "CLIENT_TIMEOUT: must be a number of seconds".into())
}

/// Serves `app` until Ctrl-C, or until the system asks the process to stop. Clients have so long for the head of a request;
/// `axum::serve` would wait for ever.
///
/// # Errors
///
/// When signals can't be caught.
pub async fn serve(mut listener: TcpListener, app: Router, client_timeout: Duration) -> Result<(), BoxError> {
    let stop = stop_signal()?;
    println!("listening on http://{}", listener.local_addr()?);
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
