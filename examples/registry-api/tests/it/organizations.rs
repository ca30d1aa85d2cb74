//! One kind of key: it reaches everything of its organization, and nothing of another's.

use serde_json::json as value;

use crate::{
    contract::http::{Answer, json},
    stand::Stand,
};

/// Method, path, body and status of a walk through everything that an organization has.
const EVERYTHING: [(&str, &str, &str, u16); 15] = [
    ("PUT", "/v1/bundles/tools/versions/1.0.0", "the first", 201),
    ("PUT", "/v1/bundles/tools/versions/1.1.0-rc.1", "a candidate", 201),
    ("PUT", "/v1/bundles/tools/versions/1.0.0", "another", 409),
    ("GET", "/v1/bundles", "", 200),
    ("GET", "/v1/bundles/tools", "", 200),
    ("GET", "/v1/bundles/tools/versions/1.0.0", "", 200),
    ("GET", "/v1/bundles/tools/versions/2.0.0", "", 404),
    ("PUT", "/v1/publisher", r#"{"display_name":"Acme","homepage":"https://acme.example"}"#, 200),
    ("GET", "/v1/publisher", "", 200),
    ("DELETE", "/v1/bundles/tools/versions/1.1.0-rc.1", "", 409),
    ("PUT", "/v1/organization", r#"{"allow_deletion":true}"#, 200),
    ("GET", "/v1/organization", "", 200),
    ("DELETE", "/v1/bundles/tools/versions/1.1.0-rc.1", "", 204),
    ("DELETE", "/v1/bundles/tools/versions/1.1.0-rc.1", "", 404),
    ("GET", "/v1/me", "", 200),
];

#[test]
fn given_a_key_without_scopes_when_used_then_it_reaches_everything_of_its_organization() {
    let stand = Stand::new();
    let [maker, reader] = ["maker", "reader"].map(|name| stand.issue("acme", name).secret);
    for (method, path, body, status) in EVERYTHING {
        let answer = stand.send(&maker, method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
    // Another key of the organization sees what this one made.
    let bundle = stand.get(&reader, "/v1/bundles/tools");
    assert_eq!((&bundle["latest"], bundle["versions"].as_array().unwrap().len()), (&value!("1.0.0"), 1), "{bundle}");
    assert_eq!(bundle["versions"][0]["published_by"], "maker");
    assert_eq!(stand.send(&reader, "GET", "/v1/bundles/tools/versions/1.0.0", "").body, "the first");
    assert_eq!(stand.get(&reader, "/v1/publisher")["display_name"], "Acme");
    assert_eq!(stand.get(&reader, "/v1/organization"), value!({"allow_deletion": true}));
}

#[test]
fn given_another_organization_when_its_key_asks_then_there_is_nothing_and_nothing_is_changed() {
    let stand = Stand::new();
    let [ours, theirs] = ["acme", "globex"].map(|organization| stand.issue(organization, "ci").secret);
    for (method, path, body, _) in EVERYTHING {
        stand.send(&ours, method, path, body);
    }
    assert_eq!(stand.get(&theirs, "/v1/bundles"), value!([]));
    for path in ["/v1/bundles/tools", "/v1/bundles/tools/versions/1.0.0"] {
        for method in ["GET", "DELETE"] {
            let answer = stand.send(&theirs, method, path, "");
            assert!([404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(stand.get(&theirs, "/v1/publisher")["display_name"], "");
    assert_eq!(stand.get(&theirs, "/v1/organization"), value!({"allow_deletion": false}));
    // The same names are free, and what is written there stays there.
    for (method, path, body, status) in EVERYTHING {
        assert_eq!(stand.send(&theirs, method, path, body).status, status, "{method} {path}");
    }
    stand.send(&theirs, "PUT", "/v1/publisher", r#"{"display_name":"Globex","homepage":""}"#);
    assert_eq!(stand.get(&ours, "/v1/publisher")["display_name"], "Acme");
}

#[test]
fn given_names_and_bodies_that_can_t_be_when_sent_then_the_error_says_why() {
    let stand = Stand::new();
    let cases = [
        ("PUT", "/v1/bundles/Tools/versions/1.0.0", "x", 422, "invalid_name"),
        ("PUT", "/v1/bundles/tools/versions/1.0", "x", 422, "invalid_version"),
        ("PUT", "/v1/organization", r#"{"allow_deletion":"yes"}"#, 422, "invalid_body"),
        ("PUT", "/v1/publisher", r#"{"display_name":"Acme"}"#, 422, "invalid_body"),
        ("GET", "/v1/nowhere", "", 404, "not_found"),
        ("DELETE", "/v1/bundles/tools", "", 405, "method_not_allowed"),
    ];
    for (method, path, body, status, code) in cases {
        let expected = Answer::parse(&format!("HTTP/1.1 {status}\n\n{{\"code\":\"{code}\",\"…\":\"…\"}}"));
        stand.send(&stand.admin, method, path, body).assert_is(&expected, path);
    }
}

#[test]
fn given_an_organization_that_is_full_when_it_publishes_then_the_error_says_so_and_others_have_room() {
    let stand = Stand::new();
    let [full, other] = ["acme", "globex"].map(|organization| stand.issue(organization, "robot").secret);
    let publish = |key: &str, bundle: &str, version: u32| {
        let answer = stand.send(key, "PUT", &format!("/v1/bundles/{bundle}/versions/1.0.{version}"), "x");
        (answer.status, json(&answer.body)["code"].as_str().unwrap_or_default().to_owned())
    };
    for version in 0..100 {
        assert_eq!(publish(&full, ["tools", "docs"][version as usize % 2], version).0, 201);
    }
    assert_eq!(publish(&full, "more", 1), (409, "too_many_versions".to_owned()));
    assert_eq!(publish(&full, "tools", 0), (409, "version_exists".to_owned()));
    assert_eq!(publish(&other, "more", 1).0, 201);
    assert_eq!(stand.get(&full, "/v1/bundles").as_array().unwrap().len(), 2, "no bundle without a version");
    stand.send(&full, "PUT", "/v1/organization", r#"{"allow_deletion":true}"#);
    assert_eq!(stand.send(&full, "DELETE", "/v1/bundles/tools/versions/1.0.0", "").status, 204);
    assert_eq!(publish(&full, "more", 1).0, 201);
}

#[test]
fn given_keys_of_which_one_is_used_when_the_unused_are_listed_then_the_others_are_there() {
    let stand = Stand::new();
    let [used, unused] = ["used", "unused"].map(|name| stand.issue("acme", name));
    assert_eq!(stand.send(&used.secret, "GET", "/v1/me", "").status, 200);
    // Stopping the service writes the last uses, so that the test need not wait.
    stand.service.stop();
    let stand = Stand { service: stand.folder.start(), ..stand };
    let listed = json(&stand.operate(&["--organization", "acme", "--json", "list", "--unused"]).out);
    let ids: Vec<_> = listed["items"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [unused.id]);
}

#[test]
fn given_the_first_key_of_another_organization_when_it_manages_keys_then_it_sees_and_makes_its_own_alone() {
    let stand = Stand::new();
    let theirs = stand.issue("main", "ci");
    let owner = ["--organization", "acme", "--json", "issue", "owner", "keys:admin", "--key-output", "stdout"];
    let owner = json(&stand.operate(&owner).out)["secret"].as_str().unwrap().to_owned();
    let made = stand.send(&owner, "POST", "/keys/v1/api-keys", r#"{"name":"release-robot"}"#);
    let made = json(&made.body)["secret"].as_str().unwrap().to_owned();
    assert_eq!(stand.get(&made, "/v1/me")["organization"], "acme");
    let keys = stand.get(&owner, "/keys/v1/api-keys");
    let names: Vec<_> = keys["items"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["release-robot", "owner"]);
    for path in [format!("/keys/v1/api-keys/{}", theirs.id), format!("/keys/v1/api-keys/{}/activity", theirs.id)] {
        assert_eq!(stand.send(&owner, "GET", &path, "").status, 404, "{path}");
    }
}

#[test]
fn given_a_key_of_the_product_when_it_asks_for_keys_then_it_manages_none() {
    let stand = Stand::new();
    let key = stand.issue("main", "ci").secret;
    assert_eq!(stand.send(&key, "GET", "/keys/v1/api-keys", "").status, 403);
    assert_eq!(stand.send(&key, "POST", "/keys/v1/api-keys", r#"{"name":"another"}"#).status, 403);
    assert_eq!(stand.send(&stand.admin, "GET", "/keys/v1/api-keys", "").status, 200);
}
