//! A service's own OpenAPI document agrees with its routes.

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    routing::get,
};
use axum_apikey::{ApiKeyLayer, ApiKeySecurity, KeyFormat, RequireScope, TestKeys, scopes};
use serde_json::json;
use tower::ServiceExt;
use utoipa::{Modify, OpenApi, openapi::HttpMethod};

scopes! { Files { FilesRead = "files:read", FilesWrite = "files:write" } }

#[utoipa::path(get, path = "/files", responses((status = 200, description = "The files.")))]
async fn list(_: RequireScope<FilesRead>) -> &'static str {
    "[]"
}

#[utoipa::path(post, path = "/files", responses((status = 200, description = "Done.")))]
async fn upload(_: RequireScope<(FilesRead, FilesWrite)>) -> &'static str {
    "done"
}

#[derive(OpenApi)]
#[openapi(paths(list, upload))]
struct Api;

#[tokio::test]
async fn given_routes_with_extractors_when_documented_then_the_document_says_what_they_ask_for() {
    let format = KeyFormat::builder("acme").environment("live").build().unwrap();
    let mut document = Api::openapi();
    ApiKeySecurity::new()
        .format(&format)
        .route::<FilesRead>(HttpMethod::Get, "/files")
        .route::<(FilesRead, FilesWrite)>(HttpMethod::Post, "/files")
        .modify(&mut document);
    let document = serde_json::to_value(&document).unwrap();
    let scheme = &document["components"]["securitySchemes"]["api_key"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")));
    assert_eq!(scheme["bearerFormat"], format.regex());

    let keys = TestKeys::new();
    let app = Router::new().route("/files", get(list).post(upload)).layer(ApiKeyLayer::new(keys.authenticator()));
    for method in ["get", "post"] {
        let needed: Vec<String> =
            serde_json::from_value(document["paths"]["/files"][method]["security"][0]["api_key"].clone()).unwrap();
        for (scopes, status) in [(needed.as_slice(), StatusCode::OK), (&needed[1..], StatusCode::FORBIDDEN)] {
            let key = keys.key(scopes);
            let request = Request::builder().method(method.to_uppercase().as_str()).uri("/files");
            let request = request.header("authorization", key.authorization()).body(Body::empty()).unwrap();
            assert_eq!(app.clone().oneshot(request).await.unwrap().status(), status, "{method} with {scopes:?}");
        }
    }
}
