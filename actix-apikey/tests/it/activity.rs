//! Each request is reported once, when it is answered. Responses say when the key expires.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use actix_apikey::{
    ActivitySink, ApiKeyMiddleware, AuthenticatedKey, RequestReport, RequireScopeMiddleware, Requirement, TestKeys,
};
use actix_web::{App, HttpResponse, http::header::HeaderName, test, web};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl ActivitySink for Log {
    fn record(&self, key: &AuthenticatedKey, request: &RequestReport<'_>) {
        let RequestReport { method, route, status, address, user_agent, .. } = request;
        let line = format!("{} {method} {route:?} {status} {address:?} {user_agent:?}", key.key_id());
        self.0.lock().unwrap().push(line);
    }
}

#[actix_web::test]
async fn given_a_sink_when_requests_are_let_in_then_each_is_told_once_with_what_is_known_of_it() {
    let log = Log::default();
    let sink = Arc::new(log.clone());
    let keys = TestKeys::with(|builder| builder.activity_sink(sink));
    let key = keys.key(["files:read"]);
    let guard = || ApiKeyMiddleware::new(keys.authenticator());
    let admin = RequireScopeMiddleware::new(Requirement::all(["admin"]).unwrap());
    let files = web::resource("/files/{name}").wrap(guard()).to(HttpResponse::Created);
    let secrets = web::resource("/admin").wrap(admin).to(HttpResponse::Ok);
    let app = test::init_service(App::new().service(web::scope("").wrap(guard()).service(files).service(secrets)));
    let app = app.await;
    let request = |path: &str| {
        test::TestRequest::post()
            .uri(path)
            .peer_addr("192.0.2.7:1".parse().unwrap())
            .insert_header(("authorization", key.authorization()))
            .insert_header(("user-agent", "test/1"))
            .to_request()
    };
    assert_eq!(test::call_service(&app, request("/files/secret?token=secret")).await.status(), 201);
    assert_eq!(test::call_service(&app, request("/admin")).await.status(), 403);
    keys.revoke(&key);
    assert_eq!(test::call_service(&app, request("/admin")).await.status(), 401);
    let told = [
        format!(r#"{} POST Some("/files/{{name}}") 201 Some("192.0.2.7") Some("test/1")"#, key.id()),
        format!(r#"{} POST Some("/admin") 403 Some("192.0.2.7") Some("test/1")"#, key.id()),
    ];
    assert_eq!(*log.0.lock().unwrap(), told);
}

#[actix_web::test]
async fn given_an_expiry_header_when_the_key_expires_then_its_holder_is_told_when() {
    let keys = TestKeys::new();
    let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let (ends, lasts) = (keys.key_with(|claims| claims.with_expiry(expires_at)), keys.key(["files:read"]));
    let name = HeaderName::from_static("api-key-expires");
    let guard = ApiKeyMiddleware::new(keys.authenticator()).expiry_header(name.clone());
    let app = test::init_service(App::new().wrap(guard).default_service(web::to(HttpResponse::Ok))).await;
    for (key, told) in [(ends, Some("2030-03-17T17:46:40Z")), (lasts, None)] {
        let request = test::TestRequest::get().insert_header(("authorization", key.authorization())).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.headers().get(&name).map(|value| value.to_str().unwrap()), told);
    }
}
