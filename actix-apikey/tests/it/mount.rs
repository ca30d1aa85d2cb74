//! A mounted tower service: what it sees of a request, and that both bodies respect backpressure.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Ready, pending, poll_fn, ready},
    io,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_apikey::{ApiKeyMiddleware, AuthenticatedKey, RequestBody, TestKeys, mount};
use actix_web::{
    App,
    body::MessageBody,
    dev::{Payload, Service},
    http::{ConnectionType, Method},
    test,
    test::TestRequest,
    web,
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tower::{ServiceExt, service_fn};

use crate::support::{Answer, body_of, exchange, get, header_of, serve, soon};

/// Describes the request.
async fn describe(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    let (parts, body) = request.into_parts();
    let key = parts.extensions.get::<AuthenticatedKey>().map_or("nobody".to_owned(), |key| key.key_id().to_string());
    let tags: Vec<_> = parts.headers.get_all("x-tag").iter().map(|tag| tag.to_str().unwrap()).collect();
    let body = body.collect().await.unwrap().to_bytes();
    Ok(Response::new(format!(
        "{} {} {:?} {key} [{}] {}",
        parts.method,
        parts.uri,
        parts.version,
        tags.join("|"),
        String::from_utf8_lossy(&body),
    )))
}

/// Sends the request's body back as it arrives.
async fn echo(request: Request<RequestBody>) -> Result<Response<RequestBody>, Infallible> {
    Ok(Response::new(request.into_body()))
}

macro_rules! app {
    ($($service:expr),+) => {
        test::init_service(App::new()$(.service($service))+).await
    };
}

macro_rules! ask {
    ($app:expr, $request:expr) => {
        Answer::of(test::call_service(&$app, $request.to_request()).await).await
    };
}

#[actix_web::test]
async fn given_a_prefix_when_asked_below_it_then_the_service_sees_the_rest_as_it_was_sent() {
    let app = app!(
        web::resource("/keys/mine").to(async || "an earlier service"),
        mount("/keys", service_fn(describe)),
        mount("slashes/", service_fn(describe)),
        web::scope("/v1/{organization}")
            .service(mount("/keys", service_fn(describe)))
            .service(mount("", service_fn(describe)))
    );
    let cases = [
        ("/keys", "/"),
        ("/keys/", "/"),
        ("/keys?page=2&q=%2Fkeys", "/?page=2&q=%2Fkeys"),
        ("/keys/7/secrets?all", "/7/secrets?all"),
        ("/keys/a%20b/%2F%25", "/a%20b/%2F%25"),
        ("/k%65ys/7", "/7"),
        ("/keys//7/", "//7/"),
        ("/slashes/7", "/7"),
        ("/v1/acme/keys/7", "/7"),
        ("/v1/acme%20inc/keys", "/"),
        ("/v1/acme/other/7", "/other/7"),
        ("/v1/acme", "/"),
    ];
    for (uri, expected) in cases {
        let answer = ask!(app, get(uri, None));
        assert_eq!(answer.text(), format!("GET {expected} HTTP/1.1 nobody [] "), "{uri}");
    }
    assert_eq!(ask!(app, get("/keys/mine", None)).text(), "an earlier service");
    for uri in ["/keysmith", "/", "/v1"] {
        assert_eq!(ask!(app, get(uri, None)).status, 404, "{uri}");
    }
}

#[actix_web::test]
async fn given_a_request_when_carried_over_then_nothing_of_it_is_lost() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let app = app!(
        web::scope("/closed")
            .wrap(ApiKeyMiddleware::new(keys.authenticator()))
            .service(mount("", service_fn(describe))),
        mount("/open", service_fn(describe))
    );
    let request = || {
        TestRequest::default()
            .method(Method::from_bytes(b"PROPFIND").unwrap())
            .insert_header(("authorization", key.authorization()))
            .append_header(("x-tag", "b"))
            .append_header(("x-tag", "a"))
            .set_payload("content")
    };
    let answer = ask!(app, request().uri("/closed/a"));
    assert_eq!(answer.text(), format!("PROPFIND /a HTTP/1.1 {} [b|a] content", key.id()));
    let answer = ask!(app, request().uri("/open/a"));
    assert_eq!(answer.text(), "PROPFIND /a HTTP/1.1 nobody [b|a] content", "no middleware, no key");
    let answer = ask!(app, TestRequest::get().version(actix_web::http::Version::HTTP_10).uri("/open"));
    assert_eq!(answer.text(), "GET / HTTP/1.0 nobody [] ");
    assert_eq!(ask!(app, get("/closed", None)).status, 401);
}

#[actix_web::test]
async fn given_a_response_when_carried_back_then_status_headers_and_connection_are_the_service_s() {
    let service = service_fn(async |_: Request<RequestBody>| {
        Response::builder()
            .status(418)
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("connection", "close")
            .body(Full::new(Bytes::from_static(b"stout")))
    });
    let app = app!(mount("/", service));
    let response = test::call_service(&app, get("/", None).to_request()).await;
    assert_eq!(response.response().head().connection_type(), ConnectionType::Close);
    let answer = Answer::of(response).await;
    assert_eq!((answer.status, answer.text()), (418, "stout"));
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

/// Ready only on the second poll, or never. It must not be called before.
#[derive(Clone)]
struct Reluctant {
    asked: usize,
    fails: bool,
}

impl tower::Service<Request<RequestBody>> for Reluctant {
    type Response = Response<String>;
    type Error = io::Error;
    type Future = Ready<io::Result<Response<String>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.asked += 1;
        match (self.asked, self.fails) {
            (1, _) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            (_, false) => Poll::Ready(Ok(())),
            (_, true) => Poll::Ready(Err(io::Error::other("the pool at 10.0.0.7 is closed"))),
        }
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        assert!(self.asked >= 2, "called before it was ready");
        ready(Ok(Response::new("ready".to_owned())))
    }
}

#[actix_web::test]
async fn given_a_service_when_called_then_it_is_ready_and_if_it_fails_nobody_is_told_why() {
    let fails = service_fn(async |_: Request<RequestBody>| {
        Err::<Response<String>, _>(io::Error::other("the table at 10.0.0.7 is gone"))
    });
    let app = app!(
        mount("/ready", Reluctant { asked: 0, fails: false }),
        mount("/never", Reluctant { asked: 0, fails: true }),
        mount("/fails", fails),
        // It can be moved between threads, like its argument.
        mount("/boxed", service_fn(describe).boxed_clone())
    );
    for _ in 0..2 {
        assert_eq!(ask!(app, get("/ready", None)).text(), "ready");
    }
    for uri in ["/never", "/fails"] {
        let answer = ask!(app, get(uri, None));
        assert_eq!((answer.status, answer.text()), (500, ""), "{uri}");
    }
    assert_eq!(ask!(app, get("/boxed", None)).status, 200);
}

#[actix_web::test]
async fn given_frames_without_content_when_sent_then_they_don_t_end_the_body() {
    let service = service_fn(async |_: Request<RequestBody>| {
        let frames = [
            Frame::data(Bytes::new()),
            Frame::data(Bytes::from_static(b"a")),
            Frame::data(Bytes::new()),
            Frame::data(Bytes::from_static(b"b")),
            Frame::trailers(http::HeaderMap::new()),
        ];
        Ok::<_, Infallible>(Response::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)))))
    });
    let address = serve!(1, move || App::new().service(mount("", service)));
    let answer = exchange(address, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(body_of(&answer), "1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
}

#[actix_web::test]
async fn given_what_a_service_knows_of_its_body_when_framed_then_the_client_is_told_as_much() {
    let known = service_fn(async |_: Request<RequestBody>| Ok::<_, Infallible>(Response::new("12345".to_owned())));
    let unknown = service_fn(async |_: Request<RequestBody>| {
        let frames = stream::iter(["12", "345"]).map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(part))));
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    });
    let declared = service_fn(move |request| {
        unknown.oneshot(request).map(|response| {
            response.map(|mut response| {
                response.headers_mut().insert("content-length", http::HeaderValue::from_static("5"));
                response
            })
        })
    });
    let of_status = |status: u16| {
        service_fn(move |_: Request<RequestBody>| {
            ready(Response::builder().status(status).header("content-length", "5").body(Empty::<Bytes>::new()))
        })
    };
    let address = serve!(1, move || {
        App::new()
            .service(mount("/known", known))
            .service(mount("/unknown", unknown))
            .service(mount("/declared", declared))
            .service(mount("/taken", of_status(200)))
            .service(mount("/304", of_status(304)))
            .service(mount("/204", of_status(204)))
    });
    let cases = [
        ("GET /known", Some("5"), None, "12345"),
        ("HEAD /known", Some("5"), None, ""),
        ("GET /unknown", None, Some("chunked"), "2\r\n12\r\n3\r\n345\r\n0\r\n\r\n"),
        ("HEAD /unknown", None, None, ""),
        ("GET /declared", Some("5"), None, "12345"),
        ("HEAD /declared", Some("5"), None, ""),
        ("HEAD /taken", Some("5"), None, ""),
        ("GET /304", Some("5"), None, ""),
        ("GET /204", None, None, ""),
    ];
    for (line, length, encoding, body) in cases {
        let answer = exchange(address, &format!("{line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
        assert_eq!(header_of(&answer, "content-length"), length, "{line}: {answer}");
        assert_eq!(header_of(&answer, "transfer-encoding"), encoding, "{line}: {answer}");
        assert_eq!(body_of(&answer), body, "{line}");
    }
}

/// Reads until the received data ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut come = Vec::new();
    while !come.ends_with(end) {
        assert_ne!(
            soon(stream.read_buf(&mut come)).await.unwrap(),
            0,
            "closed after {:?}",
            come.escape_ascii().to_string()
        );
    }
    come
}

const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";

#[actix_web::test]
async fn given_an_echo_when_a_client_waits_for_each_chunk_then_neither_body_waits_for_its_end() {
    let address = serve!(1, || App::new().service(mount("", service_fn(echo))));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(CHUNKED).await.unwrap();
    let head = read_until(&mut stream, b"\r\n\r\n").await;
    assert!(head.starts_with(b"HTTP/1.1 200 "), "answered before the body has begun");
    for word in ["one", "two", "three"] {
        let chunk = format!("{:x}\r\n{word}\r\n", word.len());
        stream.write_all(chunk.as_bytes()).await.unwrap();
        let end = format!("{word}\r\n");
        assert_eq!(read_until(&mut stream, end.as_bytes()).await, chunk.as_bytes());
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(read_until(&mut stream, b"0\r\n\r\n").await, b"0\r\n\r\n");
}

#[actix_web::test]
async fn given_a_large_echo_when_the_client_reads_slowly_then_every_byte_comes_back_in_order() {
    const LENGTH: usize = 16 << 20;
    let address = serve!(1, || App::new().service(mount("", service_fn(echo))));
    let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
    let writer = actix_web::rt::spawn(async move {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {LENGTH}\r\n\r\n");
        writing.write_all(head.as_bytes()).await.unwrap();
        let block: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 16).collect();
        for _ in 0..LENGTH / block.len() {
            writing.write_all(&block).await.unwrap();
        }
        writing
    });
    let mut answer = Vec::new();
    let mut piece = [0; 1_000];
    loop {
        match soon(reading.read(&mut piece)).await.unwrap() {
            0 => break,
            length => answer.extend_from_slice(&piece[..length]),
        }
    }
    drop(writer.await.unwrap());
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (head, body) = answer.split_at(at);
    let head = String::from_utf8_lossy(head);
    assert_eq!(header_of(&head, "content-length"), Some(&*LENGTH.to_string()), "an echo is as long as what it repeats");
    assert_eq!(body.len(), LENGTH);
    assert!(body.iter().zip((0..=u8::MAX).cycle()).all(|(byte, expected)| *byte == expected));
}

#[actix_web::test]
async fn given_a_client_that_stops_reading_when_echoed_then_no_more_than_a_chunk_is_read_ahead() {
    let read = Rc::new(Cell::new(0));
    let count = Rc::clone(&read);
    let app =
        test::init_service(App::new().service(mount("", service_fn(echo))).wrap_fn(move |mut request, service| {
            let count = Rc::clone(&count);
            let endless = stream::repeat_with(move || {
                count.set(count.get() + 1);
                Ok(Bytes::from_static(b"chunk"))
            });
            request.set_payload(Payload::Stream { payload: Box::pin(endless) });
            service.call(request)
        }))
        .await;
    let response = test::call_service(&app, TestRequest::post().to_request()).await;
    assert_eq!(read.get(), 0, "nothing is read before somebody asks");
    let mut body = pin!(response.into_body());
    for sent in 1..=100 {
        let chunk = poll_fn(|cx| body.as_mut().poll_next(cx)).await.unwrap().ok().unwrap();
        assert_eq!(chunk, "chunk");
        assert!(read.get() <= sent + 1, "{} read for {sent} sent", read.get());
    }
}

#[actix_web::test]
async fn given_a_slow_client_when_a_service_streams_then_frames_are_asked_for_one_by_one() {
    let made = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let service = service_fn(move |_: Request<RequestBody>| {
        let count = Arc::clone(&count);
        let endless = stream::repeat_with(move || {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"frame")))
        });
        ready(Ok::<_, Infallible>(Response::new(StreamBody::new(endless))))
    });
    let app = app!(mount("", service));
    let response = test::call_service(&app, TestRequest::get().to_request()).await;
    let mut body = pin!(response.into_body());
    for sent in 1..=10 {
        assert!(poll_fn(|cx| body.as_mut().poll_next(cx)).await.is_some());
        assert_eq!(made.load(std::sync::atomic::Ordering::SeqCst), sent);
    }
}

#[actix_web::test]
async fn given_a_client_that_leaves_during_its_upload_when_the_service_reads_on_then_it_is_told() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<RequestBody>| {
        let tell = tell.clone();
        async move {
            let mut body = request.into_body();
            let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
            tell.send(Ok(first)).unwrap();
            // In its own task, which outlives the request.
            actix_web::rt::spawn(async move {
                tell.send(Err(body.frame().await.is_some_and(|frame| frame.is_err()))).unwrap();
            });
            pending::<Result<Response<String>, Infallible>>().await
        }
    });
    let address = serve!(1, move || App::new().service(mount("", service.clone())));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(CHUNKED).await.unwrap();
    stream.write_all(b"4\r\nhalf\r\n").await.unwrap();
    assert_eq!(soon(told.recv()).await.unwrap().unwrap(), "half");
    drop(stream);
    assert_eq!(soon(told.recv()).await.unwrap(), Err(true));
}

#[actix_web::test]
async fn given_a_service_that_drops_the_body_when_it_answers_then_the_answer_comes_whole() {
    let service =
        service_fn(async |_: Request<RequestBody>| Ok::<_, Infallible>(Response::new("too large".to_owned())));
    let address = serve!(1, move || App::new().service(mount("", service)));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nbegin").await.unwrap();
    let answer = read_until(&mut stream, b"too large").await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

/// Reports when it is dropped.
struct Guard(mpsc::UnboundedSender<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        _ = self.0.send(());
    }
}

#[actix_web::test]
async fn given_a_client_that_leaves_during_its_download_when_noticed_then_the_body_is_dropped() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = service_fn(move |_: Request<RequestBody>| {
        let guard = Guard(tell.clone());
        let endless = stream::repeat_with(move || {
            let _kept = &guard;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 4_096])))
        });
        ready(Ok::<_, Infallible>(Response::new(StreamBody::new(endless))))
    });
    let address = serve!(1, move || App::new().service(mount("", service.clone())));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, b"x").await;
    drop(stream);
    soon(told.recv()).await.unwrap();
}

#[actix_web::test]
async fn given_a_body_that_fails_when_sent_then_the_client_can_t_take_half_for_whole() {
    let service = service_fn(async |_: Request<RequestBody>| {
        let frames = stream::iter([Ok(Frame::data(Bytes::from_static(b"half"))), Err(io::Error::other("secret"))]);
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    });
    let address = serve!(1, move || App::new().service(mount("", service)));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Closed or reset: both say that something is missing.
    while soon(stream.read_buf(&mut answer)).await.is_ok_and(|length| length > 0) {}
    let answer = String::from_utf8(answer).unwrap();
    assert!(!answer.ends_with("0\r\n\r\n") && !answer.contains("secret"), "{answer}");
}
