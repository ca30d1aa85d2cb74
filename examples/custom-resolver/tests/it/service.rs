//! The service within the test, with a manual clock, on a socket; and a client for it and the verifier.

use std::time::Duration;

use axum_apikey::{AuthenticatorBuilder, ManualClock, PlaintextKey};
use bytes::Bytes;
use custom_resolver::{RemoteKeys, service};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

/// Longer than any answer takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Service {
    url: String,
    pub(crate) clock: ManualClock,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Service {
    pub(crate) async fn start(verifier: &str, key: &str) -> Self {
        Service::with(verifier, key, |keys| keys, |authenticator| authenticator).await
    }

    pub(crate) async fn with(
        verifier: &str,
        key: &str,
        configure_keys: impl FnOnce(RemoteKeys) -> RemoteKeys,
        configure: impl FnOnce(AuthenticatorBuilder) -> AuthenticatorBuilder,
    ) -> Self {
        let clock = ManualClock::new();
        let keys = RemoteKeys::new(verifier, &key.parse::<PlaintextKey>().unwrap()).unwrap();
        let authenticator = service::authenticator(configure_keys(keys)).unwrap().clock(clock.clone());
        let app = service::app(configure(authenticator).build().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(async {
            let stopped = async {
                let _ = stopped.await;
            };
            axum::serve(listener, app).with_graceful_shutdown(stopped).await
        });
        Service { url, clock, client: client(), stop, server }
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Answer {
        send(&self.client, Method::GET, &format!("{}{path}", self.url), key, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str) -> Answer {
        send(&self.client, Method::POST, &format!("{}{path}", self.url), key, Value::Null).await
    }

    /// The status of `GET /reports`.
    pub(crate) async fn reports(&self, key: &str) -> u16 {
        self.get("/reports", key).await.status
    }

    /// Stops it, and checks that it ends without an error.
    pub(crate) async fn stop(self) {
        drop(self.client);
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.server).await.unwrap().unwrap().unwrap();
    }
}

impl Answer {
    /// Checks that it is a 503 with `Retry-After`.
    pub(crate) fn assert_unavailable(&self, when: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (503, Some("unavailable")), "{when}: {self:?}");
        assert_eq!(self.headers["retry-after"], "1", "{when}");
        assert_eq!(self.headers["cache-control"], "no-store", "{when}");
        assert_eq!(self.headers.get("www-authenticate"), None, "{when}");
    }
}

pub(crate) fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Sends `body`, unless it is null.
pub(crate) async fn send(
    client: &Client<HttpConnector, Full<Bytes>>,
    method: Method,
    url: &str,
    key: &str,
    body: Value,
) -> Answer {
    let bytes = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let request = Request::builder().method(method).uri(url).header("authorization", format!("Bearer {key}"));
    let request = request.header("content-type", "application/json").body(Full::new(bytes)).unwrap();
    let exchange = async {
        let (parts, body) = client.request(request).await.unwrap().into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    };
    let (parts, body) = timeout(PATIENCE, exchange).await.expect("no answer");
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answer { status: StatusCode::as_u16(&parts.status), headers: parts.headers, body }
}

/// Makes a key at the real verifier.
pub(crate) async fn issue(verifier: &crate::process::Process, id: &str, scopes: &[&str]) -> String {
    let body = serde_json::json!({ "id": id, "scopes": scopes });
    let answer = send(&client(), Method::POST, &format!("{}/keys", verifier.url), &verifier.keys[0], body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["key"].as_str().unwrap().to_owned()
}

pub(crate) async fn revoke(verifier: &crate::process::Process, id: &str) {
    let url = format!("{}/keys/{id}", verifier.url);
    let answer = send(&client(), Method::DELETE, &url, &verifier.keys[0], Value::Null).await;
    assert_eq!(answer.status, 204, "{answer:?}");
}
