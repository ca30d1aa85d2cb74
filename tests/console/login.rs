//! Callers that the host has logged in.

use std::sync::{Arc, Mutex};

use apikey_console::Console;
use apikey_core::ScopeSet;
use apikey_manager::{Actor, KeyFilter, OrganizationId, PageRequest, Rights, Status};
use futures_util::FutureExt;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};

use crate::stand::{Server, code, json as parsed, on_each, on_each_with};

/// `session=NAME` logs NAME in, with scopes by name.
fn with_login(console: Console) -> Console {
    console.origin("https://app.acme.example/").login(|request| {
        let cookie = request.headers.get("cookie")?.to_str().ok()?;
        let name = cookie.strip_prefix("session=")?;
        let scopes = match name {
            "alice" => "keys:admin files:*",
            "bob" => "keys:read",
            _ => return None,
        };
        let rights = Rights::scopes(ScopeSet::parse(scopes).ok()?);
        Actor::user(name, OrganizationId::new("acme").ok()?, rights).ok()
    })
}

#[tokio::test]
async fn given_a_login_when_something_is_read_then_the_actor_s_rights_count() {
    on_each_with(with_login, async |stand| {
        stand.issue("acme", &["files:read"]).await;
        for name in ["alice", "bob"] {
            let list = stand.get("/keys/v1/api-keys").header("cookie", &format!("session={name}")).expect(200).await;
            assert_eq!(list["items"].as_array().unwrap().len(), 1);
        }
        let caller = stand.get("/keys/v1/whoami").header("cookie", "session=alice").expect(200).await;
        let scopes = json!(["files:*", "keys:admin", "keys:read", "keys:write"]);
        assert_eq!(
            caller,
            json!({
                "actor": "alice", "organization": "acme", "scopes": scopes, "expires_at": null, "operator": true,
                "key": null,
            })
        );
        let answer = stand.get("/keys/v1/whoami").header("cookie", "session=mallory").send().await;
        assert_eq!((answer.status, code(&answer).as_str()), (401, "missing_credential"));
    })
    .await;
}

#[tokio::test]
async fn given_a_login_when_something_is_changed_then_the_request_must_come_from_the_service_s_own_page() {
    on_each_with(with_login, async |stand| {
        let own = "https://app.acme.example";
        let cases: &[(&[(&str, &str)], u16)] = &[
            (&[("sec-fetch-site", "same-origin")], 201),
            (&[("sec-fetch-site", "same-origin"), ("origin", own)], 201),
            (&[("origin", own)], 201),
            (&[("sec-fetch-site", "cross-site"), ("origin", own)], 201),
            (&[], 403),
            (&[("sec-fetch-site", "same-site")], 403),
            (&[("sec-fetch-site", "none")], 403),
            (&[("sec-fetch-site", "cross-site")], 403),
            (&[("sec-fetch-site", "Same-Origin")], 403),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], 403),
            (&[("origin", "https://evil.example")], 403),
            (&[("origin", "null")], 403),
            (&[("origin", "https://app.acme.example.evil.example")], 403),
            (&[("origin", "http://app.acme.example")], 403),
            (&[("referer", "https://app.acme.example/page")], 403),
        ];
        let issued = stand.issue("acme", &["files:read"]).await;
        let disable = format!("/keys/v1/api-keys/{}/disable", issued.id());
        for (headers, status) in cases {
            let with = |mut request: crate::stand::Request| {
                for (name, value) in *headers {
                    request = request.header(name, value);
                }
                request.header("cookie", "session=alice")
            };
            let answer = with(stand.post("/keys/v1/api-keys")).json(&json!({"name": "x"})).send().await;
            assert_eq!(answer.status, *status, "{headers:?}: {answer:?}");
            let bodiless = with(stand.post(&disable)).send().await;
            assert_eq!(bodiless.status, if *status == 201 { 200 } else { 403 }, "{headers:?}: {bodiless:?}");
            if *status == 403 {
                assert_eq!((code(&answer).as_str(), code(&bodiless).as_str()), ("cross_origin", "cross_origin"));
                let answer = with(stand.delete(disable.strip_suffix("/disable").unwrap())).send().await;
                assert_eq!(answer.status, 403, "{headers:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn given_a_login_and_a_key_when_sent_together_then_it_is_a_400() {
    on_each_with(with_login, async |stand| {
        let admin = stand.admin().await;
        let both = || stand.get("/keys/v1/whoami").header("cookie", "session=alice");
        for secret in [admin.as_str(), "nonsense"] {
            let answer = both().key(secret).send().await;
            assert_eq!((answer.status, code(&answer).as_str()), (400, "invalid_request"), "{answer:?}");
            assert!(answer.header("www-authenticate").unwrap().contains("error=\"invalid_request\""));
        }
        assert_eq!(both().header("authorization", "bEaReR x").send().await.status, 400);
        // Another scheme is somebody else's, and so is a cookie that is nobody's login.
        assert_eq!(both().header("authorization", "Basic eDp5").send().await.status, 200);
        let caller = stand.get("/keys/v1/whoami").header("cookie", "theme=dark").key(&admin).expect(200).await;
        assert!(caller["key"]["id"].is_string());
        // A key needs no page.
        stand.post("/keys/v1/api-keys").key(&admin).json(&json!({"name": "x"})).expect(201).await;
    })
    .await;
}

#[tokio::test]
async fn given_a_login_without_the_rights_when_it_asks_then_it_is_refused_without_a_challenge() {
    on_each_with(with_login, async |stand| {
        let request = stand.post("/keys/v1/api-keys").header("cookie", "session=bob");
        let answer = request.header("sec-fetch-site", "same-origin").body("application/json", "{").send().await;
        assert_eq!((answer.status, code(&answer).as_str()), (403, "insufficient_scope"));
        assert_eq!(answer.header("www-authenticate"), None);
        let request = stand.post("/keys/v1/self-revoke").header("cookie", "session=alice");
        let answer = request.header("sec-fetch-site", "same-origin").send().await;
        assert_eq!((answer.status, code(&answer).as_str()), (403, "forbidden"));
        let issued = stand.post("/keys/v1/api-keys").header("cookie", "session=alice");
        let issued = issued.header("sec-fetch-site", "same-origin").json(&json!({"name": "x"})).expect(201).await;
        assert_eq!((&issued["key"]["created_by"], &issued["key"]["created_by_key"]), (&json!("alice"), &json!(null)));
    })
    .await;
}

/// What the host says when it is asked for the login, and how often it was asked.
#[derive(Clone, Default)]
struct Host {
    scopes: Arc<Mutex<Option<&'static str>>>,
    asked: Arc<Notify>,
}

impl Host {
    fn login(&self) -> Option<Actor> {
        self.asked.notify_one();
        let rights = Rights::scopes(ScopeSet::parse((*self.scopes.lock().unwrap())?).ok()?);
        Actor::user("alice", OrganizationId::new("acme").ok()?, rights).ok()
    }
}

#[tokio::test]
async fn given_a_login_that_ends_while_a_body_arrives_when_it_is_there_then_nothing_is_changed() {
    let host = Host::default();
    let configure = |console: Console| {
        let host = host.clone();
        console.login(move |_| host.login())
    };
    on_each_with(configure, async |stand| {
        let change = |path: &str, body: &str, header: &str| {
            let head = format!("POST /keys/v1/{path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", stand.address);
            let head = format!("{head}sec-fetch-site: same-origin\r\ncontent-type: application/json\r\n{header}");
            format!("{head}content-length: {}\r\n\r\n", body.len())
        };
        let key = stand.issue("acme", &[]).await;
        let revoke = format!("api-keys/{}/revoke", key.id());
        let disable = format!("api-keys/{}/disable", key.id());
        for (now, status) in [(None, 401), (Some("keys:read"), 403), (Some("keys:admin"), 0)] {
            for (path, body, header) in [
                ("api-keys", r#"{"name":"late"}"#, ""),
                ("api-keys", r#"{"name":"late"}"#, "idempotency-key: one\r\n"),
                (&disable, "{}", ""),
                (&revoke, r#"{"reason":"late"}"#, ""),
            ] {
                *host.scopes.lock().unwrap() = Some("keys:admin");
                let mut stream = TcpStream::connect(stand.address).await.unwrap();
                stream.write_all(change(path, body, header).as_bytes()).await.unwrap();
                host.asked.notified().await;
                *host.scopes.lock().unwrap() = now;
                stream.write_all(body.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                let got: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
                match status {
                    0 => assert!((200..300).contains(&got), "{path}: {answer}"),
                    _ => assert_eq!(got, status, "{path}: {answer}"),
                }
                // Each further question has left a note.
                host.asked.notified().now_or_never();
            }
            let listed =
                stand.keys.list(&stand.host("acme"), KeyFilter::default(), PageRequest::first()).await.unwrap();
            let statuses: Vec<_> = listed.items.iter().map(|key| key.status(stand.keys.now())).collect();
            match status {
                0 => assert!(listed.items.len() > 1 && statuses.contains(&Status::Revoked), "{statuses:?}"),
                _ => assert_eq!(statuses, [Status::Active], "{now:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn given_a_login_that_can_not_be_looked_up_when_asked_then_it_is_a_503() {
    let broken = |console: Console| console.login_async(|_| async { Err("the sessions' database is down".into()) });
    on_each_with(broken, async |stand| {
        let answer = stand.get("/keys/v1/whoami").send().await;
        assert_eq!((answer.status, code(&answer).as_str()), (503, "unavailable"));
        assert!(answer.header("retry-after").is_some());
        assert!(!answer.body.contains("database"));
        assert_eq!(stand.get("/keys/v1/health").send().await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn given_no_login_when_a_cookie_is_sent_then_it_is_nothing() {
    on_each(async |stand| {
        assert!(matches!(stand.server, Server::Axum | Server::Actix));
        let answer = stand.get("/keys/v1/whoami").header("cookie", "session=alice").send().await;
        assert_eq!(answer.status, 401);
        assert_eq!(parsed(&answer)["code"], "missing_credential");
    })
    .await;
}
