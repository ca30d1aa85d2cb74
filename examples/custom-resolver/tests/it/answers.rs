//! How the service handles each possible answer of a verifier.

use axum_apikey::{KeyHasher, PlaintextKey};
use custom_resolver::key_format;
use serde_json::{Value, json};

use super::{service::Service, told::Told};

fn key() -> PlaintextKey {
    key_format().unwrap().generate().unwrap()
}

/// Returns a valid record of a key that reads reports.
fn record(key: &PlaintextKey) -> Value {
    json!({
        "digest": KeyHasher::sha256().digest(key), "id": "reader", "name": "Reader",
        "scopes": ["reports:read"], "status": "active",
    })
}

fn with(mut record: Value, field: &str, value: Value) -> String {
    record[field] = value;
    record.to_string()
}

fn without(mut record: Value, field: &str) -> String {
    record.as_object_mut().unwrap().remove(field).unwrap();
    record.to_string()
}

#[tokio::test]
async fn given_a_record_when_answered_then_the_key_is_judged_by_it() {
    let verifier = Told::start().await;
    let service = Service::start(&verifier.url, key().expose_secret()).await;
    let other = json!(KeyHasher::sha256().digest(&key()));
    let cases: [(&str, &str, Value, u16); 9] = [
        ("as it is", "name", json!("Reader"), 200),
        ("more scopes", "scopes", json!(["reports:*", "else"]), 200),
        ("another scope", "scopes", json!(["else"]), 403),
        ("no scope", "scopes", json!([]), 403),
        ("expires later", "expires_at", json!("2999-01-01T00:00:00Z"), 200),
        ("has expired", "expires_at", json!("2001-01-01T00:00:00Z"), 401),
        ("disabled", "status", json!("disabled"), 401),
        ("revoked", "status", json!("revoked"), 401),
        ("of another key", "digest", other, 401),
    ];
    for (name, field, value, status) in cases {
        let key = key();
        verifier.answer(200, &with(record(&key), field, value));
        assert_eq!(service.reports(key.expose_secret()).await, status, "{name}");
    }
    let unknown = json!({ "code": "unknown_key" }).to_string();
    verifier.answer(404, &unknown);
    assert_eq!(service.reports(key().expose_secret()).await, 401);
    service.stop().await;
}

#[tokio::test]
async fn given_an_answer_that_says_nothing_of_the_key_then_503_and_the_next_good_answer_counts() {
    let verifier = Told::start().await;
    let service = Service::start(&verifier.url, key().expose_secret()).await;
    let key = key();
    let record = || record(&key);
    let answers = [
        ("no JSON", 200, "<p>Welcome!".to_owned()),
        ("nothing", 200, String::new()),
        ("half a record", 200, record().to_string().split_at(20).0.to_owned()),
        ("a list", 200, "[]".to_owned()),
        ("no digest", 200, without(record(), "digest")),
        ("no status", 200, without(record(), "status")),
        ("an unknown status", 200, with(record(), "status", json!("on holiday"))),
        ("a malformed scope", 200, with(record(), "scopes", json!(["reports read"]))),
        ("a malformed expiry", 200, with(record(), "expires_at", json!("tomorrow"))),
        ("a digest that is none", 200, with(record(), "digest", json!("sha256:00"))),
        ("too long", 200, with(record(), "name", json!("x".repeat(100_000)))),
        ("another success", 204, String::new()),
        ("moved", 302, String::new()),
        ("the service has no good key", 401, String::new()),
        ("the service may not ask", 403, String::new()),
        ("a bare 404", 404, String::new()),
        ("a 404 of something else", 404, json!({ "code": "no_such_page" }).to_string()),
        ("throttled", 429, String::new()),
        ("failed", 500, record().to_string()),
        ("unavailable", 503, String::new()),
    ];
    for (name, status, body) in answers {
        verifier.answer(status, &body);
        service.get("/reports", key.expose_secret()).await.assert_unavailable(name);
    }
    for (name, answer) in [
        ("no HTTP", "what?\r\n\r\n"),
        ("nothing at all", ""),
        ("broken off", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{"),
    ] {
        verifier.say(answer);
        service.get("/reports", key.expose_secret()).await.assert_unavailable(name);
    }
    verifier.answer(200, &record().to_string());
    assert_eq!(service.reports(key.expose_secret()).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn given_a_key_when_looked_up_then_its_digest_travels_and_the_key_does_not() {
    let verifier = Told::start().await;
    let (own, key) = (key(), key());
    let service = Service::start(&verifier.url, own.expose_secret()).await;
    verifier.answer(200, &record(&key).to_string());
    assert_eq!(service.reports(key.expose_secret()).await, 200);
    assert_eq!(service.reports(key.expose_secret()).await, 200);

    let [request] = &verifier.requests()[..] else { panic!("it was asked more than once") };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /resolve HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {}", own.expose_secret())), "{head}");
    let digest = KeyHasher::sha256().digest(&key);
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({ "digests": [digest] }));
    assert!(!request.contains(key.expose_secret()));
    service.stop().await;
}

#[tokio::test]
async fn given_what_is_no_key_then_the_verifier_is_not_asked() {
    let verifier = Told::start().await;
    let service = Service::start(&verifier.url, key().expose_secret()).await;
    let mut mistyped = key().expose_secret().to_owned();
    mistyped.push('x');
    for text in ["demo_live_0", &mistyped] {
        assert_eq!(service.reports(text).await, 401, "{text}");
    }
    assert_eq!(verifier.connections(), 0);
    service.stop().await;
}

#[tokio::test]
async fn given_a_verifier_that_ends_a_kept_connection_when_it_is_used_again_then_it_is_asked_once_more() {
    let verifier = Told::start().await;
    let service = Service::start(&verifier.url, key().expose_secret()).await;
    verifier.answer(404, &json!({ "code": "unknown_key" }).to_string());
    verifier.forget_kept_connections();
    for _ in 0..5 {
        assert_eq!(service.reports(key().expose_secret()).await, 401);
    }
    service.stop().await;
}

#[tokio::test]
async fn given_many_look_ups_then_connections_are_used_again() {
    let verifier = Told::start().await;
    let service = Service::start(&verifier.url, key().expose_secret()).await;
    verifier.answer(404, &json!({ "code": "unknown_key" }).to_string());
    for _ in 0..30 {
        assert_eq!(service.reports(key().expose_secret()).await, 401);
    }
    assert_eq!(verifier.requests().len(), 30);
    // One is enough, but a second is opened if the first is not yet free.
    assert!(verifier.connections() < 10, "{} connections", verifier.connections());
    service.stop().await;
}
