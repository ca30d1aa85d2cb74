//! The leak drill: a key was known to somebody else for a while, and its owner learns what it did.

use std::{
    process::Command,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use axum_apikey::Timestamp;
use serde_json::{Value, json};

#[path = "../../../../tests/contract/chromium.rs"]
mod chromium;

use crate::{
    contract::http::json as read,
    eventually::eventually,
    stand::{Person, Stand},
};

/// Sends a request from another address of this machine.
fn steal(stand: &Stand, key: &str, method: &str, path: &str, body: &str) -> u16 {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--interface", "127.0.0.2", "-A", "thief/1.0"]);
    curl.args(["-X", method, "-H", &format!("Authorization: Bearer {key}"), "-H", "Content-Type: application/json"]);
    if !body.is_empty() {
        curl.args(["-d", body]);
    }
    let output = curl.arg(format!("http://{}{path}", stand.service.address)).output().unwrap();
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

/// Returns a moment between the requests before the call and those after it. It is further from both than the clocks of the
/// service and of the test can be apart.
fn next_moment() -> String {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let moment = now() + 20;
    while now() < moment + 20 {
        thread::yield_now();
    }
    Timestamp::from_millis(i64::try_from(moment).unwrap()).unwrap().to_string()
}

/// Has the service write what it has recorded, which it does by itself every few seconds, until `program` prints it.
fn written(stand: &Stand, id: &str, program: &[&str], is_told: impl Fn(&Value) -> bool) -> Value {
    let told = || {
        assert_eq!(stand.get(&stand.admin, &format!("/keys/v1/api-keys/{id}/activity"))["next_cursor"], json!(null));
        read(&stand.operate(program).out)
    };
    eventually(&true, || is_told(&told()));
    told()
}

#[test]
fn given_a_key_that_leaked_for_a_while_when_traced_then_its_acts_in_that_while_are_told_and_it_is_ended() {
    let stand = Stand::new();
    let [ci, laptop] = ["release-robot", "adas-laptop"].map(|name| stand.issue("main", name));
    let pipeline = Person::pipeline(&stand, &ci.secret);
    std::fs::write(pipeline.home().join("tools.tar"), "the bundle").unwrap();
    pipeline.done(&["publish", "tools", "1.0.0", "tools.tar"]);

    let from = next_moment();
    let stolen = [
        ("GET", "/v1/bundles", "", 200),
        ("GET", "/v1/bundles/tools/versions/1.0.0", "", 200),
        ("GET", "/v1/bundles/tools/versions/1.0.0", "", 200),
        ("PUT", "/v1/bundles/tools/versions/1.0.1", "something else", 201),
        ("PUT", "/v1/bundles/tools/versions/1.0.0", "something else", 409),
        ("PUT", "/v1/organization", r#"{"allow_deletion":true}"#, 200),
        ("DELETE", "/v1/bundles/tools/versions/1.0.0", "", 204),
        ("GET", "/keys/v1/api-keys", "", 403),
    ];
    for (method, path, body, status) in stolen {
        assert_eq!(steal(&stand, &ci.secret, method, path, body), status, "{method} {path}");
    }
    let to = next_moment();
    pipeline.done(&["list"]);
    assert_eq!(stand.send(&laptop.secret, "GET", "/v1/bundles", "").status, 200);

    let arguments = ["trace", &ci.id, "--from", &from, "--to", &to];
    let told = written(&stand, &ci.id, &[&arguments[..], &["--json"]].concat(), |told| {
        told["sources"][0]["requests"] == json!(8)
    });
    let sources = told["sources"].as_array().unwrap();
    let [source] = &sources[..] else { panic!("{told:#}") };
    assert_eq!((&source["address"], &source["user_agent"]), (&json!("127.0.0.2"), &json!("thief/1.0")));
    assert_eq!((&source["requests"], &source["changes"]), (&json!(8), &json!(3)));
    let changes = told["changes"].as_array().unwrap().iter();
    let changes: Vec<_> =
        changes.map(|request| ["method", "route"].map(|name| request[name].as_str().unwrap())).collect();
    assert_eq!(
        changes,
        [
            ["DELETE", "/v1/bundles/tools/versions/1.0.0"],
            ["PUT", "/v1/organization"],
            ["PUT", "/v1/bundles/tools/versions/1.0.1"],
        ]
    );
    let others = told["others"].as_array().unwrap().iter();
    let others: Vec<_> =
        others.map(|other| (other["route"].as_str().unwrap(), other["status"].as_u64(), &other["requests"])).collect();
    assert_eq!(
        others,
        [
            ("/keys/v1/api-keys", Some(403), &json!(1)),
            ("/v1/bundles", Some(200), &json!(1)),
            ("/v1/bundles/tools/versions/1.0.0", Some(200), &json!(2)),
            ("/v1/bundles/tools/versions/1.0.0", Some(409), &json!(1)),
        ]
    );
    let text = stand.operate(&arguments).out;
    assert!(text.starts_with(&format!("\"release-robot\", {} (active)\nrequests: 8, changes: 3\n", ci.id)), "{text}");
    for line in ["127.0.0.2  thief/1.0", "DELETE  /v1/bundles/tools/versions/1.0.0"] {
        let has = |row: &str| row.split_whitespace().collect::<Vec<_>>().join("  ").contains(line);
        assert!(text.lines().any(has), "{line}: {text}");
    }
    assert!(!text.contains("registry"), "the pipeline's own requests are outside of the span: {text}");
    // Without a span, everything that is recorded.
    let all = read(&stand.operate(&["trace", &ci.id, "--json"]).out);
    assert_eq!(all["sources"].as_array().unwrap().len(), 2, "{all:#}");

    assert_eq!(stand.operate(&["revoke", &ci.id, "--yes", "--reason", "leaked"]).code, 0);
    assert_eq!(steal(&stand, &ci.secret, "GET", "/v1/bundles", ""), 401);
    assert_eq!(pipeline.run(&["list"]).code, 4);
    assert_eq!(stand.send(&laptop.secret, "GET", "/v1/bundles", "").status, 200);
}

#[test]
fn given_a_leaked_key_that_manages_keys_when_traced_then_the_keys_it_made_are_told() {
    let stand = Stand::new();
    let owner = read(&stand.operate(&["--json", "issue", "owner", "keys:admin", "--key-output", "stdout"]).out);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (id, secret) = (text(&owner["key"]["id"]), text(&owner["secret"]));
    assert_eq!(steal(&stand, &secret, "POST", "/keys/v1/api-keys", r#"{"name":"back door"}"#), 201);
    let told = written(&stand, &id, &["trace", &id, "--json"], |told| told["changes"][0]["route"].is_string());
    let made = text(&told["audit_events"][0]["target"]);
    assert_eq!(
        (&told["audit_events"][0]["action"], told["audit_events"].as_array().unwrap().len()),
        (&json!("key.issued"), 1)
    );
    assert_eq!(told["changes"][0]["route"], "/keys/v1/api-keys");
    assert_eq!(told["changes"][0]["address"], "127.0.0.2");
    // One command ends both.
    assert_eq!(stand.operate(&["bulk-revoke", "--key", &id, "--descendants", "--yes"]).code, 0);
    for id in [&id, &made] {
        assert_eq!(stand.get(&stand.admin, &format!("/keys/v1/api-keys/{id}"))["status"], "revoked");
    }
}

#[test]
fn given_a_leaked_key_in_a_browser_when_its_page_is_opened_then_it_tells_what_the_key_did() {
    let stand = Stand::new();
    chromium::run("leak.mjs", &[stand.service.page.as_deref().unwrap(), &stand.admin, "main"]);
    stand.service.stop();
}
