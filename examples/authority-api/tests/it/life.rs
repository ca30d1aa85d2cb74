//! The life of a key: issue, read, use, expiry, rotation, revocation, deletion.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::{
    contract::{
        http::{PATIENCE, Request},
        service::Folder,
    },
    stand::{Issued, Stand, expect},
};

#[test]
fn given_a_key_when_it_was_created_then_nothing_shows_it_again() {
    let stand = Stand::new();
    let key = stand.issue(&json!({"name": "north gate", "scopes": ["authorizer"]}));
    let paths = ["", "/usage", "/activity"].map(|below| format!("/api-keys/{}{below}", key.id));
    for path in paths.iter().map(String::as_str).chain(["/api-keys", "/audit-events", "/whoami"]) {
        let shown = stand.get_key(path).to_string();
        assert!(!shown.contains(&key.secret[3..]), "{path}: {shown}");
    }
}

#[test]
fn given_a_key_when_its_details_are_read_then_they_say_what_it_is_and_when_it_was_used() {
    let stand = Stand::new();
    let end = humantime::format_rfc3339_millis(SystemTime::now() + Duration::from_secs(86_400)).to_string();
    let body = json!({
        "name": "north gate", "description": "the gates of the north", "scopes": ["authorizer"],
        "expires_at": end,
    });
    let key = stand.issue(&body);
    let path = format!("/api-keys/{}", key.id);
    let unused = stand.get_key(&path);
    assert_eq!((&unused["id"], &unused["last_used_at"]), (&json!(key.id), &json!(null)));
    for _ in 0..3 {
        assert_eq!(stand.status(&key.secret, "/revocation-list"), 200);
    }
    assert_eq!(stand.status(&key.secret, "/settings"), 403);
    // Stopping the service writes the usage.
    let stand = stand.restart();
    let shown = stand.get_key(&path);
    for field in ["name", "description", "scopes", "expires_at"] {
        assert_eq!(shown[field], body[field], "{shown}");
    }
    assert!(shown["created_at"].is_string() && shown["last_used_at"].is_string(), "{shown}");
    let usage = stand.get_key(&format!("{path}/usage"));
    assert_eq!((&usage["ok"], &usage["refused"]), (&json!(3), &json!(1)), "{usage}");
}

#[test]
fn given_a_key_with_an_end_when_it_has_come_then_it_is_refused() {
    let stand = Stand::new();
    let in_seconds = |seconds| SystemTime::now() + Duration::from_secs(seconds);
    let text = |time| json!(humantime::format_rfc3339_millis(time).to_string());
    let body = json!({"name": "for a while", "scopes": ["authorizer"], "expires_at": text(in_seconds(86_400))});
    let (key, forever) = (stand.issue(&body), stand.issue_role("authorizer"));
    let status = |key: &Issued| stand.status(&key.secret, "/revocation-list");
    assert_eq!([status(&key), status(&forever)], [200, 200]);

    let end = in_seconds(10);
    let shorter = json!({"expires_at": text(end)});
    expect(200, &stand.tell(&stand.admin, "PATCH", &format!("/keys/v1/api-keys/{}", key.id), &shorter));
    while status(&key) == 200 {
        assert!(SystemTime::now() < end + PATIENCE, "it never ends");
    }
    // The expiry was sent in whole milliseconds.
    assert!(SystemTime::now() + Duration::from_millis(10) > end, "it ended too early");
    assert_eq!([status(&key), status(&forever)], [401, 200]);
}

#[test]
fn given_a_key_when_rotated_then_it_has_a_new_secret_beside_the_old_until_the_overlap_is_ended() {
    let stand = Stand::new();
    let key = stand.issue_role("authorizer");
    let path = format!("/api-keys/{}", key.id);
    let rotated = stand.post_key(200, &format!("{path}/rotate"), &json!({"overlap_seconds": null}));
    let newer = rotated["secret"].as_str().unwrap();
    assert!(newer.starts_with("tc_") && newer != key.secret);
    let statuses = || [&*key.secret, newer].map(|secret| stand.status(secret, "/revocation-list"));
    assert_eq!(statuses(), [200, 200]);
    stand.do_key(200, "POST", &format!("{path}/end-overlap"));
    assert_eq!(statuses(), [401, 200]);
}

#[test]
fn given_a_key_when_revoked_then_it_is_refused_at_once_and_can_t_be_brought_back() {
    let stand = Stand::new();
    let key = stand.issue_role("authorizer");
    let path = format!("/api-keys/{}", key.id);
    assert_eq!(stand.status(&key.secret, "/revocation-list"), 200);
    let revoked = stand.post_key(200, &format!("{path}/revoke"), &json!({"reason": "leaked"}));
    assert_eq!((&revoked["status"], &revoked["revoked_reason"]), (&json!("revoked"), &json!("leaked")));
    assert_eq!(stand.status(&key.secret, "/revocation-list"), 401);

    stand.do_key(409, "POST", &format!("{path}/enable"));
    stand.post_key(409, &format!("{path}/rotate"), &json!({"overlap_seconds": 0}));
    let later = json!({"expires_at": "2999-01-01T00:00:00Z"});
    let extend = stand.tell(&stand.admin, "PATCH", &format!("/keys/v1{path}"), &later).status;
    assert_eq!(extend, 409);
    assert_eq!(stand.get_key(&path)["status"], "revoked");
    assert_eq!(stand.status(&key.secret, "/revocation-list"), 401);
    let stand = stand.restart();
    assert_eq!(stand.status(&key.secret, "/revocation-list"), 401);
    // A new key replaces it.
    assert_eq!(stand.status(&stand.issue_role("authorizer").secret, "/revocation-list"), 200);
}

#[test]
fn given_a_key_when_deleted_then_it_is_refused_and_gone_and_what_was_done_stays_in_the_audit_log() {
    let stand = Stand::new();
    let key = stand.issue_role("authorizer");
    let path = format!("/api-keys/{}", key.id);
    stand.do_key(204, "DELETE", &path);
    assert_eq!(stand.status(&key.secret, "/revocation-list"), 401);
    stand.do_key(404, "GET", &path);
    stand.do_key(404, "DELETE", &path);
    stand.do_key(404, "POST", &format!("{path}/enable"));
    assert!(!stand.get_key("/api-keys").to_string().contains(&key.id));
    let events = stand.get_key(&format!("/audit-events?target={}", key.id));
    let actions: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["key.deleted", "key.revoked", "key.issued"]);
}

#[test]
fn given_another_header_or_the_query_when_a_key_is_sent_there_then_it_is_none() {
    let stand = Stand::new();
    let answer = |request: Request| stand.service.send(&request).status;
    assert_eq!(answer(Request::new("GET", "/revocations").header("X-API-Key", &stand.admin)), 401);
    assert_eq!(answer(Request::new("GET", &format!("/revocations?api_key={}", stand.admin))), 401);
    assert_eq!(
        answer(Request::new("GET", "/revocations").header("Authorization", format!("bearer {}", stand.admin))),
        200
    );
}

#[test]
fn given_a_key_that_may_not_grant_when_it_issues_keys_then_it_is_refused() {
    let stand = Stand::new();
    let clerk = stand.issue(&json!({"name": "clerk", "scopes": ["keys:write", "authorizer"]})).secret;
    let issue = |scopes| stand.tell(&clerk, "POST", "/keys/v1/api-keys", &json!({"name": "one", "scopes": scopes}));
    expect(201, &issue(json!(["authorizer"])));
    for scopes in [json!(["admin"]), json!(["read-only"]), json!(["*"])] {
        assert_eq!(issue(scopes.clone()).status, 403, "{scopes}");
    }
}

#[test]
fn given_a_mistyped_role_when_a_key_is_issued_then_it_is_named() {
    let (status, _, err) = Folder::new().launch_with(&["keys", "issue", "one", "autorizer"], &[]).end();
    assert_eq!(status.code(), Some(2));
    assert!(err.iter().any(|line| line.contains("scopes[0]") && line.contains("autorizer")), "{err:?}");
}

#[test]
fn given_administrators_when_they_say_when_to_be_told_of_keys_then_others_see_it_and_can_t_change_it() {
    let stand = Stand::new();
    let reader = stand.issue_role("read-only").secret;
    let settings = "/keys/v1/alert-settings";
    let body = json!({"unused_days": 14, "expiring_days": [30, 7]});
    let refused = stand.tell(&reader, "PATCH", settings, &body);
    assert_eq!(refused.status, 403, "{refused:?}");
    let set = expect(200, &stand.tell(&stand.admin, "PATCH", settings, &body));
    assert_eq!(expect(200, &stand.ask(&reader, "GET", settings)), set);
    assert_eq!(set["unused_days"], 14, "{set}");
    let alerts = expect(200, &stand.ask(&reader, "GET", "/keys/v1/alerts"));
    assert_eq!(alerts, json!({"items": [], "next_cursor": null}));
}
