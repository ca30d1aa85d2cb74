//! Handlers and bodies in progress when their key dies, as actix's services see them.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix_apikey::{ApiKeyMiddleware, ApiKeyRejection, BodyError, LastFrame, OnRevoked, Refusal, TestKey, TestKeys};
use actix_web::{
    App, HttpResponse,
    body::{self, BodySize, MessageBody},
    dev::Service,
    test::{self, TestRequest},
    web,
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};

use crate::support::Answer;

async fn waits() -> &'static str {
    std::future::pending::<()>().await;
    "never"
}

fn request(key: &TestKey, method: actix_web::http::Method) -> TestRequest {
    TestRequest::default().method(method).uri("/waits").insert_header(("authorization", key.authorization()))
}

/// Calls the service, revokes the key while its handler waits, and returns the result.
macro_rules! cut {
    ($app:expr, $keys:expr, $method:expr) => {{
        let key = $keys.key(["a"]);
        let mut call = pin!($app.call(request(&key, $method).to_request()));
        // The first poll looks the key up and starts the handler.
        assert!(call.as_mut().now_or_never().is_none());
        $keys.revoke(&key);
        (call.now_or_never().expect("a revocation is noticed at once"), key)
    }};
}

#[actix_web::test]
async fn given_a_handler_that_waits_when_its_key_is_revoked_then_the_error_is_rendered_as_the_response_would_be() {
    for with_responder in [false, true] {
        let keys = TestKeys::new();
        let layer = ApiKeyMiddleware::new(keys.authenticator());
        let layer = match with_responder {
            true => layer.responder(|rejection| Refusal::new("text/plain", format!("no: {}", rejection.code()))),
            false => layer,
        };
        let route = || web::resource("/waits").route(web::to(waits));
        let by_error = test::init_service(App::new().service(route()).wrap(layer.clone())).await;
        let by_response = test::init_service(App::new().service(route().wrap(layer.keep_request(true)))).await;
        for method in [actix_web::http::Method::GET, actix_web::http::Method::HEAD] {
            let (error, _) = cut!(by_error, keys, method.clone());
            let Err(error) = error else { panic!("nobody has kept the request") };
            assert!(error.as_error::<ApiKeyRejection>().is_some());
            let rendered = error.as_response_error().error_response();
            let (response, key) = cut!(by_response, keys, method.clone());
            let response = Answer::of(response.unwrap()).await;
            assert_eq!((rendered.status().as_u16(), response.status), (401, 401));
            assert_eq!(rendered.body().size(), response.size);
            for name in ["www-authenticate", "content-type", "cache-control"] {
                let value = rendered.headers().get(name).map(|value| value.to_str().unwrap());
                assert_eq!(value, response.header(name), "{name}");
            }
            let body = body::to_bytes(rendered.into_body()).await.unwrap_or_default();
            assert_eq!(body, response.body);
            // The same as the answer to a new request.
            let refused = test::call_service(&by_response, request(&key, method).to_request()).await;
            assert_eq!(Answer::of(refused).await.text(), response.text());
        }
    }
}

/// A body that belongs to one thread and never ends.
struct OneThreads {
    polls: Rc<Cell<usize>>,
    _alive: Rc<()>,
}

impl MessageBody for OneThreads {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.polls.set(self.polls.get() + 1);
        Poll::Ready(Some(Ok(Bytes::from_static(b"x"))))
    }
}

type Boxed = Pin<Box<dyn MessageBody<Error = BodyError>>>;

fn poll(body: &mut Boxed) -> Poll<Option<Result<Bytes, BodyError>>> {
    body.as_mut().poll_next(&mut Context::from_waker(Waker::noop()))
}

/// What a handler chooses for its response's body.
#[derive(Clone, Copy)]
enum Choice {
    Say(&'static str),
    Finish,
}

/// Returns a response body in progress, and a handle that shows whether the service's own body is alive.
async fn under_way(
    keys: &TestKeys,
    key: &TestKey,
    choice: Option<Choice>,
) -> (Boxed, std::rc::Weak<()>, Rc<Cell<usize>>) {
    let (alive, polls) = (Rc::new(()), Rc::new(Cell::new(0)));
    let weak = Rc::downgrade(&alive);
    let made = Rc::new(RefCell::new(Some(OneThreads { polls: Rc::clone(&polls), _alive: alive })));
    let handler = move || {
        let mut response = HttpResponse::Ok().body(made.take().unwrap());
        match choice {
            Some(Choice::Say(last)) => drop(response.extensions_mut().insert(LastFrame::new(last))),
            Some(Choice::Finish) => drop(response.extensions_mut().insert(OnRevoked::Finish)),
            None => {}
        }
        async { response }
    };
    let layer = ApiKeyMiddleware::new(keys.authenticator());
    let app = test::init_service(App::new().default_service(web::to(handler)).wrap(layer)).await;
    let response = app.call(request(key, actix_web::http::Method::GET).to_request()).await.unwrap();
    (Box::pin(response.into_body()), weak, polls)
}

#[actix_web::test]
async fn given_a_body_that_nobody_polls_when_its_key_is_revoked_then_it_is_dropped_on_its_own_thread() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let (mut body, alive, polls) = under_way(&keys, &key, None).await;
    for _ in 0..2 {
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    }
    let revoker = std::thread::spawn({
        let keys = keys.clone();
        move || keys.revoke(&key)
    });
    revoker.join().unwrap();
    for _ in 0..10 {
        actix_web::rt::task::yield_now().await;
    }
    assert_eq!((alive.strong_count(), polls.get()), (0, 2));
    let Poll::Ready(Some(Err(error))) = poll(&mut body) else { panic!("half is taken for whole") };
    assert!(error.is_revoked());
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
}

#[test]
fn given_a_runtime_that_is_not_actix_s_when_a_key_is_revoked_then_the_body_ends_when_it_is_polled() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let keys = TestKeys::new();
        let key = keys.key(["a"]);
        let (mut body, alive, polls) = under_way(&keys, &key, Some(Choice::Say("that was all"))).await;
        for _ in 0..2 {
            assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
        }
        keys.revoke(&key);
        let Poll::Ready(Some(Ok(last))) = poll(&mut body) else { panic!("there is a last frame") };
        assert_eq!((&*last, alive.strong_count(), polls.get()), (&b"that was all"[..], 0, 2));
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
    });
}

#[actix_web::test]
async fn given_a_body_when_its_key_dies_before_it_is_polled_then_its_first_frame_passes_and_no_more() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let (mut body, alive, _) = under_way(&keys, &key, None).await;
    keys.revoke(&key);
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(_)))) && alive.strong_count() == 0);
}

#[actix_web::test]
async fn given_a_response_that_finishes_when_its_key_dies_then_its_body_goes_on() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let (mut body, alive, _) = under_way(&keys, &key, Some(Choice::Finish)).await;
    keys.revoke(&key);
    for _ in 0..3 {
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    }
    assert_eq!(alive.strong_count(), 1);
}

#[actix_web::test]
async fn given_bodies_of_every_size_when_let_through_then_their_size_and_content_are_as_they_were() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let chunks = || stream::iter(["a", "b"]).map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk)));
    type Make = fn() -> HttpResponse;
    let cases: [(Make, BodySize, &str); 3] = [
        (|| HttpResponse::Ok().body("ab"), BodySize::Sized(2), "ab"),
        (|| HttpResponse::Ok().finish(), BodySize::Sized(0), ""),
        (|| HttpResponse::Ok().body(body::None::new()), BodySize::None, ""),
    ];
    let ask = async |handler: Box<dyn Fn() -> HttpResponse>| {
        let handler: Rc<dyn Fn() -> HttpResponse> = handler.into();
        let app = App::new().default_service(web::to(move || std::future::ready(handler())));
        let app = test::init_service(app.wrap(ApiKeyMiddleware::new(keys.authenticator()))).await;
        let request = request(&key, actix_web::http::Method::GET);
        Answer::of(test::call_service(&app, request.to_request()).await).await
    };
    for (make, size, text) in cases {
        let answer = ask(Box::new(make)).await;
        assert_eq!((answer.size, answer.text()), (size, text));
    }
    let streamed = ask(Box::new(move || HttpResponse::Ok().streaming(chunks()))).await;
    assert_eq!((streamed.size, streamed.text()), (BodySize::Stream, "ab"));
    let sized = ask(Box::new(move || HttpResponse::Ok().body(body::SizedStream::new(2, chunks())))).await;
    assert_eq!((sized.size, sized.text()), (BodySize::Sized(2), "ab"));
}
