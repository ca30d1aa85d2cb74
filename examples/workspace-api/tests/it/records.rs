//! Records, which belong to the workspace: what each answer says, and that no operation on keys touches them.

use apikey_testkit::PrivatePostgres;
use serde_json::{Value, json};

use crate::stand::{Stand, expect, refused};

fn put(stand: &Stand, key: &str, id: &str, title: &str, content: &str) -> Value {
    let body = json!({"title": title, "content": content});
    let answer = stand.call(key, "PUT", &format!("/v1/records/{id}"), Some(body));
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    expect(answer.status, &answer)
}

#[test]
fn given_changes_of_a_record_when_answered_then_each_names_the_record_and_what_changed() {
    changes_are_told(&Stand::new());
}

/// Everything that has statements of its own, on the other database.
#[test]
fn given_postgres_when_people_keys_and_records_change_then_all_is_as_with_sqlite() {
    let Some(server) = PrivatePostgres::shared() else { return };
    let stand = Stand::on(Some(server.create_database()));
    changes_are_told(&stand);
    let owner = stand.visitor("owner");
    let key = stand.issue(&owner, "backend", "staging");
    put(&stand, &key.secret, "order-8", "Order 8", "");
    let before = stand.rows(&stand.key);
    let path = format!("/api-keys/{}", key.id);
    stand.manage(&owner, 200, "POST", &format!("{path}/rotate"), Some(json!({"overlap_seconds": 0})));
    assert_eq!(stand.status(&key.secret), 401);
    stand.manage(&owner, 204, "DELETE", &path, None);
    assert_eq!(stand.rows(&stand.key), before);

    let max = |role: &str| stand.visit(&owner, "PUT", "/people/max@example.com", Some(json!({"role": role})));
    let added = expect(200, &max("member"));
    let member = stand.sign_in("max@example.com", added["password"].as_str().unwrap());
    let list = || stand.visit(&member, "GET", "/keys/v1/api-keys", None).status;
    assert_eq!(list(), 403);
    assert_eq!(expect(200, &max("admin"))["password"], Value::Null);
    assert_eq!(list(), 200);
    let last = stand.visit(&owner, "DELETE", "/people/owner@example.com", None);
    assert_eq!(refused(&last), (409, "last_owner".to_owned()));
    assert_eq!(stand.visit(&owner, "DELETE", "/people/max@example.com", None).status, 204);
    assert_eq!(list(), 401);
    assert_eq!(stand.visit(&owner, "DELETE", "/session", None).status, 204);
    assert_eq!(stand.visit(&owner, "GET", "/session", None).status, 401);
}

fn changes_are_told(stand: &Stand) {
    let told = |value: &Value| (value["change"].clone(), value["changed"].clone(), value["record"]["id"].clone());
    let case = |change: &str, changed: &[&str]| (json!(change), json!(changed), json!("order-7"));
    let put = |title, content| put(stand, &stand.key, "order-7", title, content);
    let created = put("Order 7", "two chairs");
    assert_eq!(told(&created), case("created", &["title", "content"]));
    assert_eq!(created["record"]["changed_by"], "bootstrap");
    assert_eq!(told(&put("Order 7", "three chairs")), case("updated", &["content"]));
    assert_eq!(told(&put("Order seven", "three chairs")), case("updated", &["title"]));
    let unchanged = put("Order seven", "three chairs");
    assert_eq!(told(&unchanged), case("none", &[]));
    let read = expect(200, &stand.call(&stand.key, "GET", "/v1/records/order-7", None));
    assert_eq!(read, unchanged["record"]);
    let deleted = expect(200, &stand.call(&stand.key, "DELETE", "/v1/records/order-7", None));
    assert_eq!(told(&deleted), case("deleted", &["title", "content"]));
    assert_eq!(deleted["record"], read);
    let gone = ["GET", "DELETE"].map(|method| refused(&stand.call(&stand.key, method, "/v1/records/order-7", None)));
    assert_eq!(gone, [(404, "not_found".to_owned()), (404, "not_found".to_owned())]);
}

#[test]
fn given_more_records_than_a_page_when_listed_then_each_is_there_once() {
    let stand = Stand::new();
    for n in 0..205 {
        put(&stand, &stand.key, &format!("r{n:03}"), "one", "");
    }
    let page = |path: &str| expect(200, &stand.call(&stand.key, "GET", path, None));
    let first = page("/v1/records");
    let second = page(&format!("/v1/records?after={}", first["next"].as_str().unwrap()));
    assert_eq!(second["next"], Value::Null);
    let items = [first, second].map(|page| page["items"].as_array().unwrap().clone()).concat();
    let ids: Vec<_> = items.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (0..205).map(|n| format!("r{n:03}")).collect::<Vec<_>>());
}

#[test]
fn given_two_workspaces_when_a_key_of_one_is_used_then_the_other_is_not_there() {
    let stand = Stand::new();
    put(&stand, &stand.key, "order-7", "main's", "");
    let password = stand.person("olga@example.org", "owner", "other");
    let olga = stand.sign_in("olga@example.org", &password);
    let other = stand.issue(&olga, "backend", "production").secret;
    assert_eq!(refused(&stand.call(&other, "GET", "/v1/records/order-7", None)), (404, "not_found".to_owned()));
    put(&stand, &other, "order-7", "other's", "");
    assert_eq!(stand.rows(&other)[0]["title"], "other's");
    assert_eq!(stand.rows(&stand.key)[0]["title"], "main's");
    expect(200, &stand.call(&other, "DELETE", "/v1/records/order-7", None));
    assert_eq!(stand.rows(&stand.key)[0]["title"], "main's");
    // Neither does its owner see keys or people of the other.
    let keys = stand.manage(&olga, 200, "GET", "/api-keys", None);
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    let session = expect(200, &stand.visit(&olga, "GET", "/session", None));
    assert_eq!(session["people"].as_array().unwrap().len(), 1);
}

#[test]
fn given_any_operation_on_keys_when_done_then_every_record_is_as_before() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    let key = stand.issue(&owner, "backend", "production");
    for n in 0..20 {
        let by = if n % 2 == 0 { &stand.key } else { &key.secret };
        put(&stand, by, &format!("order-{n}"), &format!("Order {n}"), "two chairs");
    }
    let before = stand.rows(&stand.key);
    let assert_same = |operation: &str| {
        let after = stand.rows(&stand.key);
        for (before, after) in before.as_array().unwrap().iter().zip(after.as_array().unwrap()) {
            assert_eq!(before, after, "{operation}");
        }
        assert_eq!(before, after, "{operation}");
    };
    let path = format!("/api-keys/{}", key.id);
    let id_of = |issued: &Value| issued["key"]["id"].as_str().unwrap().to_owned();
    let made = stand.issue(&owner, "another", "staging");
    assert_same("create");
    let rename = Some(json!({"name": "orders", "description": "writes orders"}));
    assert_eq!(stand.manage(&owner, 200, "PATCH", &path, rename)["name"], "orders");
    assert_same("rename");
    stand.manage(&owner, 200, "POST", &format!("{path}/rotate"), Some(json!({"overlap_seconds": 0})));
    assert_same("rotate");
    for operation in ["disable", "enable"] {
        stand.manage(&owner, 200, "POST", &format!("{path}/{operation}"), None);
        assert_same(operation);
    }
    let copy = stand.manage(&owner, 201, "POST", &format!("{path}/duplicate"), None);
    assert_same("duplicate");
    stand.manage(&owner, 200, "POST", &format!("{path}/revoke"), Some(json!({"reason": "leaked"})));
    assert_same("revoke");
    for id in [key.id.clone(), made.id, id_of(&copy)] {
        stand.manage(&owner, 204, "DELETE", &format!("/api-keys/{id}"), None);
        assert_same("delete");
    }
    stand.manage(&owner, 404, "GET", &path, None);
    // Records that a deleted key has written can still be changed.
    assert_eq!(put(&stand, &stand.key, "order-1", "Order 1", "four chairs")["change"], "updated");
}
