//! The cost of ending requests with their key, for handlers that are ready immediately and for handlers that wait.
//!
//! `cargo bench -p apikey-benches --bench in_flight` (add `-- quick` for a rough result)

use std::{
    convert::Infallible,
    future::Future,
    hint::black_box,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

use apikey_benches::{keys, rounds::median};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use tower::{Layer, Service};
use tower_apikey::{ApiKeyLayer, Authenticator, Claims, KeyId, OnRevoked, PresentedKey, Resolution, resolver_fn};

/// Requests in a turn.
const BATCH: usize = 64;

/// A handler that waits this many times, with a body of this many frames.
#[derive(Clone, Copy)]
struct Handler {
    waits: u8,
    frames: u8,
}

struct Waiting {
    handler: Handler,
    request: Request<String>,
}

impl Service<Request<String>> for Handler {
    type Response = Response<Frames>;
    type Error = Infallible;
    type Future = Waiting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Waiting {
        Waiting { handler: *self, request }
    }
}

impl Future for Waiting {
    type Output = Result<Response<Frames>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.handler.waits {
            0 => {
                black_box(&self.request);
                Poll::Ready(Ok(Response::new(Frames(self.handler.frames, Full::default()))))
            }
            _ => {
                self.handler.waits -= 1;
                Poll::Pending
            }
        }
    }
}

/// A body of this many frames.
struct Frames(u8, Full<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0 {
            0 => Pin::new(&mut self.1).poll_frame(cx),
            _ => {
                self.0 -= 1;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"frame")))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0 == 0
    }
}

/// Returns nanoseconds per call, with the body read to its end.
fn turn<S, B>(service: &mut S, requests: Vec<Request<String>>) -> f64
where
    S: Service<Request<String>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
    B: Body + Unpin,
{
    let mut cx = Context::from_waker(Waker::noop());
    let count = requests.len() as f64;
    let start = Instant::now();
    for request in requests {
        let mut call = pin!(service.call(request));
        let response = loop {
            if let Poll::Ready(response) = call.as_mut().poll(&mut cx) {
                break response.expect("no error");
            }
        };
        assert!(response.status().is_success());
        let mut body = response.into_body();
        while !body.is_end_stream() {
            assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        }
    }
    start.elapsed().as_nanos() as f64 / count
}

/// Returns an authenticator that accepts every well-formed key for an hour.
fn of_keys_that_expire() -> Authenticator {
    let resolver = resolver_fn(|key: PresentedKey| {
        let expiry = SystemTime::now() + Duration::from_secs(3_600);
        let claims = KeyId::generate(SystemTime::now()).map(|id| Claims::new(id).with_expiry(expiry));
        std::future::ready(claims.map(|claims| Some(Resolution::new(key.digest().clone(), claims))))
    });
    Authenticator::builder(resolver)
        .format(keys::format())
        .cache_ttl(Duration::from_secs(3_600))
        .build()
        .expect("valid")
}

fn main() {
    // The first request of each key waits for the resolver with tokio's timer.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let quick = std::env::args().any(|arg| arg == "quick");
    let (runs, turns) = if quick { (3, 200) } else { (9, 2_000) };
    println!("ns a call with one cached key, medians of {runs} runs of {turns} turns of {BATCH} calls");
    println!("{:>28} {:>9} {:>9} {:>9} {:>14}", "", "bare", "finish", "end", "end, expires");
    for (name, waits, frames) in [
        ("ready, one frame", 0, 1),
        ("waits once, one frame", 1, 1),
        ("waits ten times, one frame", 10, 1),
        ("ready, ten frames", 0, 10),
    ] {
        let handler = Handler { waits, frames };
        let key = keys::generate(1).remove(0);
        let mut bare = handler;
        let mut finish = ApiKeyLayer::new(keys::authenticator(1_000)).on_revoked(OnRevoked::Finish).layer(handler);
        let mut end = ApiKeyLayer::new(keys::authenticator(1_000)).layer(handler);
        let mut expires = ApiKeyLayer::new(of_keys_that_expire()).layer(handler);
        let requests = || (0..BATCH).map(|_| keys::request(&key)).collect::<Vec<_>>();
        let mut results = [const { Vec::new() }; 4];
        for _ in 0..runs {
            let mut sums = [0.0; 4];
            for number in 0..turns {
                for place in 0..sums.len() {
                    let contender = (place + number) % sums.len();
                    sums[contender] += match contender {
                        0 => turn(&mut bare, requests()),
                        1 => turn(&mut finish, requests()),
                        2 => turn(&mut end, requests()),
                        _ => turn(&mut expires, requests()),
                    };
                }
            }
            for (result, sum) in results.iter_mut().zip(sums) {
                result.push(sum / turns as f64);
            }
        }
        let [bare, finish, end, expires] = results.map(|mut result| median(&mut result));
        println!("{name:>28} {bare:>9.0} {finish:>9.0} {end:>9.0} {expires:>14.0}");
    }
}
