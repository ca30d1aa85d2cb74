//! When to stop: at Ctrl-C, or when the system asks. Actix's own handlers would cut requests off at Ctrl-C.

use std::io;

/// How long requests under way have to finish. A client that goes on forever must not keep the process.
pub(crate) const GRACE_SECONDS: u64 = 10;

/// A future that ends when the process should. The signals are caught from this call on.
pub(crate) fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let asked = asked()?;
    Ok(async {
        asked.await;
        tracing::info!("stopping; requests under way finish");
    })
}

#[cfg(unix)]
fn asked() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use std::{future::poll_fn, task::Poll};

    use actix_web::rt::signal::unix::{SignalKind, signal};

    let mut signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    Ok(poll_fn(move |cx| match signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    }))
}

#[cfg(windows)]
fn asked() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        // An error means that the signal can't be caught: better to stop than never to.
        let _ = actix_web::rt::signal::ctrl_c().await;
    })
}
