//! Turns, rounds and medians.

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use http::Response;
use tower::Service;

/// Returns the output of a future that is ready on its first poll, like that of a cached request.
pub fn ready_now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a cached request should not wait"),
    }
}

/// Calls `service` with each of `requests`, and returns the elapsed time.
#[inline(never)]
pub fn turn<S, R, B>(service: &mut S, requests: Vec<R>) -> Duration
where
    S: Service<R, Response = Response<B>>,
    S::Error: std::fmt::Debug,
{
    let start = Instant::now();
    for request in requests {
        let response = ready_now(service.call(request)).expect("no error");
        assert!(response.status().is_success());
        black_box(response);
    }
    start.elapsed()
}

/// Returns the median, and reorders `values`.
///
/// # Panics
///
/// Panics if there are no values.
#[must_use]
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
