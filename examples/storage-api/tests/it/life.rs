//! The life of a key, through the API at `/keys`: issue, rotation with a second key, revocation, usage.

use std::{
    sync::{RwLock, mpsc::channel},
    thread,
};

use serde_json::Value;

use crate::{
    contract::http::{PATIENCE, Request, json},
    eventually::eventually,
    stand::{Key, Stand},
};

/// The number of programs that call while their key is replaced.
const PROGRAMS: usize = 3;

#[test]
fn given_a_new_key_when_its_record_is_read_afterwards_then_its_secret_is_nowhere() {
    let stand = Stand::new();
    let key = stand.issue("backend", &["files:read", "files:write"]);
    assert!(key.secret.starts_with("tsk_live_"), "{}", key.secret);
    assert_eq!(
        (&key.record["name"], &key.record["scopes"]),
        (&"backend".into(), &json(r#"["files:read","files:write"]"#))
    );
    let id = &key.id;
    for path in
        ["api-keys".to_owned(), format!("api-keys/{id}"), format!("api-keys/{id}/activity"), "audit-events".into()]
    {
        let text = stand.get(&stand.admin, &format!("/keys/v1/{path}"));
        assert!(text.body.contains(id) || path.ends_with("activity"), "{path}: {text:?}");
        assert!(!text.body.contains(&key.secret), "{path}");
    }
}

#[test]
fn given_a_key_when_issued_without_an_expiry_then_it_has_none() {
    let stand = Stand::new();
    let key = stand.issue("backend", &["files:read"]);
    assert!(key.record["expires_at"].is_null(), "{}", key.record);
}

#[test]
fn given_a_key_when_it_is_sent_in_the_authorization_header_then_it_is_taken_and_nowhere_else() {
    let stand = Stand::new();
    let key = stand.issue("backend", &["environments:read"]).secret;
    let get = |path: &str| Request::new("GET", path);
    let status = |request: Request| stand.service.send(&request).status;
    assert_eq!(status(get("/v1/environments").bearer(&key)), 200);
    assert_eq!(status(get("/v1/environments")), 401);
    assert_eq!(status(get("/v1/environments").header("X-Api-Key", &*key)), 401);
    assert_eq!(status(get(&format!("/v1/environments?api_key={key}"))), 401);
}

#[test]
fn given_a_key_when_replaced_by_a_second_one_then_at_no_time_is_a_request_refused_until_the_old_one_is_revoked() {
    let stand = Stand::new();
    let old = stand.issue("backend", &["environments:read", "files:read"]);
    // What the programs are configured with: the number of the key, and the key.
    let (configured, address) = (RwLock::new((1, old.secret.clone())), stand.service.address.as_str());
    let new = thread::scope(|threads| {
        let (sender, calls) = channel();
        for program in 0..PROGRAMS {
            let (sender, configured) = (sender.clone(), &configured);
            threads.spawn(move || {
                // It ends when nobody listens any more.
                loop {
                    let (number, key) = configured.read().unwrap().clone();
                    let status = Request::new("GET", "/v1/environments").bearer(&key).send(address).status;
                    if sender.send((program, number, status)).is_err() {
                        return;
                    }
                }
            });
        }
        // Waits until every program has had some answers with the key of this number. None is refused.
        let wait_for = |wanted: u8| {
            let mut seen = [0; PROGRAMS];
            while seen.iter().any(|count| *count < 20) {
                let (program, number, status) = calls.recv_timeout(PATIENCE).unwrap();
                assert_eq!(status, 200, "with key {number}");
                seen[program] += usize::from(number == wanted);
            }
        };
        wait_for(1);
        let new = stand.duplicate(&old);
        assert_ne!((&new.id, &new.secret), (&old.id, &old.secret));
        assert_eq!((&new.record["name"], &new.record["scopes"]), (&old.record["name"], &old.record["scopes"]));
        wait_for(1);
        *configured.write().unwrap() = (2, new.secret.clone());
        wait_for(2);
        stand.revoke(&old);
        wait_for(2);
        new
    });
    assert_eq!([&old, &new].map(|key| stand.status(&key.secret, "/v1/environments")), [401, 200]);
}

#[test]
fn given_a_lost_key_when_another_is_made_and_it_is_revoked_then_it_never_comes_back() {
    let stand = Stand::new();
    let lost = stand.issue("backend", &["environments:read"]);
    stand.revoke(&lost);
    let path = format!("/keys/v1/api-keys/{}", lost.id);
    for action in ["enable", "rotate", "duplicate"] {
        let body = if action == "rotate" { r#"{"overlap_seconds":0}"# } else { "" };
        let answer = stand.send(&stand.admin, "POST", &format!("{path}/{action}"), body);
        assert_eq!(answer.status, 409, "{action}: {answer:?}");
    }
    assert_eq!(stand.status(&lost.secret, "/v1/environments"), 401);
    let next = stand.issue("backend", &["environments:read"]);
    assert_eq!(stand.status(&next.secret, "/v1/environments"), 200);
}

#[test]
fn given_keys_with_one_use_each_when_one_is_revoked_then_the_others_go_on() {
    let stand = Stand::new();
    let [production, pipeline] = ["production", "pipeline"].map(|name| stand.issue(name, &["environments:read"]));
    stand.revoke(&pipeline);
    assert_eq!(stand.status(&production.secret, "/v1/environments"), 200);
    assert_eq!(stand.status(&pipeline.secret, "/v1/environments"), 401);
}

#[test]
fn given_a_key_that_was_used_when_its_usage_is_asked_for_then_every_request_is_counted() {
    let stand = Stand::new();
    let [busy, idle] = ["busy", "idle"].map(|name| stand.issue(name, &["environments:read"]));
    for _ in 0..3 {
        assert_eq!(stand.status(&busy.secret, "/v1/environments"), 200);
    }
    assert_eq!(stand.status(&busy.secret, "/v1/account"), 403);
    let counted = |key: &Key| {
        let usage = stand.read(&format!("api-keys/{}/usage", key.id));
        ["ok", "refused"].map(|name| usage[name].as_u64().unwrap())
    };
    eventually(&[[3, 1], [0, 0]], || [counted(&busy), counted(&idle)]);
    let all = stand.read("usage");
    assert!(all["ok"].as_u64().unwrap() >= 3 && all["refused"] == 1, "{all}");
}

#[test]
fn given_requests_of_a_key_when_its_record_is_read_then_each_tells_from_where_it_came() {
    let stand = Stand::new();
    let key = stand.issue("backend", &["environments:read"]);
    for path in ["/v1/environments", "/keys/v1/whoami"] {
        assert_eq!(stand.status(&key.secret, path), 200);
    }
    let told = || {
        let did = stand.read(&format!("api-keys/{}/activity", key.id));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        did["items"].as_array().unwrap().iter().map(|one| (text(&one["route"]), text(&one["address"]))).collect()
    };
    let expected: Vec<_> =
        ["/keys/v1/whoami", "/v1/environments"].map(|route| (route.into(), "127.0.0.1".into())).into();
    eventually(&expected, told);
}

#[test]
fn given_keys_of_which_one_was_never_used_when_listed_then_it_is_the_one_without_a_last_use() {
    let stand = Stand::new();
    let [busy, idle] = ["busy", "idle"].map(|name| stand.issue(name, &["environments:read"]));
    assert_eq!(stand.status(&busy.secret, "/v1/environments"), 200);
    // Stopping the service writes the usage, so that the test need not wait.
    stand.service.stop();
    let stand = Stand { service: stand.folder.start(), ..stand };
    let keys = stand.read("api-keys?status=active");
    let keys = keys["items"].as_array().unwrap();
    let last_used = |key: &Key| &keys.iter().find(|listed| listed["id"] == *key.id).unwrap()["last_used_at"];
    assert!(last_used(&busy).is_string());
    assert!(last_used(&idle).is_null());
    stand.revoke(&idle);
    assert_eq!(stand.status(&idle.secret, "/v1/environments"), 401);
}

#[test]
fn given_a_key_that_may_read_keys_when_it_asks_for_alerts_then_it_sees_them_and_sets_no_threshold() {
    let stand = Stand::new();
    let settings = "/keys/v1/alert-settings";
    let reader = stand.issue("reader", &["keys:read"]).secret;
    assert_eq!(stand.send(&reader, "PATCH", settings, r#"{"unused_days":14}"#).status, 403);
    assert_eq!(stand.send(&stand.admin, "PATCH", settings, r#"{"unused_days":14}"#).status, 200);
    assert_eq!(json(&stand.get(&reader, settings).body)["unused_days"], 14);
    assert_eq!(stand.get(&reader, "/keys/v1/alerts").body, r#"{"items":[],"next_cursor":null}"#);
}
