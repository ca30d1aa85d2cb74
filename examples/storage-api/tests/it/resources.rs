//! The endpoints behave as documented.

use crate::{
    contract::http::{Answer, Request, json},
    stand::Stand,
};

/// Sends requests in order, and compares the answers.
fn walk(stand: &Stand, steps: &[(&str, &str, &str, &str)]) {
    for (method, path, body, expected) in steps {
        let answer = stand.send(&stand.admin, method, path, body);
        answer.assert_is(&Answer::parse(&format!("HTTP/1.1 {expected}")), &format!("{method} {path}"));
    }
}

#[test]
fn given_a_method_that_a_path_does_not_have_when_used_then_the_answer_says_which_it_has() {
    let stand = Stand::new();
    let answer = stand.send(&stand.admin, "PUT", "/v1/environments", "{}");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET,HEAD")), "{answer:?}");
    assert_eq!(json(&answer.body)["code"], "method_not_allowed");
}

#[test]
fn given_environments_when_made_changed_and_deleted_then_each_is_listed_as_it_is() {
    let stand = Stand::new();
    walk(
        &stand,
        &[
            ("GET", "/v1/environments", "", "200\n\n[]"),
            (
                "PUT",
                "/v1/environments/a",
                r#"{"description":"one"}"#,
                "201\n\n{\"name\":\"a\",\"description\":\"one\"}",
            ),
            (
                "PUT",
                "/v1/environments/a",
                r#"{"description":"two"}"#,
                "200\n\n{\"name\":\"a\",\"description\":\"two\"}",
            ),
            ("GET", "/v1/environments/a", "", "200\n\n{\"name\":\"a\",\"description\":\"two\"}"),
            ("GET", "/v1/environments", "", "200\n\n[{\"name\":\"a\",\"description\":\"two\"}]"),
            ("DELETE", "/v1/environments/a", "", "204\n\n"),
            (
                "GET",
                "/v1/environments/a",
                "",
                &problem("404", "Not Found", "not_found", "There is no such environment."),
            ),
            ("DELETE", "/v1/environments/a", "", &problem("404", "Not Found", "not_found", NOTHING)),
        ],
    );
}

#[test]
fn given_files_when_uploaded_replaced_and_deleted_then_they_are_listed_described_and_downloaded_as_they_are() {
    let stand = Stand::new();
    stand.upload("site", "a.txt", "hello");
    let file = r#"{"name":"a.txt","size":5,"uploaded_by":"bootstrap"}"#;
    let path = "/v1/environments/site/files/a.txt";
    walk(
        &stand,
        &[
            ("GET", "/v1/environments/site/files", "", &format!("200\n\n[{file}]")),
            ("GET", path, "", &format!("200\n\n{file}")),
        ],
    );
    let download = stand.get(&stand.admin, &format!("{path}/content"));
    assert_eq!((download.status, &*download.body, download.header("content-length")), (200, "hello", Some("5")));
    let put = Request::new("PUT", &format!("{path}/content")).bearer(&stand.admin);
    assert_eq!(stand.service.send(&Request { body: "bye".to_owned(), ..put }).status, 200);
    assert_eq!(stand.get(&stand.admin, &format!("{path}/content")).body, "bye");
    walk(
        &stand,
        &[
            ("DELETE", path, "", "204\n\n"),
            ("GET", path, "", &problem("404", "Not Found", "not_found", NOTHING)),
            ("GET", &format!("{path}/content"), "", &problem("404", "Not Found", "not_found", NOTHING)),
            ("GET", "/v1/environments/site/files", "", "200\n\n[]"),
        ],
    );
}

#[test]
fn given_members_when_added_changed_and_removed_then_each_is_listed_with_its_role() {
    let stand = Stand::new();
    stand.upload("site", "a.txt", "hello");
    let path = "/v1/environments/site/members";
    let ann = format!("{path}/ann");
    walk(
        &stand,
        &[
            ("PUT", &ann, r#"{"role":"viewer"}"#, "201\n\n{\"name\":\"ann\",\"role\":\"viewer\"}"),
            ("PUT", &ann, r#"{"role":"owner"}"#, "200\n\n{\"name\":\"ann\",\"role\":\"owner\"}"),
            ("PUT", &ann, r#"{"role":"king"}"#, &problem("422", "Unprocessable Entity", "invalid_body", INVALID)),
            ("GET", path, "", "200\n\n[{\"name\":\"ann\",\"role\":\"owner\"}]"),
            ("DELETE", &ann, "", "204\n\n"),
            ("DELETE", &ann, "", &problem("404", "Not Found", "not_found", NOTHING)),
            ("GET", path, "", "200\n\n[]"),
        ],
    );
}

#[test]
fn given_an_account_when_it_stores_files_then_its_usage_and_its_balance_say_so() {
    let stand = Stand::new();
    let auditor = stand.issue("auditor", &["account:read"]).secret;
    let read = || json(&stand.get(&auditor, "/v1/account").body);
    let before = read();
    assert_eq!((&before["environment"], &before["balance"]["stored_bytes"]), (&"live".into(), &0.into()));
    stand.upload("site", "a.txt", "hello");
    assert_eq!(stand.status(&auditor, "/v1/environments"), 403);
    let after = read();
    let balance = |account: &serde_json::Value, name| account["balance"][name].as_u64().unwrap();
    assert_eq!(balance(&after, "stored_bytes"), 5);
    assert_eq!(balance(&before, "remaining_bytes") - balance(&after, "remaining_bytes"), 5);
    // Two for the upload, and this request itself.
    let used = |account: &serde_json::Value, name| account["usage"][name].as_u64().unwrap();
    assert_eq!((used(&after, "ok") - used(&before, "ok"), used(&after, "refused")), (3, 1));
}

#[test]
fn given_an_account_without_room_when_a_file_is_uploaded_then_it_is_refused_and_not_there() {
    let stand = Stand::new();
    stand.upload("site", "big", &"x".repeat(60 << 20));
    let put = Request::new("PUT", "/v1/environments/site/files/more/content").bearer(&stand.admin);
    let refused = stand.service.send(&Request { body: "x".repeat(4 << 20) + "x", ..put });
    assert_eq!(refused.status, 413, "{refused:?}");
    assert_eq!(stand.status(&stand.admin, "/v1/environments/site/files/more"), 404);
}

#[test]
fn given_aggregators_when_changed_then_their_settings_and_domains_are_as_they_were_set() {
    let stand = Stand::new();
    let put = |body: &str| stand.send(&stand.admin, "PUT", "/v1/aggregators/main", body).status;
    assert_eq!(put(r#"{"cache_seconds":60,"custom_domains":[]}"#), 201);
    assert_eq!(put(r#"{"cache_seconds":30,"custom_domains":["files.example"]}"#), 200);
    assert_eq!(put(r#"{"cache_seconds":-1,"custom_domains":[]}"#), 422);
    let listed = json(&stand.get(&stand.admin, "/v1/aggregators").body);
    let expected = r#"[{"name":"main","cache_seconds":30,"custom_domains":["files.example"]}]"#;
    assert_eq!(listed, json(expected));
}

#[test]
fn given_what_can_t_be_when_sent_then_the_answer_says_what_is_wrong() {
    let stand = Stand::new();
    let about = r#"{"description":"x"}"#;
    let name = "A name is 1 to 100 letters, digits, dots, underscores and hyphens.";
    walk(
        &stand,
        &[
            ("PUT", "/v1/environments/a%20b", about, &problem("422", "Unprocessable Entity", "invalid_name", name)),
            ("PUT", "/v1/environments/a", "{", &problem("400", "Bad Request", "invalid_body", INVALID)),
            (
                "PUT",
                "/v1/environments/a",
                r#"{"descripton":"x"}"#,
                &problem("422", "Unprocessable Entity", "invalid_body", INVALID),
            ),
            ("GET", "/v1/nowhere", "", &problem("404", "Not Found", "not_found", "There is no such route.")),
            ("GET", "/healthz", "", "200\n\nok"),
        ],
    );
}

const NOTHING: &str = "There is nothing of this name.";
/// The text is axum's own.
const INVALID: &str = "…";

fn problem(status: &str, title: &str, code: &str, detail: &str) -> String {
    let body =
        format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"code":"{code}","detail":"{detail}"}}"#);
    format!("{status}\nContent-Type: application/problem+json\n\n{body}")
}
