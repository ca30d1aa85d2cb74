//! Each request is reported once, when it is answered. Responses say when the key expires.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
    task::{Context, Waker},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_apikey::{
    ActivitySink, ApiKeyLayer, AuthenticatedKey, RequestDescription, RequestReport, RequireScopeLayer, Requirement,
    TestKey, TestKeys,
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl ActivitySink for Log {
    fn record(&self, key: &AuthenticatedKey, request: &RequestReport<'_>) {
        let RequestReport { method, route, status, address, user_agent, .. } = request;
        let line = format!("{} {method} {route:?} {status} {address:?} {user_agent:?}", key.key_id());
        self.0.lock().unwrap().push(line);
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn keys(log: &Log) -> TestKeys {
    let sink = Arc::new(log.clone());
    TestKeys::with(|builder| builder.activity_sink(sink))
}

fn layer(keys: &TestKeys) -> ApiKeyLayer {
    ApiKeyLayer::new(keys.authenticator()).describe_requests(|headers, extensions| {
        let address = headers.get("x-forwarded-for").map_or("", |address| address.to_str().unwrap());
        RequestDescription::new().route(*extensions.get::<&'static str>().unwrap()).address(address)
    })
}

fn request(key: &TestKey) -> Request<String> {
    Request::post("/files/secret?token=secret")
        .header("authorization", key.authorization())
        .header("user-agent", "test/1")
        .header("x-forwarded-for", "192.0.2.7")
        .extension("/files/{name}")
        .body(String::new())
        .unwrap()
}

async fn answer(_: Request<String>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

#[tokio::test]
async fn given_a_sink_when_requests_are_let_in_then_each_is_told_once_with_what_is_known_of_it() {
    let log = Log::default();
    let keys = keys(&log);
    let key = keys.key(["files:read"]);
    let nested = layer(&keys).layer(layer(&keys).layer(service_fn(answer)));
    // The first request looks the key up; the second finds it in the cache.
    for _ in 0..2 {
        nested.clone().oneshot(request(&key)).await.unwrap();
    }
    let line = format!(r#"{} POST Some("/files/{{name}}") 201 Some("192.0.2.7") Some("test/1")"#, key.id());
    assert_eq!(log.lines(), [line.clone(), line]);
}

#[tokio::test]
async fn given_refusals_when_told_then_only_those_of_good_keys_are() {
    let log = Log::default();
    let keys = keys(&log);
    let key = keys.key(["files:read"]);
    let guarded = RequireScopeLayer::new(Requirement::all(["files:write"]).unwrap()).layer(service_fn(answer));
    let service = layer(&keys).layer(guarded);
    assert_eq!(service.clone().oneshot(request(&key)).await.unwrap().status(), 403);
    keys.revoke(&key);
    assert_eq!(service.oneshot(request(&key)).await.unwrap().status(), 401);
    let lines = log.lines();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains(" 403 "), "{lines:?}");
}

#[tokio::test]
async fn given_requests_under_way_when_cut_off_or_given_up_then_they_are_told_as_such() {
    let log = Log::default();
    let keys = keys(&log);
    let key = keys.key(["files:read"]);
    let mut service =
        layer(&keys).layer(service_fn(|_: Request<String>| pending::<Result<Response<Full<Bytes>>, Infallible>>()));
    let mut cx = Context::from_waker(Waker::noop());
    let mut given_up = Box::pin(service.call(request(&key)));
    while keys.resolver_calls() == 0 || log.lines().len() > 1 {
        assert!(given_up.as_mut().poll(&mut cx).is_pending());
    }
    assert!(given_up.as_mut().poll(&mut cx).is_pending());
    let mut cut_off = Box::pin(service.call(request(&key)));
    assert!(cut_off.as_mut().poll(&mut cx).is_pending());
    drop(given_up);
    keys.revoke(&key);
    assert!(cut_off.as_mut().poll(&mut cx).is_ready());
    let lines = log.lines();
    assert!(lines[0].contains(" 499 ") && lines[1].contains(" 401 ") && lines.len() == 2, "{lines:?}");
}

#[tokio::test]
async fn given_an_expiry_header_when_the_key_expires_then_its_holder_is_told_when() {
    let keys = TestKeys::new();
    let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let (ends, lasts) = (keys.key_with(|claims| claims.with_expiry(expires_at)), keys.key(["files:read"]));
    let name = HeaderName::from_static("api-key-expires");
    let service = layer(&keys).expiry_header(name.clone()).layer(service_fn(answer));
    let response = service.clone().oneshot(request(&ends)).await.unwrap();
    assert_eq!(response.headers()[&name], "2030-03-17T17:46:40Z");
    let response = service.oneshot(request(&lasts)).await.unwrap();
    assert!(!response.headers().contains_key(&name));
}
