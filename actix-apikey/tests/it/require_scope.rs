//! The scope check as a middleware: whom it accepts, and that it runs before the body is read.

use std::{cell::Cell, rc::Rc};

use actix_apikey::{ApiKeyMiddleware, Refusal, RequireScopeMiddleware, Requirement, Scope, TestKeys, scopes};
use actix_web::{
    App, HttpResponse,
    body::BodySize,
    dev::{Payload, Service},
    http::Method,
    test,
    test::TestRequest,
    web,
};
use bytes::Bytes;
use futures_util::stream;

use crate::support::{Answer, get};

scopes! { Files { FilesRead = "files:read", FilesWrite = "files:write" } }

macro_rules! app {
    ($check:expr $(, $middleware:expr)*) => {{
        let check = $check;
        test::init_service(
            App::new()
                .service(
                    web::scope("/scope").wrap(check.clone()).route("/{name}", web::route().to(HttpResponse::Ok)),
                )
                .service(web::resource("/resource").wrap(check).to(HttpResponse::Ok))
                $(.wrap($middleware))*
        )
        .await
    }};
}

macro_rules! ask {
    ($app:expr, $request:expr) => {
        Answer::of(test::call_service(&$app, $request.to_request()).await).await
    };
}

#[actix_web::test]
async fn given_scopes_when_checked_then_those_who_have_them_pass() {
    let keys = TestKeys::new();
    let (reader, writer) = (keys.key(["files:read"]), keys.key(["files:write"]));
    let any = Requirement::any(["files:write", "files:audit"]).unwrap();
    let app = app!(RequireScopeMiddleware::of::<FilesWrite>(), ApiKeyMiddleware::new(keys.authenticator()));
    let choice = app!(RequireScopeMiddleware::new(any), ApiKeyMiddleware::new(keys.authenticator()));
    for uri in ["/scope/a", "/resource"] {
        assert_eq!(ask!(app, get(uri, writer.authorization())).status, 200);
        assert_eq!(ask!(choice, get(uri, writer.authorization())).status, 200);
        let answer = ask!(app, get(uri, reader.authorization()));
        assert_eq!(answer.status, 403);
        assert!(answer.header("www-authenticate").unwrap().ends_with(r#"scope="files:write""#));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(ask!(choice, get(uri, reader.authorization())).status, 403);
    }
}

#[actix_web::test]
async fn given_a_need_for_each_kind_of_method_when_checked_then_get_and_head_read_and_all_others_write() {
    let keys = TestKeys::new();
    let (reader, writer) = (keys.key(["files:read"]), keys.key(["files:write"]));
    let check = RequireScopeMiddleware::per_method(Scope::from_static("files:read"), Scope::from_static("files:write"));
    let app = app!(check.clone(), ApiKeyMiddleware::new(keys.authenticator()));
    let methods = [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::POST, false),
        (Method::PUT, false),
        (Method::PATCH, false),
        (Method::DELETE, false),
        (Method::OPTIONS, false),
        (Method::from_bytes(b"PROPFIND").unwrap(), false),
    ];
    for (method, reads) in methods {
        for (key, may) in [(&reader, reads), (&writer, !reads)] {
            let request = get("/resource", key.authorization()).method(method.clone());
            assert_eq!(ask!(app, request).status, if may { 200 } else { 403 }, "{method}");
        }
    }
}

#[actix_web::test]
async fn given_no_caller_when_checked_then_it_is_401_where_allowed_and_500_without_the_middleware() {
    let check = RequireScopeMiddleware::of::<FilesRead>;
    let keys = TestKeys::with(|builder| builder.optional(true).realm("files"));
    let answer = ask!(app!(check(), ApiKeyMiddleware::new(keys.authenticator())), get("/resource", None));
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(r#"Bearer realm="files""#)));

    let answer = ask!(app!(check()), get("/resource", None));
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("ApiKeyMiddleware"), "{}", answer.text());

    // Wrapped in the wrong order: the check runs first and finds no caller.
    let keys = TestKeys::new();
    let app = test::init_service(
        App::new()
            .default_service(web::to(HttpResponse::Ok))
            .wrap(ApiKeyMiddleware::new(keys.authenticator()))
            .wrap(check()),
    )
    .await;
    assert_eq!(ask!(app, get("/", keys.key(["files:read"]).authorization())).status, 500);
}

#[actix_web::test]
async fn given_a_missing_scope_when_a_body_is_sent_then_none_of_it_is_read() {
    let keys = TestKeys::new();
    let (reader, writer) = (keys.key(["files:read"]), keys.key(["files:write"]));
    let read = Rc::new(Cell::new(false));
    let watch = Rc::clone(&read);
    let app = test::init_service(
        App::new()
            .service(web::resource("/").wrap(RequireScopeMiddleware::of::<FilesWrite>()).to(async |body: Bytes| body))
            .wrap(ApiKeyMiddleware::new(keys.authenticator()))
            .wrap_fn(move |mut request, service| {
                let watch = Rc::clone(&watch);
                let payload = stream::poll_fn(move |_| {
                    let first = !watch.replace(true);
                    std::task::Poll::Ready(first.then(|| Ok(Bytes::from_static(b"content"))))
                });
                request.set_payload(Payload::Stream { payload: Box::pin(payload) });
                service.call(request)
            }),
    )
    .await;
    assert_eq!(ask!(app, get("/", reader.authorization())).status, 403);
    assert!(!read.get());
    assert_eq!(ask!(app, get("/", writer.authorization())).text(), "content");
    assert!(read.get());
}

#[actix_web::test]
async fn given_a_responder_when_a_scope_is_missing_then_it_answers_and_head_has_its_length() {
    let keys = TestKeys::new();
    let reader = keys.key(["files:read"]);
    let check = RequireScopeMiddleware::of::<FilesWrite>;
    let spoken = ApiKeyMiddleware::new(keys.authenticator())
        .responder(|rejection| Refusal::new("text/plain", format!("no: {}", rejection.code())));
    let app = app!(check(), spoken);
    let answer = ask!(app, get("/resource", reader.authorization()));
    assert_eq!((answer.status, answer.text()), (403, "no: insufficient_scope"));

    for app in [app, app!(check(), ApiKeyMiddleware::new(keys.authenticator()).responder(Refusal::problem))] {
        let got = ask!(app, get("/resource", reader.authorization()));
        let request = TestRequest::default().method(Method::HEAD).uri("/resource");
        let head = ask!(app, request.insert_header(("authorization", reader.authorization())));
        assert_eq!((head.status, head.size, head.body.len()), (403, BodySize::Sized(got.body.len() as u64), 0));
    }
}
