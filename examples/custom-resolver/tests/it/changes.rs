//! When the service learns of changes at the verifier.

use std::time::Duration;

use tempfile::TempDir;

use super::{
    process::Process,
    service::{Service, issue, revoke},
};

struct Stand {
    verifier: Process,
    service: Service,
    _folder: TempDir,
}

impl Stand {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let verifier = Process::verifier(folder.path(), "127.0.0.1:0");
        let service = Service::start(&verifier.url, &verifier.keys[1]).await;
        Stand { verifier, service, _folder: folder }
    }
}

#[tokio::test]
async fn given_a_key_revoked_at_the_verifier_when_nobody_tells_then_it_is_refused_once_its_minute_is_over() {
    let Stand { verifier, service, _folder } = Stand::start().await;
    let key = issue(&verifier, "reader", &["reports:read"]).await;
    assert_eq!(service.reports(&key).await, 200);
    revoke(&verifier, "reader").await;
    service.clock.advance(Duration::from_secs(59));
    assert_eq!(service.reports(&key).await, 200);
    service.clock.advance(Duration::from_secs(1));
    assert_eq!(service.reports(&key).await, 401);
    service.stop().await;
}

#[tokio::test]
async fn given_a_key_revoked_at_the_verifier_when_the_hook_is_called_then_it_is_refused_at_once() {
    let Stand { verifier, service, _folder } = Stand::start().await;
    let key = issue(&verifier, "reader", &["reports:read"]).await;
    let hook = issue(&verifier, "hook", &["hooks:keys"]).await;
    assert_eq!(service.reports(&key).await, 200);
    revoke(&verifier, "reader").await;
    assert_eq!(service.post("/hooks/keys/reader", &hook).await.status, 204);
    assert_eq!(service.reports(&key).await, 401);
    service.stop().await;
}

#[tokio::test]
async fn given_a_good_key_when_the_hook_is_called_for_no_reason_then_it_stays_good() {
    let Stand { verifier, service, _folder } = Stand::start().await;
    let key = issue(&verifier, "reader", &["reports:read"]).await;
    let hook = issue(&verifier, "hook", &["hooks:keys"]).await;
    assert_eq!(service.reports(&key).await, 200);
    for id in ["reader", "nobody"] {
        assert_eq!(service.post(&format!("/hooks/keys/{id}"), &hook).await.status, 204, "{id}");
        assert_eq!(service.reports(&key).await, 200, "{id}");
    }
    service.stop().await;
}

#[tokio::test]
async fn given_the_hook_when_called_without_its_scope_then_it_refuses_and_nothing_is_looked_up_again() {
    let Stand { verifier, service, _folder } = Stand::start().await;
    let key = issue(&verifier, "reader", &["reports:read"]).await;
    assert_eq!(service.reports(&key).await, 200);
    revoke(&verifier, "reader").await;
    let refused = service.post("/hooks/keys/reader", &key).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (403, Some("insufficient_scope")), "{refused:?}");
    assert_eq!(service.post("/hooks/keys/reader", "demo_live_0").await.status, 401);
    assert_eq!(service.reports(&key).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn given_the_verifiers_own_routes_when_called_without_the_scope_then_they_refuse() {
    use http::Method;
    use serde_json::json;

    use super::service::{client, send};

    let Stand { verifier, service, _folder } = Stand::start().await;
    let manager = issue(&verifier, "manager", &["keys:manage"]).await;
    let new = |scope: &str| json!({ "id": "new", "scopes": [scope] });
    let digests = json!({ "digests": [] });
    let operator = &verifier.keys[0];
    let asking = &verifier.keys[1];
    for (name, path, key, body, status, code) in [
        ("the service makes no keys", "/keys", asking, new("a"), 403, "insufficient_scope"),
        ("a manager does not ask", "/resolve", &manager, digests.clone(), 403, "insufficient_scope"),
        ("nobody grants what they lack", "/keys", &manager, new("*"), 403, "exceeds_own"),
        ("ids are taken once", "/keys", operator, json!({ "id": "manager", "scopes": [] }), 409, "key_exists"),
        ("no digest finds no key", "/resolve", asking, digests, 404, "unknown_key"),
    ] {
        let answer = send(&client(), Method::POST, &format!("{}{path}", verifier.url), key, body).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)), "{name}: {answer:?}");
    }
    service.stop().await;
}
