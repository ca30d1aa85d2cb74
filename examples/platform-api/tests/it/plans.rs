//! Plans limit how many keys a customer has.

use std::thread;

use serde_json::{Value, json};

use crate::{
    contract::http::{Request, json as parsed},
    stand::{Member, Stand},
};

/// The answer to a request for one more key.
fn one_more(member: &Member<'_>) -> (u16, Value) {
    let answer = member.call("POST", "api-keys", &json!({ "name": "one more" }));
    (answer.status, parsed(&answer.body))
}

#[test]
fn given_a_plan_when_its_keys_are_used_up_then_the_error_says_how_many_it_allows() {
    let stand = Stand::new();
    let dana = stand.dana();
    for name in ["production", "staging", "development"] {
        dana.issue(name);
    }
    let (status, full) = one_more(&dana);
    assert_eq!(
        (status, &full["code"], &full["used"], &full["allowed"]),
        (409, &json!("limit_reached"), &json!(3), &json!(3))
    );
    assert_eq!(full["detail"], "3 of 3 keys; your plan allows 3.");
    assert_eq!(dana.read("limits")["keys"], json!({"used": 3, "allowed": 3}));
    assert_eq!(one_more(&stand.member("fay@birch.example")).0, 201, "another customer has its own");
}

#[test]
fn given_a_full_plan_when_upgraded_then_there_is_room_at_once() {
    let stand = Stand::new();
    let dana = stand.dana();
    for name in ["production", "staging", "development"] {
        dana.issue(name);
    }
    assert_eq!(one_more(&dana).0, 409);
    assert_eq!(dana.submit("/", "plan=team&on_leak=revoke").status, 303);
    assert_eq!(dana.read("limits")["keys"], json!({"used": 3, "allowed": 25}));
    assert_eq!(one_more(&dana).0, 201);
    assert!(dana.open("/").body.contains("acme · team"));
    // Enterprise is the operator's to give, and has no limit.
    assert_eq!(dana.submit("/", "plan=enterprise&on_leak=revoke").status, 422);
    stand.set_plan("acme", "enterprise");
    assert_eq!(dana.read("limits")["keys"], json!({"used": 4, "allowed": null}));
    assert_eq!(dana.submit("/", "plan=enterprise&on_leak=revoke").status, 303, "it stays what it is");
}

#[test]
fn given_more_keys_than_a_smaller_plan_allows_when_downgraded_then_all_of_them_work_and_none_is_added() {
    let stand = Stand::new();
    stand.set_plan("acme", "team");
    let dana = stand.dana();
    let keys: Vec<_> = (0..5).map(|n| dana.issue(&format!("key {n}"))).collect();
    assert_eq!(dana.submit("/", "plan=free&on_leak=revoke").status, 303);
    assert!(keys.iter().all(|key| stand.status(&key.secret) == 200));
    assert_eq!(one_more(&dana).1["detail"], "5 of 3 keys; your plan allows 3.");
    // What is there can be changed and rotated.
    let renamed = dana.call("PATCH", &format!("api-keys/{}", keys[0].id), &json!({ "name": "renamed" }));
    assert_eq!(renamed.status, 200, "{renamed:?}");
    let rotated = dana.call("POST", &format!("api-keys/{}/rotate", keys[0].id), &json!({ "overlap_seconds": 60 }));
    assert_eq!(rotated.status, 200, "{rotated:?}");
    for key in &keys[..3] {
        dana.revoke(key);
    }
    assert_eq!(one_more(&dana).0, 201, "two of three");
    assert_eq!(one_more(&dana).0, 409);
}

#[test]
fn given_two_at_once_when_a_plan_has_room_for_one_key_then_one_is_made() {
    let stand = Stand::new();
    let dana = stand.dana();
    for name in ["production", "staging"] {
        dana.issue(name);
    }
    let request = Request::new("POST", "/keys/v1/api-keys").header("Sec-Fetch-Site", "same-origin");
    let request = request.header("Cookie", &*dana.cookie).json(r#"{"name":"one more"}"#);
    let address = &stand.service.address;
    let statuses = thread::scope(|threads| {
        let all: Vec<_> = (0..8).map(|_| threads.spawn(|| request.send(address).status)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{statuses:?}");
}
