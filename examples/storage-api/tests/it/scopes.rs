//! Nine scopes on real endpoints: a key can't do what it was not granted.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    contract::http::{Request, json},
    stand::Stand,
};

const SCOPES: [&str; 9] = [
    "environments:read",
    "environments:write",
    "files:read",
    "files:write",
    "members:read",
    "members:write",
    "account:read",
    "aggregators:read",
    "aggregators:write",
];

/// Every endpoint with its scope, in an order in which each finds the resources that it needs.
const ENDPOINTS: [(&str, &str, &str, &str); 16] = [
    ("environments:read", "GET", "/v1/environments", ""),
    ("environments:write", "PUT", "/v1/environments/site", r#"{"description":"the website"}"#),
    ("environments:read", "GET", "/v1/environments/site", ""),
    ("files:write", "PUT", "/v1/environments/site/files/a.txt/content", "content"),
    ("files:read", "GET", "/v1/environments/site/files", ""),
    ("files:read", "GET", "/v1/environments/site/files/a.txt", ""),
    ("files:read", "GET", "/v1/environments/site/files/a.txt/content", ""),
    ("members:write", "PUT", "/v1/environments/site/members/ann", r#"{"role":"editor"}"#),
    ("members:read", "GET", "/v1/environments/site/members", ""),
    ("account:read", "GET", "/v1/account", ""),
    ("aggregators:write", "PUT", "/v1/aggregators/main", r#"{"cache_seconds":60,"custom_domains":[]}"#),
    ("aggregators:read", "GET", "/v1/aggregators", ""),
    ("files:write", "DELETE", "/v1/environments/site/files/a.txt", ""),
    ("members:write", "DELETE", "/v1/environments/site/members/ann", ""),
    ("environments:write", "DELETE", "/v1/environments/site", ""),
    ("environments:read", "HEAD", "/v1/environments", ""),
];

#[test]
fn given_each_endpoint_when_a_key_has_its_scope_alone_then_it_may_and_with_all_the_others_it_may_not() {
    let stand = Stand::new();
    let alone = SCOPES.map(|scope| stand.issue(scope, &[scope]));
    let without = SCOPES.map(|scope| {
        let others: Vec<_> = SCOPES.into_iter().filter(|other| *other != scope).collect();
        stand.issue(&format!("all but {scope}"), &others)
    });
    for (scope, method, path, body) in ENDPOINTS {
        let of = SCOPES.iter().position(|known| *known == scope).unwrap();
        let request = Request::new(method, path).json(body);
        assert_eq!(stand.service.send(&request).status, 401, "{method} {path} without a key");

        let refused = stand.service.send(&request.clone().bearer(&without[of].secret));
        let challenge = refused.header("www-authenticate").unwrap_or_default();
        assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
        assert!(challenge.ends_with(&format!("scope=\"{scope}\"")), "{method} {path}: {challenge}");

        let done = stand.service.send(&request.bearer(&alone[of].secret));
        assert!((200..300).contains(&done.status), "{method} {path}: {done:?}");
    }
    let tested: BTreeSet<_> = ENDPOINTS.iter().map(|(scope, ..)| *scope).collect();
    assert_eq!(tested, SCOPES.into());
}

#[test]
fn given_the_service_when_asked_for_its_scopes_then_the_nine_are_listed_with_what_each_allows() {
    let stand = Stand::new();
    let scopes = stand.read("scopes");
    let own = |scope: &&Value| !scope["name"].as_str().unwrap().starts_with("keys:");
    let listed: Vec<_> = scopes["items"].as_array().unwrap().iter().filter(own).collect();
    let names: BTreeSet<_> = listed.iter().map(|scope| scope["name"].as_str().unwrap()).collect();
    assert_eq!(names, SCOPES.into());
    assert!(listed.iter().all(|scope| !scope["description"].as_str().unwrap().is_empty()), "{scopes}");
}

#[test]
fn given_a_key_for_reading_files_when_it_asks_for_keys_then_it_may_do_nothing_with_them() {
    let stand = Stand::new();
    let reader = stand.issue("reader", &["files:read"]).secret;
    assert_eq!(stand.status(&reader, "/keys/v1/api-keys"), 403);
    let widen = stand.send(&reader, "POST", "/keys/v1/api-keys", r#"{"name":"mine","scopes":["files:write"]}"#);
    assert_eq!(widen.status, 403);
    let unknown = stand.send(&stand.admin, "POST", "/keys/v1/api-keys", r#"{"name":"x","scopes":["files:raed"]}"#);
    assert_eq!((unknown.status, json(&unknown.body)["errors"][0]["field"].as_str()), (422, Some("scopes[0]")));
}
