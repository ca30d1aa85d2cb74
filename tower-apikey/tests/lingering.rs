//! Unread bodies: what happens to them, and what their clients see. `tests/uploads` of the workspace tests the same
//! with sockets and real clients.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    convert::Infallible,
    future::{Ready, pending, ready},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, header::CONNECTION};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_apikey::{
    ApiKeyLayer, LingerBody, LingerLayer, Lingering, RequireScopeLayer, Requirement, TestKey, TestKeys, caller, refusal,
};

/// What happened to an [`Upload`].
#[derive(Default)]
struct Seen {
    bytes: AtomicUsize,
    ended: AtomicBool,
    dropped: AtomicBool,
}

impl Seen {
    fn was_read(&self) -> bool {
        self.ended.load(SeqCst) && self.dropped.load(SeqCst)
    }

    fn was_thrown_away_after(&self, bytes: usize) -> bool {
        !self.ended.load(SeqCst) && self.dropped.load(SeqCst) && self.bytes.load(SeqCst) == bytes
    }
}

/// Chunks of a kilobyte. After the last one, the body ends or stalls.
struct Upload {
    chunks: usize,
    ends: bool,
    seen: Arc<Seen>,
}

const CHUNK: &[u8] = &[0; 1024];

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match (self.chunks.checked_sub(1), self.ends) {
            (Some(left), _) => {
                self.chunks = left;
                self.seen.bytes.fetch_add(CHUNK.len(), SeqCst);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(CHUNK)))))
            }
            (None, true) => {
                self.seen.ended.store(true, SeqCst);
                Poll::Ready(None)
            }
            (None, false) => Poll::Pending,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.seen.dropped.store(true, SeqCst);
    }
}

fn upload(chunks: usize, ends: bool) -> (Request<Upload>, Arc<Seen>) {
    let seen = Arc::<Seen>::default();
    let body = Upload { chunks, ends, seen: Arc::clone(&seen) };
    (Request::post("/").body(body).unwrap(), seen)
}

fn with_key<B>(mut request: Request<B>, key: &TestKey) -> Request<B> {
    request.headers_mut().insert("authorization", key.authorization().parse().unwrap());
    request
}

type Answer = Result<Response<Full<Bytes>>, Infallible>;

/// Answers immediately, without reading the body.
async fn refuse<B>(_: Request<B>) -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    Ok(response)
}

fn closes<B>(response: &Response<B>) -> bool {
    response.headers().get(CONNECTION).is_some_and(|value| value == "close")
}

/// Lets background tasks run.
async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn given_a_body_that_is_let_go_of_when_answered_then_it_is_read_and_http_1_closes() {
    for (version, announced) in
        [(Version::HTTP_10, true), (Version::HTTP_11, true), (Version::HTTP_2, false), (Version::HTTP_3, false)]
    {
        let (mut request, seen) = upload(8, true);
        *request.version_mut() = version;
        let response = LingerLayer::new().layer(service_fn(refuse)).oneshot(request).await.unwrap();
        assert_eq!((response.status().as_u16(), closes(&response)), (413, announced), "{version:?}");
        settle().await;
        assert!(seen.was_read(), "{version:?}");
    }
}

#[tokio::test]
async fn given_a_body_that_the_service_reads_when_answered_then_the_connection_goes_on() {
    let (request, seen) = upload(8, true);
    let read = service_fn(async |request: Request<LingerBody<Upload>>| {
        let read = request.into_body().collect().await.unwrap().to_bytes();
        Answer::Ok(Response::new(read.into()))
    });
    let response = LingerLayer::new().layer(read).oneshot(request).await.unwrap();
    assert!(!closes(&response) && seen.was_read());
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 8 * CHUNK.len());
}

#[tokio::test]
async fn given_a_body_that_is_still_read_when_answered_then_the_answer_says_nothing_and_the_rest_is_read_later() {
    let (request, seen) = upload(8, true);
    let held = Arc::new(Mutex::new(None));
    let hold = service_fn(|request: Request<LingerBody<Upload>>| {
        let mut body = request.into_body();
        assert!(Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())).is_ready());
        *held.lock().unwrap() = Some(body);
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let response = LingerLayer::new().layer(hold).oneshot(request).await.unwrap();
    settle().await;
    assert!(!closes(&response) && seen.bytes.load(SeqCst) == CHUNK.len());
    drop(held.lock().unwrap().take());
    settle().await;
    assert!(seen.was_read());
}

#[tokio::test]
async fn given_a_body_that_is_let_go_of_before_the_answer_then_it_is_read_after_it_or_dropped_without_one() {
    for is_answered in [true, false] {
        let (request, seen) = upload(8, true);
        let slow = service_fn(async |request: Request<LingerBody<Upload>>| {
            drop(request);
            tokio::task::yield_now().await;
            Answer::Ok(Response::default())
        });
        let mut call = Box::pin(LingerLayer::new().layer(slow).call(request));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        settle().await;
        assert!(!seen.dropped.load(SeqCst) && seen.bytes.load(SeqCst) == 0);
        match is_answered {
            true => assert!(closes(&call.await.unwrap())),
            false => drop(call),
        }
        settle().await;
        assert_eq!((seen.was_read(), seen.was_thrown_away_after(0)), (is_answered, !is_answered));
    }
}

#[tokio::test]
async fn given_http_2_when_the_answer_is_no_error_then_the_stream_ends_at_once() {
    for (holds, status) in [(false, 200), (false, 503), (true, 200), (true, 408)] {
        let (mut request, seen) = upload(8, true);
        *request.version_mut() = Version::HTTP_2;
        let held = Arc::new(Mutex::new(None));
        let answer = service_fn(|request: Request<LingerBody<Upload>>| {
            *held.lock().unwrap() = holds.then_some(request);
            ready(Ok::<_, Infallible>(Response::builder().status(status).body(Full::<Bytes>::default()).unwrap()))
        });
        assert!(!closes(&LingerLayer::new().layer(answer).oneshot(request).await.unwrap()));
        settle().await;
        // A timeout outside answers for the service, and then drops it.
        assert_eq!(seen.dropped.load(SeqCst), !holds);
        drop(held.lock().unwrap().take());
        settle().await;
        assert_eq!((seen.was_read(), seen.was_thrown_away_after(0)), (status >= 400, status < 400), "{status}");
    }
}

#[tokio::test]
async fn given_a_client_that_waits_to_continue_when_refused_then_its_body_is_not_asked_for() {
    for expect in ["100-continue", "100-Continue"] {
        let (mut request, seen) = upload(8, true);
        request.headers_mut().insert("expect", expect.parse().unwrap());
        let response = LingerLayer::new().layer(service_fn(refuse)).oneshot(request).await.unwrap();
        settle().await;
        assert!(closes(&response) && seen.was_thrown_away_after(0));
    }
    // Once the body was polled, the server has sent `100 Continue`.
    let (mut request, seen) = upload(8, true);
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    let begin = service_fn(|request: Request<LingerBody<Upload>>| {
        let mut body = request.into_body();
        assert!(Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())).is_ready());
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    assert!(closes(&LingerLayer::new().layer(begin).oneshot(request).await.unwrap()));
    settle().await;
    assert!(seen.was_read());
}

#[tokio::test]
async fn given_a_bound_of_bytes_when_a_body_is_as_long_or_longer_then_it_is_read_or_thrown_away() {
    let bounded = LingerLayer::new().lingering(Lingering::new().max_bytes(4 * CHUNK.len() as u64));
    for (chunks, is_read) in [(4, true), (5, false)] {
        let (request, seen) = upload(chunks, true);
        assert!(closes(&bounded.layer(service_fn(refuse)).oneshot(request).await.unwrap()));
        settle().await;
        assert_eq!((seen.was_read(), seen.was_thrown_away_after(5 * CHUNK.len())), (is_read, !is_read));
    }
}

#[tokio::test(start_paused = true)]
async fn given_a_client_that_never_sends_the_rest_when_its_time_is_over_then_it_is_thrown_away() {
    for (layer, seconds) in
        [(LingerLayer::new(), 10), (LingerLayer::new().lingering(Lingering::new().max_time(Duration::from_secs(2))), 2)]
    {
        let (request, seen) = upload(1, false);
        layer.layer(service_fn(refuse)).oneshot(request).await.unwrap();
        sleep(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
        assert!(!seen.dropped.load(SeqCst));
        sleep(Duration::from_millis(2)).await;
        assert!(seen.was_thrown_away_after(CHUNK.len()));
    }
}

#[tokio::test]
async fn given_more_at_once_than_the_bound_when_refused_then_the_others_are_thrown_away_and_closed() {
    let layer = LingerLayer::new().lingering(Lingering::new().max_at_once(2));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (request, one) = upload(1, false);
        // Clones share the limit.
        assert!(closes(&layer.clone().layer(service_fn(refuse)).oneshot(request).await.unwrap()));
        seen.push(one);
    }
    settle().await;
    assert_eq!(seen.iter().map(|seen| seen.dropped.load(SeqCst)).collect::<Vec<_>>(), [false, false, true]);
    let (request, off) = upload(1, true);
    let response =
        LingerLayer::new().lingering(Lingering::off()).layer(service_fn(refuse)).oneshot(request).await.unwrap();
    assert!(closes(&response) && off.was_thrown_away_after(0));
}

#[tokio::test]
async fn given_a_layer_s_own_refusal_when_a_body_comes_with_it_then_it_is_read_and_the_connection_closed() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let service = ApiKeyLayer::new(keys.authenticator())
        .layer(RequireScopeLayer::new(Requirement::all(["files:write"]).unwrap()).layer(service_fn(refuse)));
    let refused = async |request: Request<Upload>, seen: Arc<Seen>, status: u16| {
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!((response.status().as_u16(), closes(&response)), (status, true));
        settle().await;
        assert!(seen.was_read(), "{status}");
    };
    // Refusals: immediately, for a scope, and after a lookup.
    let (request, seen) = upload(8, true);
    refused(request, seen, 401).await;
    let (request, seen) = upload(8, true);
    refused(with_key(request, &key), seen, 403).await;
    keys.revoke(&key);
    keys.authenticator().forget_refused();
    let calls = keys.resolver_calls();
    let (request, seen) = upload(8, true);
    refused(with_key(request, &key), seen, 401).await;
    assert_eq!(keys.resolver_calls(), calls + 1);
    // A client that waits for `100 Continue`.
    let (mut request, seen) = upload(8, true);
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    assert!(closes(&service.clone().oneshot(request).await.unwrap()) && seen.was_thrown_away_after(0));
}

#[tokio::test]
async fn given_a_layer_s_own_bounds_when_it_refuses_then_they_hold() {
    let keys = TestKeys::new();
    let bounds = Lingering::new().max_bytes(CHUNK.len() as u64);
    let layer = ApiKeyLayer::new(keys.authenticator()).lingering(bounds.clone());
    let (request, seen) = upload(8, true);
    layer.layer(service_fn(refuse)).oneshot(request).await.unwrap();
    settle().await;
    assert!(seen.was_thrown_away_after(2 * CHUNK.len()));
    let guard = RequireScopeLayer::new(Requirement::all(["a"]).unwrap()).lingering(bounds);
    let (request, seen) = upload(8, true);
    assert_eq!(guard.layer(service_fn(refuse)).oneshot(request).await.unwrap().status(), 500);
    settle().await;
    assert!(seen.was_thrown_away_after(2 * CHUNK.len()));
}

#[tokio::test]
async fn given_no_body_or_no_refusal_when_answered_then_no_layer_closes_the_connection() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let layer = ApiKeyLayer::new(keys.authenticator());
    for body in ["", "read"] {
        let handler = service_fn(async |request: Request<LingerBody<String>>| {
            drop(request.into_body().collect().await);
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let request = with_key(Request::post("/").body(body.to_owned()).unwrap(), &key);
        let response = LingerLayer::new().layer(layer.layer(handler)).oneshot(request).await.unwrap();
        assert!(response.status() == 200 && !closes(&response));
    }
    let request = Request::post("/").body(String::new()).unwrap();
    let response = LingerLayer::new().layer(layer.layer(service_fn(refuse))).oneshot(request).await.unwrap();
    assert!(response.status() == 401 && !closes(&response));
}

#[tokio::test]
async fn given_a_refusal_from_further_in_when_there_was_a_body_then_the_layer_closes_the_connection() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let layer = ApiKeyLayer::new(keys.authenticator());
    let extractor = service_fn(async |request: Request<Upload>| {
        let rejection = caller(request.extensions()).unwrap().require_organization("globex").unwrap_err();
        Ok::<_, Infallible>(refusal(rejection))
    });
    // The refusing service drops the body.
    let (request, seen) = upload(8, true);
    let response = layer.layer(extractor).oneshot(with_key(request, &key)).await.unwrap();
    assert!(response.status() == 404 && closes(&response) && seen.was_thrown_away_after(0));
    // A handler that ends with its key.
    let (request, seen) = upload(8, true);
    let wait = service_fn(|_request: Request<LingerBody<Upload>>| async {
        pending::<()>().await;
        refuse(_request).await
    });
    let mut service = LingerLayer::new().layer(layer.layer(wait));
    let mut call = std::pin::pin!(service.call(with_key(request, &key)));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    keys.revoke(&key);
    let response = call.await.unwrap();
    assert!(response.status() == 401 && closes(&response));
    settle().await;
    assert!(seen.was_read());
}

#[tokio::test]
async fn given_a_switch_of_protocols_when_there_is_a_body_then_its_headers_are_left() {
    let switch = service_fn(|_: Request<LingerBody<Upload>>| {
        let response = Response::builder().status(101).header(CONNECTION, "upgrade");
        ready(Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap()))
    });
    let response = LingerLayer::new().layer(switch).oneshot(upload(1, true).0).await.unwrap();
    assert_eq!(response.headers()[CONNECTION], "upgrade");
}

#[test]
fn given_no_runtime_when_a_body_is_let_go_of_then_it_is_answered_all_the_same() {
    let (request, seen) = upload(1, true);
    let mut call = std::pin::pin!(LingerLayer::new().layer(service_fn(refuse)).oneshot(request));
    let Poll::Ready(Ok(response)) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it is answered at once");
    };
    assert!(closes(&response) && seen.was_thrown_away_after(0));
}

#[tokio::test]
async fn given_a_request_without_a_body_when_it_passes_then_nothing_is_allocated() {
    #[derive(Clone)]
    struct Handler;
    impl Service<Request<LingerBody<String>>> for Handler {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = Ready<Answer>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<LingerBody<String>>) -> Self::Future {
            ready(Ok(Response::new(Full::default())))
        }
    }
    let mut service = LingerLayer::new().layer(Handler);
    let request = Request::new(String::new());
    let allocated = allocation_counter::measure(|| {
        let mut call = std::pin::pin!(service.call(request));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    });
    assert_eq!(allocated.count_total, 0);
}
