//! A service's own OpenAPI document agrees with its routes.

use actix_apikey::{ApiKeyMiddleware, ApiKeySecurity, KeyFormat, RequireScope, TestKeys, scopes};
use actix_web::{App, http::Method, test, web};
use serde_json::json;
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

#[actix_web::test]
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
    let files = web::resource("/files").route(web::get().to(list)).route(web::post().to(upload));
    let app = App::new().service(files).wrap(ApiKeyMiddleware::new(keys.authenticator()));
    let app = test::init_service(app).await;
    for (method, name) in [(Method::GET, "get"), (Method::POST, "post")] {
        let needed: Vec<String> =
            serde_json::from_value(document["paths"]["/files"][name]["security"][0]["api_key"].clone()).unwrap();
        for (scopes, status) in [(needed.as_slice(), 200), (&needed[1..], 403)] {
            let key = keys.key(scopes);
            let request = test::TestRequest::with_uri("/files").method(method.clone());
            let request = request.insert_header(("authorization", key.authorization())).to_request();
            assert_eq!(test::call_service(&app, request).await.status(), status, "{name} with {scopes:?}");
        }
    }
}
