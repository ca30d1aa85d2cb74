//! Refusals for gRPC: an option, which applies only to gRPC calls.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use apikey_core::Requirement;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use support::{
    calls::whoami,
    stand::{REALM, Setting, Stand},
    store::Behaviour,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_apikey::{ApiKeyLayer, Refusal, RequireScopeLayer, caller, refusal};

fn call(authorization: &str) -> Request<String> {
    let request =
        Request::post("/files.Files/List").version(Version::HTTP_2).header("content-type", "application/grpc");
    request.header("authorization", authorization).body(String::new()).unwrap()
}

fn bearer(stand: &Stand, name: &str) -> Request<String> {
    call(&format!("Bearer {}", stand.token(name)))
}

fn layer(stand: &Stand) -> ApiKeyLayer {
    ApiKeyLayer::new(stand.authenticator.clone()).grpc(true)
}

/// Returns the answer of a service that requires `files:read`.
async fn send(layer: ApiKeyLayer, request: Request<String>) -> (StatusCode, HeaderMap, Bytes) {
    let guard = RequireScopeLayer::new(Requirement::all(["files:read"]).unwrap());
    let response = layer.layer(guard.layer(service_fn(whoami))).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

fn grpc_status(headers: &HeaderMap) -> Option<&str> {
    headers.get("grpc-status").map(|status| status.to_str().unwrap())
}

async fn assert_refused(layer: ApiKeyLayer, request: Request<String>, code: &str, message: &str) {
    let (status, headers, body) = send(layer, request).await;
    assert_eq!((status, grpc_status(&headers)), (StatusCode::OK, Some(code)));
    assert_eq!(headers["grpc-message"], message);
    assert_eq!(headers["content-type"], "application/grpc");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers.get("www-authenticate"), None);
    assert!(body.is_empty());
}

#[tokio::test]
async fn given_a_grpc_call_when_refused_then_trailers_only_with_its_code() {
    let stand = Stand::new(Setting::Plain);
    let mut nothing_sent = call("");
    nothing_sent.headers_mut().remove("authorization");
    let invalid = "The API key is not valid.";
    for (request, code, message) in [
        (nothing_sent, "16", "An API key is required."),
        (call("Basic dXNlcjpwYXNzd29yZA=="), "16", "An API key is required."),
        (bearer(&stand, "unknown"), "16", invalid),
        (bearer(&stand, "mistyped"), "16", invalid),
        (bearer(&stand, "revoked"), "16", invalid),
        (call("Bearer a,b"), "3", "The credential is malformed."),
        (call(""), "3", "The credential is malformed."),
        (bearer(&stand, "writer"), "7", "The API key lacks a required scope."),
    ] {
        assert_refused(layer(&stand), request, code, message).await;
    }
    let mut twice = bearer(&stand, "reader");
    let again = twice.headers()["authorization"].clone();
    twice.headers_mut().append("authorization", again);
    assert_refused(layer(&stand), twice, "3", "More than one credential was sent.").await;
}

#[tokio::test]
async fn given_a_grpc_call_when_the_store_fails_then_14() {
    let stand = Stand::new(Setting::Plain);
    for behaviour in [Behaviour::Fail, Behaviour::Panic] {
        stand.store.behave(behaviour);
        assert_refused(layer(&stand), bearer(&stand, "reader"), "14", "API keys can't be checked right now.").await;
    }
}

#[tokio::test]
async fn given_a_grpc_call_when_let_in_then_the_answer_is_the_handlers() {
    let stand = Stand::new(Setting::Plain);
    for _ in 0..2 {
        let (status, headers, body) = send(layer(&stand), bearer(&stand, "reader")).await;
        assert_eq!((status, grpc_status(&headers), &body[..]), (StatusCode::OK, None, &b"reader"[..]));
    }
}

#[tokio::test]
async fn given_a_content_type_with_a_message_format_when_refused_then_it_is_grpc_and_its_likes_are_not() {
    let stand = Stand::new(Setting::Plain);
    for (content_type, is_grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc+json", true),
        ("application/grpc-web", false),
        ("application/grpc-web+proto", false),
        ("application/grpcx", false),
        ("application/json", false),
        ("text/application/grpc", false),
        ("", false),
    ] {
        let mut request = bearer(&stand, "unknown");
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        let (status, headers, _) = send(layer(&stand), request).await;
        assert_eq!(status == StatusCode::OK, is_grpc, "{content_type}");
        assert_eq!(headers.contains_key("grpc-status"), is_grpc, "{content_type}");
        assert_eq!(headers.contains_key("www-authenticate"), !is_grpc, "{content_type}");
    }
}

#[tokio::test]
async fn given_what_no_grpc_client_sends_when_refused_then_the_answer_is_plain_http() {
    let stand = Stand::new(Setting::Plain);
    let change: [fn(&mut Request<String>); 5] = [
        |request| *request.version_mut() = Version::HTTP_11,
        |request| *request.version_mut() = Version::HTTP_3,
        |request| *request.method_mut() = Method::GET,
        |request| *request.method_mut() = Method::PUT,
        |request| drop(request.headers_mut().remove("content-type")),
    ];
    for (number, change) in change.into_iter().enumerate() {
        for (name, expected) in [("unknown", 401), ("writer", 403)] {
            let mut request = bearer(&stand, name);
            change(&mut request);
            let (status, headers, _) = send(layer(&stand), request).await;
            assert_eq!((status.as_u16(), grpc_status(&headers)), (expected, None), "{number}");
        }
    }
}

#[tokio::test]
async fn given_a_layer_that_was_not_told_of_grpc_when_a_call_is_refused_then_the_answer_is_plain_http() {
    let stand = Stand::new(Setting::Plain);
    let layer = ApiKeyLayer::new(stand.authenticator.clone());
    let (status, headers, _) = send(layer, bearer(&stand, "unknown")).await;
    assert_eq!((status.as_u16(), grpc_status(&headers)), (401, None));
    assert!(headers["www-authenticate"].to_str().unwrap().starts_with("Bearer realm="), "{REALM}");
}

#[tokio::test]
async fn given_a_custom_responder_when_a_grpc_call_is_refused_then_it_is_not_asked() {
    let stand = Stand::new(Setting::Plain);
    let layer = layer(&stand).responder(|_| Refusal::new("text/plain", "no"));
    assert_refused(layer.clone(), bearer(&stand, "unknown"), "16", "The API key is not valid.").await;
    assert_refused(layer, bearer(&stand, "writer"), "7", "The API key lacks a required scope.").await;
}

#[tokio::test]
async fn given_a_handler_that_refuses_when_it_serves_a_grpc_call_then_5() {
    let stand = Stand::new(Setting::Plain);
    let handler = service_fn(async |request: Request<String>| {
        let key = caller(request.extensions()).unwrap();
        let rejection = key.require_organization("globex").unwrap_err();
        Ok::<Response<Full<Bytes>>, std::convert::Infallible>(refusal(rejection))
    });
    let response = layer(&stand).layer(handler).oneshot(bearer(&stand, "reader")).await.unwrap();
    assert_eq!((response.status(), grpc_status(response.headers())), (StatusCode::OK, Some("5")));
}
