//! Service accounts, which group the keys of one program, and the audit log.

use serde_json::{Value, json};

use crate::stand::{Issued, Stand};

fn account(stand: &Stand) -> String {
    let made = stand.post_key(201, "/service-accounts", &json!({"name": "gates"}));
    made["id"].as_str().unwrap().to_owned()
}

fn key_of(stand: &Stand, account: &str, name: &str) -> Issued {
    stand.issue(&json!({"name": name, "scopes": ["authorizer"], "service_account_id": account}))
}

fn actions(events: &Value) -> Vec<&str> {
    events["items"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect()
}

#[test]
fn given_an_account_with_keys_when_all_are_rotated_then_each_has_a_new_secret_and_others_are_untouched() {
    let stand = Stand::new();
    let gates = account(&stand);
    let keys = [key_of(&stand, &gates, "north"), key_of(&stand, &gates, "south")];
    let other = stand.issue_role("authorizer").secret;
    let rotated = stand.post_key(200, &format!("/service-accounts/{gates}/rotate-all"), &json!({"overlap_seconds": 0}));
    let newer: Vec<_> =
        rotated["items"].as_array().unwrap().iter().map(|key| key["secret"].as_str().unwrap()).collect();
    assert_eq!(newer.len(), 2);
    for secret in newer.into_iter().chain([&*other]) {
        assert_eq!(stand.status(secret, "/revocation-list"), 200);
    }
    for key in &keys {
        assert_eq!(stand.status(&key.secret, "/revocation-list"), 401);
    }
}

#[test]
fn given_an_account_when_its_keys_are_listed_then_they_are_its_own_and_all_end_with_it() {
    let stand = Stand::new();
    let gates = account(&stand);
    let key = key_of(&stand, &gates, "north");
    stand.issue_role("authorizer");
    let listed = stand.get_key(&format!("/api-keys?service_account={gates}"));
    let ids: Vec<_> = listed["items"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [key.id.as_str()]);
    let switch = |to: &str| stand.do_key(200, "POST", &format!("/service-accounts/{gates}/{to}"));
    switch("disable");
    assert_eq!(stand.status(&key.secret, "/revocation-list"), 401);
    switch("enable");
    assert_eq!(stand.status(&key.secret, "/revocation-list"), 200);
    stand.do_key(204, "DELETE", &format!("/service-accounts/{gates}"));
    assert_eq!(stand.status(&key.secret, "/revocation-list"), 401);
    stand.do_key(404, "GET", &format!("/service-accounts/{gates}"));
}

#[test]
fn given_an_account_when_its_keys_are_used_then_its_usage_is_theirs() {
    let stand = Stand::new();
    let gates = account(&stand);
    for name in ["north", "south"] {
        let key = key_of(&stand, &gates, name).secret;
        assert_eq!([stand.status(&key, "/revocation-list"), stand.status(&key, "/settings")], [200, 403]);
    }
    let stand = stand.restart();
    let usage = stand.get_key(&format!("/usage?service_account={gates}"));
    assert_eq!((&usage["ok"], &usage["refused"]), (&json!(2), &json!(2)), "{usage}");
}

#[test]
fn given_changes_of_keys_and_accounts_when_the_audit_log_is_read_then_it_has_each_with_who_did_it() {
    let stand = Stand::new();
    let whoami = stand.get_key("/whoami");
    let gates = account(&stand);
    let key = key_of(&stand, &gates, "north");
    stand.post_key(200, &format!("/service-accounts/{gates}/rotate-all"), &json!({"overlap_seconds": 0}));
    stand.do_key(200, "POST", &format!("/api-keys/{}/revoke", key.id));
    stand.do_key(204, "DELETE", &format!("/service-accounts/{gates}"));

    let of = |target: &str| stand.get_key(&format!("/audit-events?target={target}"));
    let (of_key, of_account) = (of(&key.id), of(&gates));
    assert_eq!(actions(&of_key), ["key.revoked", "key.rotated", "key.issued"]);
    assert_eq!(actions(&of_account), ["service_account.deleted", "service_account.created"]);
    for event in of_key["items"].as_array().unwrap() {
        assert_eq!(event["actor"], whoami["actor"], "{event}");
    }
    // The first event is the issue of the key that did all this.
    let all = stand.get_key("/audit-events");
    let first = all["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&first["action"], &first["actor"]), (&json!("key.issued"), &json!("host:service")), "{first}");
}
