//! The processes of the service, which only its operators see.

use std::{fmt, time::Duration};

use apikey_console::Console;
use apikey_core::{KeyFormat, ManualClock};
use apikey_fleet::{Beat, NodeId};
use apikey_manager::{Actor, Fleet, KeyManager, KeyStore, MemoryStore, NewKey, OrganizationId};
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use support::ready;
use tower::ServiceExt;

use crate::stand::{on_each, secret_of};

/// Asks until an answer fits.
pub(crate) async fn eventually<F: Future<Output = Value>>(ask: impl Fn() -> F, fits: impl Fn(&Value) -> bool) -> Value {
    let asked = async {
        loop {
            let answer = ask().await;
            if fits(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asked).await.expect("such an answer")
}

#[tokio::test]
async fn given_another_organization_when_it_asks_for_the_processes_then_there_is_no_such_path() {
    on_each(async |stand| {
        for scopes in [&["*"][..], &["keys:admin"], &["files:read"]] {
            let theirs = secret_of(&stand.issue("globex", scopes).await);
            for (method, query) in [("GET", ""), ("GET", "?x=1"), ("HEAD", "")] {
                let ask = |path: &str| stand.request(method, &format!("/keys/v1/{path}{query}")).key(&theirs);
                let (fleet, unknown) = (ask("fleet").send().await, ask("nothing").send().await);
                assert_eq!((fleet.status, fleet.lines()), (404, unknown.lines()), "{method} {query} {scopes:?}");
            }
            let caller = stand.get("/keys/v1/whoami").key(&theirs).expect(200).await;
            assert_eq!(caller["operator"], false);
        }
    })
    .await;
}

#[tokio::test]
async fn given_a_process_when_its_operators_ask_then_it_tells_of_itself() {
    on_each(async |stand| {
        ready(&stand.keys).await;
        let admin = stand.admin().await;
        let is_told = |fleet: &Value| fleet["nodes"].as_array().unwrap().iter().all(|node| node["behind"] == 0);
        let mut fleet = eventually(|| stand.get("/keys/v1/fleet").key(&admin).expect(200), is_told).await;
        let own = fleet["own_id"].clone();
        for node in fleet["nodes"].as_array_mut().unwrap() {
            let silent = node.as_object_mut().unwrap().remove("silent_seconds").unwrap();
            assert!(silent.as_f64().is_some_and(|seconds| seconds >= 0.0), "{silent}");
        }
        let node = json!({"id": own, "own": true, "lease_seconds": 10.0, "applied_revision": 0, "behind": 0});
        let nodes = if own.is_null() { json!([]) } else { json!([node]) };
        assert_eq!(fleet, json!({"revision": 1, "own_id": own, "nodes": nodes, "waits": []}));
    })
    .await;
}

/// A manager on a store that it shares, and the host's actor.
fn shared(store: &MemoryStore, clock: &ManualClock) -> (KeyManager, Actor) {
    let format = KeyFormat::builder("acme").build().unwrap();
    let keys = KeyManager::builder(store.clone()).format(format).clock(clock.clone()).fleet(Fleet::new());
    (keys.build().unwrap(), Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap())
}

async fn get(console: &Console, path: &str, secret: impl fmt::Display) -> (u16, String) {
    let request = Request::get(path).header("authorization", format!("Bearer {secret}"));
    let answer = console.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    (parts.status.as_u16(), format!("{:?}\n{}", parts.headers, text(body.collect().await.unwrap().to_bytes().to_vec())))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn given_a_process_that_is_silent_when_a_key_is_revoked_then_operators_see_who_waits_for_it() {
    let (store, clock) = (MemoryStore::new(), ManualClock::new());
    let (keys, host) = shared(&store, &clock);
    ready(&keys).await;
    let reader = secret_of(&keys.issue(&host, NewKey::new("reader").scopes(["keys:read"])).await.unwrap());
    let key = keys.issue(&host, NewKey::new("k")).await.unwrap();
    let console = Console::new(&keys).operators(host.organization().clone());
    let fleet = async || {
        let (status, answer) = get(&console, "/v1/fleet", &reader).await;
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str::<Value>(answer.lines().last().unwrap()).unwrap()
    };
    let silent = NodeId::new(0xabc);
    store.fleet().beat(silent, Duration::from_millis(299_500), Beat::new(1), None).await.unwrap();
    let since = keys.now();
    let revoked = tokio::spawn({
        let (keys, host, id) = (keys.clone(), host.clone(), key.id().clone());
        async move { keys.revoke(&host, &id, "").await.unwrap() }
    });
    let id = format!("{:032x}", silent.get());
    let waits = json!([{"revision": 3, "since": since, "nodes": [id]}]);
    let own_has_followed = |fleet: &Value| fleet["waits"] == waits && fleet["nodes"][1]["behind"] == 0;
    let seen = eventually(&fleet, own_has_followed).await;
    assert_eq!(seen["revision"], 3);
    let [silent_one, own] = &**seen["nodes"].as_array().unwrap() else { panic!("{seen}") };
    assert_eq!((&silent_one["id"], &silent_one["own"], &silent_one["behind"]), (&json!(id), &json!(false), &json!(1)));
    assert_eq!((&silent_one["lease_seconds"], &silent_one["applied_revision"]), (&json!(299.5), &json!(0)));
    assert_eq!((&own["id"], &own["own"], &own["applied_revision"]), (&seen["own_id"], &json!(true), &json!(3)));

    store.fleet().leave(silent).await.unwrap();
    revoked.await.unwrap();
    let after = fleet().await;
    assert_eq!((after["nodes"].as_array().unwrap().len(), &after["waits"]), (1, &json!([])));
    keys.shutdown().await;
}

#[tokio::test]
async fn given_no_operators_when_anybody_asks_for_the_processes_then_there_is_no_such_path() {
    let (keys, host) = shared(&MemoryStore::new(), &ManualClock::new());
    let admin = secret_of(&keys.issue(&host, NewKey::new("admin").scopes(["*"])).await.unwrap());
    let console = Console::new(&keys);
    for key in [admin.as_str(), "x"] {
        let (fleet, unknown) = (get(&console, "/v1/fleet", key).await, get(&console, "/v1/nothing", key).await);
        assert_eq!((fleet.0, &fleet.1), (404, &unknown.1));
    }
    let (_, document) = get(&console, "/v1/openapi.json", &admin).await;
    assert!(document.contains("\"/limits\"") && !document.contains("\"/fleet\""), "the document");
    keys.shutdown().await;
}
