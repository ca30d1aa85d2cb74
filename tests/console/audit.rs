//! The audit trail, and the request ids in it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stand::{fields, on_each};

#[tokio::test]
async fn given_changes_when_the_trail_is_read_then_each_is_there_and_filters_hold() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let issued = stand.post("/keys/v1/api-keys").key(&admin).json(&json!({"name": "a"})).expect(201).await;
        let id = issued["key"]["id"].as_str().unwrap();
        stand.clock.advance(Duration::from_secs(1));
        stand.patch(&format!("/keys/v1/api-keys/{id}")).key(&admin).json(&json!({"name": "b"})).expect(200).await;
        let events = async |query: &str| {
            let list = stand.get(&format!("/keys/v1/audit-events{query}")).key(&admin).expect(200).await;
            list["items"].as_array().unwrap().clone()
        };
        let of_key = events(&format!("?target={id}")).await;
        let actions: Vec<_> = of_key.iter().map(|event| event["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["key.updated", "key.issued"]);
        assert_eq!((&of_key[0]["before"], &of_key[0]["after"]), (&json!({"name": "a"}), &json!({"name": "b"})));
        assert_eq!(of_key[1]["before"], Value::Null);
        assert_eq!(events("?action=key.updated").await.len(), 1);
        assert_eq!(events("?actor=host:test").await.len(), 1);
        assert_eq!(events("?to=2001-01-01T00:00:00Z").await.len(), 0);
        let first = stand.get("/keys/v1/audit-events?limit=1").key(&admin).expect(200).await;
        let cursor = first["next_cursor"].as_str().unwrap();
        assert_eq!(events(&format!("?cursor={cursor}")).await.len(), 2);
        let all = stand.get("/keys/v1/audit-events").key(&admin).expect(200).await.to_string();
        assert!(!all.contains(issued["secret"].as_str().unwrap()) && !all.contains("sha256"));
        let answer = stand.get("/keys/v1/audit-events?action=key.painted&from=x").key(&admin).send().await;
        assert_eq!(fields(&answer), ["action: unknown", "from: malformed"]);
    })
    .await;
}

#[tokio::test]
async fn given_an_id_of_the_request_when_something_changes_then_the_trail_has_it_if_it_is_one() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let long = "x".repeat(129);
        let cases = [
            (("x-request-id", "01HZ-7.a_b:c/d+e="), json!("01HZ-7.a_b:c/d+e=")),
            (("request-id", "r-1"), json!("r-1")),
            (("x-request-id", "two words"), Value::Null),
            (("x-request-id", ""), Value::Null),
            (("x-request-id", long.as_str()), Value::Null),
            (("x-request-id", "\u{e9}"), Value::Null),
        ];
        for ((name, value), expected) in cases {
            let request = stand.post("/keys/v1/api-keys").key(&admin).header(name, value);
            let issued = request.json(&json!({"name": "a"})).expect(201).await;
            let path = format!("/keys/v1/audit-events?target={}", issued["key"]["id"].as_str().unwrap());
            let list = stand.get(&path).key(&admin).expect(200).await;
            assert_eq!(list["items"][0]["request_id"], expected, "{value}");
        }
    })
    .await;
}
