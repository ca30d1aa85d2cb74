//! What only a real server shows: workers, framing, and other middlewares.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_apikey::{ApiKey, ApiKeyMiddleware, RequireScope, TestKeys, scopes};
use actix_cors::Cors;
use actix_web::{App, HttpRequest, dev::Service, web};

use crate::support::{body_of, exchange, header_of, serve};

scopes! { Files { FilesWrite = "files:write" } }

#[actix_web::test]
async fn given_two_workers_when_both_are_asked_then_one_look_up_and_one_revocation_serve_both() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let middleware = ApiKeyMiddleware::new(keys.authenticator());
    let workers = Arc::new(AtomicUsize::new(0));
    let address = serve!(2, move || {
        let worker = workers.fetch_add(1, Ordering::SeqCst);
        App::new()
            .route(
                "/",
                web::get().to(async |_: ApiKey, request: HttpRequest| request.app_data::<usize>().unwrap().to_string()),
            )
            .app_data(worker)
            .wrap(middleware.clone())
    });
    let request =
        format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: {}\r\n\r\n", key.authorization());
    let mut seen = Vec::new();
    // The server distributes connections in turn, from an arbitrary start.
    for _ in 0..100 {
        let answer = exchange(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let worker = body_of(&answer).to_owned();
        if !seen.contains(&worker) {
            seen.push(worker);
        }
    }
    seen.sort();
    assert_eq!(seen, ["0", "1"], "both workers have answered");
    assert_eq!(keys.resolver_calls(), 1);

    keys.revoke(&key);
    for _ in 0..4 {
        assert!(exchange(address, &request).await.starts_with("HTTP/1.1 401 "));
    }
}

#[actix_web::test]
async fn given_head_when_refused_then_the_length_is_that_of_get_and_no_byte_follows() {
    let keys = TestKeys::new();
    let reader = keys.key(["files:read"]);
    let authenticator = keys.authenticator();
    let address = serve!(1, move || {
        App::new()
            .route("/", web::route().to(async |_: RequireScope<FilesWrite>| "written"))
            .wrap(ApiKeyMiddleware::new(authenticator.clone()))
    });
    let forbidden = format!("authorization: {}\r\n", reader.authorization());
    for (line, status) in [("", "401"), (forbidden.as_str(), "403")] {
        let request = |method: &str| format!("{method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{line}\r\n");
        let got = exchange(address, &request("GET")).await;
        let head = exchange(address, &request("HEAD")).await;
        for answer in [&got, &head] {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert_eq!(header_of(answer, "content-length"), Some(&*body_of(&got).len().to_string()));
            assert_eq!(header_of(answer, "cache-control"), Some("no-store"));
            assert_eq!(header_of(answer, "transfer-encoding"), None);
        }
        assert_eq!(header_of(&head, "www-authenticate"), header_of(&got, "www-authenticate"));
        assert!(body_of(&head).is_empty() && !body_of(&got).is_empty());
    }
}

#[actix_web::test]
async fn given_white_space_around_a_header_when_sent_then_it_is_not_part_of_the_credential() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let authenticator = keys.authenticator();
    let address = serve!(1, move || {
        App::new()
            .route("/", web::get().to(async |key: ApiKey| key.key_id().to_string()))
            .wrap(ApiKeyMiddleware::new(authenticator.clone()))
    });
    let line = format!("authorization: \t {} \t", key.authorization());
    let answer = exchange(address, &format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{line}\r\n\r\n")).await;
    assert_eq!(body_of(&answer), key.id().as_str(), "{answer}");
}

#[actix_web::test]
async fn given_cors_outside_when_a_browser_asks_then_it_may_read_the_refusal_and_preflights_need_no_key() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let authenticator = keys.authenticator();
    let address = serve!(1, move || {
        let cors = Cors::default()
            .allowed_origin("https://app.example")
            .allowed_methods(["GET"])
            .allowed_header("authorization");
        App::new()
            .route("/", web::get().to(async |_: RequireScope<FilesWrite>| "written"))
            .wrap(ApiKeyMiddleware::new(authenticator.clone()))
            .wrap(cors)
    });
    let common = "host: a\r\nconnection: close\r\norigin: https://app.example\r\n";
    let forbidden = format!("authorization: {}\r\n", key.authorization());
    for (line, status) in [("", "401"), (forbidden.as_str(), "403")] {
        let answer = exchange(address, &format!("GET / HTTP/1.1\r\n{common}{line}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(header_of(&answer, "access-control-allow-origin"), Some("https://app.example"));
        assert!(header_of(&answer, "www-authenticate").is_some());
    }
    let preflight = "access-control-request-method: GET\r\naccess-control-request-headers: authorization\r\n";
    let answer = exchange(address, &format!("OPTIONS / HTTP/1.1\r\n{common}{preflight}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[actix_web::test]
async fn given_a_refusal_when_other_middlewares_are_outside_then_they_see_a_response() {
    let keys = TestKeys::new();
    let authenticator = keys.authenticator();
    let address = serve!(1, move || {
        App::new().wrap(ApiKeyMiddleware::new(authenticator.clone())).wrap_fn(|request, service| {
            let answer = service.call(request);
            async move {
                let mut response = answer.await?;
                let seen = response.status().as_u16();
                response.headers_mut().insert(
                    actix_web::http::header::HeaderName::from_static("x-seen"),
                    actix_web::http::header::HeaderValue::from(seen),
                );
                Ok(response)
            }
        })
    });
    let answer =
        exchange(address, "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody").await;
    assert_eq!(header_of(&answer, "x-seen"), Some("401"), "{answer}");
}
