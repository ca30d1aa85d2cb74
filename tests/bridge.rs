//! An axum router mounted under actix-web: its extractors' results, and the answers to its refusals.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use actix_apikey::{ApiKeyMiddleware, mount};
use actix_web::{App, body::to_bytes, http::Method, test};
use apikey_core::{TestKey, TestKeys};
use axum::{Router, routing::get};
use axum_apikey::{ApiKey, RequireScope, RequireScopeLayer, scopes};

scopes! {
    pub Files {
        FilesRead = "files:read",
    }
}

fn router() -> Router {
    Router::new()
        .route("/must", get(async |key: ApiKey| key.key_id().to_string()))
        .route("/maybe", get(async |key: Option<ApiKey>| key.is_some().to_string()))
        .route("/scope", get(async |_: RequireScope<FilesRead>| "yes"))
        .route("/guard", get(async || "yes").route_layer(RequireScopeLayer::of::<FilesRead>()))
}

/// Returns the status, content type and body of each answer.
async fn answers(
    middleware: ApiKeyMiddleware,
    requests: &[(&str, Method, Option<&TestKey>)],
) -> Vec<(u16, String, String)> {
    let app = test::init_service(App::new().wrap(middleware).service(mount("/keys", router()))).await;
    let mut answers = Vec::new();
    for (path, method, key) in requests {
        let mut request = test::TestRequest::with_uri(path).method(method.clone());
        if let Some(key) = key {
            request = request.insert_header(("authorization", key.authorization()));
        }
        let response = test::call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let body = to_bytes(response.into_body()).await.map_err(|_| "a body that fails").unwrap();
        answers.push((status, content_type.unwrap_or_default(), String::from_utf8(body.into()).unwrap()));
    }
    answers
}

#[actix_web::test]
async fn given_a_mounted_router_when_a_key_is_sent_then_its_extractors_find_the_caller() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let requests = ["must", "maybe", "scope", "guard"].map(|path| format!("/keys/{path}"));
    let requests: Vec<_> = requests.iter().map(|path| (path.as_str(), Method::GET, Some(&key))).collect();
    let answers = answers(ApiKeyMiddleware::new(keys.authenticator()), &requests).await;
    let bodies: Vec<_> = answers.iter().map(|(status, _, body)| (*status, body.as_str())).collect();
    assert_eq!(bodies, [(200, key.id().as_str()), (200, "true"), (200, "yes"), (200, "yes")]);
}

#[actix_web::test]
async fn given_an_optional_middleware_when_nothing_is_sent_then_the_router_knows_the_caller_is_anonymous() {
    let keys = TestKeys::with(|builder| builder.optional(true));
    let requests = [("/keys/must", Method::GET, None), ("/keys/maybe", Method::GET, None)];
    let answers = answers(ApiKeyMiddleware::new(keys.authenticator()), &requests).await;
    assert_eq!(answers[0].0, 401);
    assert!(answers[0].2.contains("missing_credential"));
    assert_eq!((answers[1].0, answers[1].2.as_str()), (200, "false"));
}

#[actix_web::test]
async fn given_a_responder_when_the_router_refuses_then_the_middleware_answers_in_its_form() {
    let keys = TestKeys::new();
    let key = keys.key(["other"]);
    let middleware = ApiKeyMiddleware::new(keys.authenticator())
        .responder(|rejection| actix_apikey::Refusal::new("text/plain", format!("no: {}", rejection.code())));
    let requests = [
        ("/keys/scope", Method::GET, Some(&key)),
        ("/keys/guard", Method::GET, Some(&key)),
        ("/keys/scope", Method::HEAD, Some(&key)),
    ];
    let refused = |body: &str| (403, "text/plain".to_owned(), body.to_owned());
    let expected = [refused("no: insufficient_scope"), refused("no: insufficient_scope"), refused("")];
    assert_eq!(answers(middleware, &requests).await, expected);
}
