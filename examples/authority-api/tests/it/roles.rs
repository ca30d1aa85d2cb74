//! The rights of each role, on every route of the service and of the key management.

use serde_json::json;

use crate::{
    contract::http::{Answer, Request, json as parsed},
    stand::Stand,
};

const ROLES: [&str; 3] = ["admin", "authorizer", "read-only"];

/// The service's own routes that require a key, and the roles that may use them.
const OWN: [(&str, &str, [bool; 3]); 12] = [
    ("GET", "/revocations", [true, false, true]),
    ("POST", "/revocations", [true, false, false]),
    ("GET", "/revocations/a", [true, false, true]),
    ("DELETE", "/revocations/a", [true, false, false]),
    ("GET", "/revocations/a/check", [true, true, true]),
    ("GET", "/revocation-list", [true, true, true]),
    ("POST", "/revocation-list", [true, false, false]),
    ("GET", "/settings", [true, false, true]),
    ("PATCH", "/settings", [true, false, false]),
    // Any key may read its own data, and may revoke or rotate itself.
    ("GET", "/keys/v1/whoami", [true, true, true]),
    ("POST", "/keys/v1/self-rotate", [true, true, true]),
    ("POST", "/keys/v1/self-revoke", [true, true, true]),
];

#[test]
fn given_each_role_when_it_asks_for_each_route_then_it_may_what_the_table_says() {
    let stand = Stand::new();
    for (column, role) in ROLES.into_iter().enumerate() {
        let key = stand.issue_role(role).secret;
        for (method, path, may) in OWN {
            let status = stand.ask(&key, method, path).status;
            // Without a body or an existing name, only the scope decides between these.
            assert!(
                if may[column] { status != 403 && status != 401 } else { status == 403 },
                "{role} {method} {path}: {status}"
            );
        }
    }
}

#[test]
fn given_a_key_of_another_organization_when_used_then_it_reaches_nothing() {
    let stand = Stand::new();
    let issue = ["keys", "--organization", "other", "issue", "stranger", "admin", "--key-output", "stdout"];
    let key = stand.folder.launch_with(&issue, &[]).end().1.remove(0);
    for (method, path, _) in OWN {
        let answer = stand.ask(&key, method, path);
        if path.starts_with("/keys/") {
            assert_ne!(answer.status, 403, "{method} {path}: its own data");
        } else {
            let code = parsed(&answer.body)["code"].clone();
            assert_eq!((answer.status, code), (403, json!("wrong_organization")), "{method} {path}");
        }
    }
}

#[test]
fn given_a_method_that_a_path_does_not_have_when_used_then_the_answer_says_which_it_has() {
    let stand = Stand::new();
    for (method, path, allowed) in [
        ("PUT", "/revocations", "GET, POST"),
        ("PATCH", "/revocations/a", "GET, DELETE"),
        ("POST", "/.well-known/jwks.json", "GET"),
        ("DELETE", "/healthz", "GET"),
    ] {
        let answer = stand.ask(&stand.admin, method, path);
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {path}: {answer:?}");
        assert_eq!(parsed(&answer.body)["code"], "method_not_allowed", "{method} {path}");
    }
}

#[test]
fn given_no_key_when_each_route_is_asked_for_then_only_health_and_the_public_key_answer() {
    let stand = Stand::new();
    for (method, path, _) in OWN {
        assert_eq!(stand.service.send(&Request::new(method, path)).status, 401, "{method} {path}");
    }
    for path in ["/healthz", "/.well-known/jwks.json"] {
        assert_eq!(stand.service.send(&Request::new("GET", path)).status, 200, "{path}");
    }
}

#[test]
fn given_each_role_when_it_asks_for_each_route_of_the_management_then_reading_roles_read_and_only_admins_change() {
    let stand = Stand::new();
    let document = parsed(&stand.service.send(&Request::new("GET", "/keys/v1/openapi.json")).body);
    let keys = ROLES.map(|role| stand.issue_role(role).secret);
    let mut routes = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let open = ["/health", "/openapi.json", "/session", "/whoami", "/self-revoke", "/self-rotate"];
        if open.iter().any(|open| path.ends_with(open)) {
            continue;
        }
        let asked = format!("/keys/v1{}", path.trim_start_matches("/v1").replace("{id}", "nobody"));
        for method in ["get", "post", "patch", "delete"].into_iter().filter(|method| methods[method].is_object()) {
            let method = method.to_uppercase();
            let [admin, authorizer, reader] = keys.each_ref().map(|key| stand.ask(key, &method, &asked).status);
            assert!(![401, 403, 405].contains(&admin), "{method} {asked}: {admin}");
            assert_eq!(authorizer, 403, "{method} {asked}");
            // Addresses of webhooks may contain secrets.
            let reads = method == "GET" && !path.starts_with("/webhooks");
            let expected = if reads { admin } else { 403 };
            assert_eq!(reader, expected, "{method} {asked}");
            routes += 1;
        }
    }
    assert!(routes > 20, "{routes}");
}

#[test]
fn given_several_roles_and_scopes_when_a_key_is_issued_with_them_then_it_may_what_each_allows() {
    let stand = Stand::new();
    let key = stand.issue(&json!({"name": "both", "scopes": ["authorizer", "settings:write"]})).secret;
    assert_eq!(stand.status(&key, "/revocation-list"), 200);
    assert_eq!(stand.tell(&key, "PATCH", "/settings", &json!({"name": "renamed"})).status, 200);
    assert_eq!(stand.status(&key, "/settings"), 403);
    let listed = stand.get_key("/scopes");
    let roles: Vec<_> = listed["roles"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    assert_eq!(roles, ROLES);
}

#[test]
fn given_a_role_that_may_not_when_it_asks_then_it_is_told_which_scope_it_lacks() {
    let stand = Stand::new();
    let key = stand.issue_role("authorizer").secret;
    let answer = stand.tell(&key, "POST", "/revocations", &json!("no matter what"));
    let expected = "HTTP/1.1 403\n\
        www-authenticate: Bearer realm=\"authority\", error=\"insufficient_scope\", \
        error_description=\"The API key lacks a required scope.\", scope=\"revocations:write\"\n\
        cache-control: no-store\n\n\
        {\"code\": \"insufficient_scope\", \"…\": \"…\"}";
    answer.assert_is(&Answer::parse(expected), "a role that may not");
}
