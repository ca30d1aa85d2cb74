//! The layer and the extractors in every place where axum accepts layers and extractors.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Method, Request, StatusCode, header::WWW_AUTHENTICATE},
    middleware::from_extractor,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use axum_apikey::{
    ApiKey, ApiKeyLayer, ApiKeyRejection, Refusal, RejectionKind, RequireScope, RequireScopeLayer, TestKey, TestKeys,
    scopes,
};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::{cors::CorsLayer, timeout::TimeoutLayer, trace::TraceLayer};

scopes! {
    pub Files {
        FilesRead = "files:read",
        FilesWrite = "files:write",
    }
}

async fn name(key: ApiKey) -> String {
    key.key_id().to_string()
}

fn request(method: Method, path: &str, key: Option<&TestKey>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("authorization", key.authorization());
    }
    request.body(Body::empty()).unwrap()
}

async fn status(app: &Router, path: &str, key: Option<&TestKey>) -> u16 {
    app.clone().oneshot(request(Method::GET, path, key)).await.unwrap().status().as_u16()
}

async fn text(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().into()).unwrap()
}

#[tokio::test]
async fn given_route_layer_when_a_path_is_unknown_then_it_is_404_with_or_without_a_key() {
    let keys = TestKeys::new();
    let key = keys.key([""; 0]);
    let guarded = Router::new().route("/a", get(name));
    let by_route = guarded.clone().route_layer(ApiKeyLayer::new(keys.authenticator())).route("/free", get(|| async {}));
    let by_layer = guarded.layer(ApiKeyLayer::new(keys.authenticator())).route("/free", get(|| async {}));
    for (path, without, with) in [("/a", 401, 200), ("/none", 404, 404), ("/free", 200, 200)] {
        assert_eq!(status(&by_route, path, None).await, without, "{path}");
        assert_eq!(status(&by_route, path, Some(&key)).await, with, "{path}");
    }
    assert_eq!(status(&by_layer, "/none", None).await, 401, "`layer` covers the fallback");
    assert_eq!(status(&by_layer, "/none", Some(&key)).await, 404);
}

#[tokio::test]
async fn given_nested_and_merged_routers_with_state_when_called_then_each_sees_the_caller() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let with_state =
        async |State(state): State<&'static str>, key: RequireScope<FilesRead>| format!("{state} {}", key.key_id());
    let inner = Router::new().route("/b", get(with_state)).route_layer(RequireScopeLayer::of::<FilesRead>());
    let other = Router::new().route("/c", get(name));
    let app =
        Router::new().nest("/a", inner).merge(other).layer(ApiKeyLayer::new(keys.authenticator())).with_state("state");
    let response = app.clone().oneshot(request(Method::GET, "/a/b", Some(&key))).await.unwrap();
    assert_eq!(text(response).await, format!("state {}", key.id()));
    assert_eq!(status(&app, "/c", Some(&key)).await, 200);
    assert_eq!(status(&app, "/a/b", None).await, 401);
}

#[tokio::test]
async fn given_from_extractor_when_the_scope_is_missing_then_the_router_is_closed() {
    let keys = TestKeys::new();
    let (reader, writer) = (keys.key(["files:read"]), keys.key(["files:*"]));
    let app = Router::new()
        .route("/a", get(|| async {}))
        .route_layer(from_extractor::<RequireScope<(FilesRead, FilesWrite)>>())
        .layer(ApiKeyLayer::new(keys.authenticator()));
    assert_eq!(status(&app, "/a", Some(&reader)).await, 403);
    assert_eq!(status(&app, "/a", Some(&writer)).await, 200);
    let response = app.oneshot(request(Method::GET, "/a", Some(&reader))).await.unwrap();
    let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.ends_with("scope=\"files:read files:write\""), "{challenge}");
}

#[tokio::test]
async fn given_an_optional_layer_when_nothing_is_sent_then_option_is_none_and_others_refuse() {
    let keys = TestKeys::with(|builder| builder.optional(true));
    let key = keys.key([""; 0]);
    let app = Router::new()
        .route("/maybe", get(async |key: Option<ApiKey>| key.is_some().to_string()))
        .route("/must", get(name))
        .layer(ApiKeyLayer::new(keys.authenticator()));
    let maybe = async |request| text(app.clone().oneshot(request).await.unwrap()).await;
    assert_eq!(maybe(request(Method::GET, "/maybe", None)).await, "false");
    assert_eq!(maybe(request(Method::GET, "/maybe", Some(&key))).await, "true");
    assert_eq!(status(&app, "/must", None).await, 401);
    keys.revoke(&key);
    assert_eq!(status(&app, "/maybe", Some(&key)).await, 401, "a bad key is never taken for none");
}

#[tokio::test]
async fn given_no_layer_when_extracted_then_500_names_it() {
    let app = Router::new()
        .route("/key", get(name))
        .route("/maybe", get(async |_: Option<ApiKey>| ()))
        .route("/scope", get(async |_: RequireScope<FilesRead>| ()));
    for path in ["/key", "/maybe", "/scope"] {
        let response = app.clone().oneshot(request(Method::GET, path, None)).await.unwrap();
        assert_eq!(response.status(), 500);
        assert!(text(response).await.contains("ApiKeyLayer"));
    }
}

#[tokio::test]
async fn given_a_handler_that_takes_the_rejection_when_refused_then_it_can_be_read() {
    let keys = TestKeys::new();
    let key = keys.key([""; 0]);
    let handler = async |key: Result<RequireScope<FilesRead>, ApiKeyRejection>| match key {
        Ok(_) => StatusCode::OK.into_response(),
        Err(rejection) => {
            assert_eq!(rejection.rejection().kind(), RejectionKind::InsufficientScope);
            (StatusCode::IM_A_TEAPOT, format!("{} {}", rejection.status(), rejection.body_text())).into_response()
        }
    };
    let app = Router::new().route("/", get(handler)).layer(ApiKeyLayer::new(keys.authenticator()));
    let response = app.oneshot(request(Method::GET, "/", Some(&key))).await.unwrap();
    assert_eq!(response.status(), 418);
    assert_eq!(text(response).await, "403 Forbidden The API key lacks a required scope.");
}

#[tokio::test]
async fn given_a_responder_when_an_extractor_refuses_then_it_answers_and_the_fixed_parts_stay() {
    let keys = TestKeys::new();
    let key = keys.key([""; 0]);
    let layer =
        ApiKeyLayer::new(keys.authenticator()).responder(|rejection| Refusal::new("text/plain", rejection.code()));
    let app = Router::new().route("/", get(async |_: RequireScope<FilesRead>| ())).layer(layer);
    let response = app.oneshot(request(Method::GET, "/", Some(&key))).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert!(response.headers().contains_key(WWW_AUTHENTICATE));
    assert_eq!(text(response).await, "insufficient_scope");
}

#[tokio::test]
async fn given_head_when_refused_by_the_layer_or_inside_it_then_there_is_a_length_and_no_body() {
    let keys = TestKeys::new();
    let key = keys.key([""; 0]);
    let app = Router::new()
        .route("/", get(async |_: RequireScope<FilesRead>| ()))
        .layer(ApiKeyLayer::new(keys.authenticator()));
    for (key, expected) in [(None, 401), (Some(&key), 403)] {
        let get = app.clone().oneshot(request(Method::GET, "/", key)).await.unwrap();
        let head = app.clone().oneshot(request(Method::HEAD, "/", key)).await.unwrap();
        assert_eq!((get.status(), head.status().as_u16()), (head.status(), expected));
        let length: usize = head.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert_eq!(text(head).await, "");
        assert_eq!(text(get).await.len(), length);
    }
}

#[tokio::test]
async fn given_tower_http_layers_around_and_inside_when_stacked_then_they_work_together() {
    let keys = TestKeys::new();
    let key = keys.key(["files:write"]);
    let stack = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(10)))
        .layer(CorsLayer::permissive())
        .layer(ApiKeyLayer::new(keys.authenticator()))
        .layer(RequireScopeLayer::new(FilesWrite))
        .layer(TraceLayer::new_for_http());
    let app = Router::new().route("/", post(|| async {})).layer(stack);
    let response = app.clone().oneshot(request(Method::POST, "/", None)).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["access-control-allow-origin"], "*", "a refusal has CORS headers");
    assert_eq!(app.oneshot(request(Method::POST, "/", Some(&key))).await.unwrap().status(), 200);
}
