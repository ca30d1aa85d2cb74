//! A key is all that a program needs, and all keys of a workspace are alike.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    contract::http::{Answer, Request},
    stand::{Stand, expect},
};

const ROUTES: &str = include_str!("../../src/routes.rs");

/// The answer to whoever sends no key.
const CHALLENGE: &str = r#"HTTP/1.1 401 Unauthorized
www-authenticate: Bearer realm="workspace"
cache-control: no-store

{"type":"about:blank","title":"Unauthorized","status":401,"code":"missing_credential","detail":"An API key is required."}"#;

/// Every route of the API, in an order in which each finds what it needs.
fn calls() -> [(&'static str, &'static str, Option<Value>, u16); 5] {
    let record = json!({"title": "Order 7", "content": "two chairs"});
    [
        ("PUT", "/v1/records/order-7", Some(record.clone()), 201),
        ("PUT", "/v1/records/order-7", Some(record), 200),
        ("GET", "/v1/records/order-7", None, 200),
        ("GET", "/v1/records", None, 200),
        ("DELETE", "/v1/records/order-7", None, 200),
    ]
}

#[test]
fn given_every_route_of_the_api_when_called_then_a_key_is_enough_and_nothing_else_is_asked_for() {
    let stand = Stand::new();
    let visitor = stand.visitor("owner");
    let challenge = Answer::parse(CHALLENGE);
    let mut called = BTreeSet::new();
    for (method, path, body, status) in calls() {
        let with_key = stand.call(&stand.key, method, path, body.clone());
        assert_eq!(with_key.status, status, "{method} {path}: {with_key:?}");
        assert_eq!(with_key.header("set-cookie"), None, "{method} {path}");
        // Without a key, the challenge asks for one, and a session or another token is no substitute.
        let request = || Request::new(method, path).json(body.clone().unwrap_or_default().to_string());
        let others = [
            request(),
            request().header("Cookie", visitor.cookie()),
            request().header("Authorization", "Basic YTpi"),
            request().header("X-API-Key", &stand.key),
        ];
        for other in others {
            stand.service.send(&other).assert_is(&challenge, &format!("{other:?}"));
        }
        called.insert(path.replace("order-7", "{id}"));
    }
    let declared = ROUTES.split("with_key(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    assert_eq!(called, declared.collect());
}

#[test]
fn given_the_document_of_the_management_when_read_then_it_asks_for_keys_alone() {
    let stand = Stand::new();
    let document = expect(200, &stand.service.send(&Request::new("GET", "/keys/v1/openapi.json")));
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.len(), 1, "{schemes:?}");
    let (name, scheme) = schemes.iter().next().unwrap();
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20);
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            for security in operation["security"].as_array().into_iter().flatten() {
                let asked: Vec<_> = security.as_object().unwrap().keys().collect();
                assert!(asked.iter().all(|asked| *asked == name), "{method} {path}: {asked:?}");
            }
        }
    }
    // A key with a right over keys, which only an operator can make, needs no session either.
    let operator = crate::keys::add(&stand.folder, "operator", &["keys:write"]);
    let made = stand.call(&operator, "POST", "/keys/v1/api-keys", Some(json!({"name": "made by a program"})));
    assert_eq!(made.status, 201, "{made:?}");
}

#[test]
fn given_valid_keys_of_a_workspace_however_they_came_to_be_then_all_get_the_same_answers() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    let admin = stand.visitor("admin");
    let secret = |answer: Value| answer["secret"].as_str().unwrap().to_owned();
    let staging = stand.issue(&owner, "staging", "staging");
    let rotated = stand.issue(&owner, "rotated", "production");
    let path = format!("/api-keys/{}", rotated.id);
    let rotate = Some(json!({"overlap_seconds": 0}));
    let keys = [
        stand.key.clone(),
        stand.issue(&admin, "integration with the bookkeeper", "production").secret,
        staging.secret,
        secret(stand.manage(&owner, 201, "POST", &format!("{path}/duplicate"), None)),
        secret(stand.manage(&owner, 200, "POST", &format!("{path}/rotate"), rotate)),
        crate::keys::add(&stand.folder, "made by the operator", &[]),
    ];
    let mut answers = BTreeSet::new();
    for key in &keys {
        // What differs is whose key it is, and the time.
        let told = calls().map(|(method, path, body, _)| {
            let answer = stand.call(key, method, path, body);
            let mut body: Value = serde_json::from_str(&answer.body).unwrap();
            for record in ["/record", "/items/0", ""] {
                let record = body.pointer_mut(record).and_then(Value::as_object_mut);
                record.map(|record| ["changed_at", "changed_by"].map(|field| record.remove(field)));
            }
            (answer.status, body.to_string())
        });
        answers.insert(told);
    }
    assert_eq!((keys.len(), answers.len()), (6, 1), "{answers:#?}");
}

#[test]
fn given_keys_with_labels_when_listed_then_each_says_what_it_is_for() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    let body = json!({"name": "orders", "environment": "staging", "description": "The staging shop"});
    let made = stand.manage(&owner, 201, "POST", "/api-keys", Some(body));
    assert!(made["secret"].as_str().unwrap().starts_with("ws_staging_"));
    let find = |query: &str| stand.manage(&owner, 200, "GET", &format!("/api-keys?{query}"), None)["items"].clone();
    let found = find("environment=staging");
    assert_eq!(found.as_array().unwrap().len(), 1);
    let labels = ["name", "environment", "description"].map(|field| found[0][field].clone());
    assert_eq!(labels, [json!("orders"), json!("staging"), json!("The staging shop")]);
    assert_eq!(find("environment=production").as_array().unwrap().len(), 1);
    assert_eq!(find("q=shop").as_array().unwrap().len(), 1);
    let path = format!("/api-keys/{}", made["key"]["id"].as_str().unwrap());
    let renamed = stand.manage(&owner, 200, "PATCH", &path, Some(json!({"name": "orders of the new shop"})));
    assert_eq!((&renamed["name"], &renamed["id"]), (&json!("orders of the new shop"), &made["key"]["id"]));
    assert_eq!(stand.status(made["secret"].as_str().unwrap()), 200);
}
