//! The codes of refusals: the README's table, the code and the answers agree.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    README,
    contract::{http::Request, patience::CLIENT_TIMEOUT},
    stand::{Stand, refused},
};

const SOURCES: [&str; 4] = [
    include_str!("../../src/main.rs"),
    include_str!("../../src/people.rs"),
    include_str!("../../src/records.rs"),
    include_str!("../../src/routes.rs"),
];
/// The codes of the middleware, and of bodies that can't be read.
const ELSEWHERE: [&str; 4] = ["invalid_body", "invalid_request", "invalid_token", "missing_credential"];
/// What no request provokes.
const OUTAGES: [(u16, &str); 1] = [(503, "unavailable")];

/// Returns the table of the README: the statuses and the codes.
fn table() -> BTreeSet<(u16, String)> {
    let rows = README.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|row| {
        let (statuses, rest) = row.split_once(" | `")?;
        let statuses: Result<Vec<u16>, _> = statuses.split(", ").map(str::parse).collect();
        Some((statuses.ok()?, rest.split('`').next()?.to_owned()))
    });
    rows.flat_map(|(statuses, code)| statuses.into_iter().map(move |status| (status, code.clone()))).collect()
}

#[test]
fn given_the_table_of_codes_when_compared_with_the_code_then_it_has_each_and_no_other() {
    let mut codes: BTreeSet<_> = ELSEWHERE.into_iter().collect();
    for source in SOURCES {
        // A problem is made from a status, a code and a sentence.
        let made = source.split("Problem::new(").skip(1);
        codes.extend(made.filter_map(|call| call.split(',').nth(1)?.trim().strip_prefix('"')?.strip_suffix('"')));
    }
    let listed: BTreeSet<_> = table().into_iter().map(|(_, code)| code).collect();
    assert_eq!(listed, codes.into_iter().map(str::to_owned).collect());
}

#[test]
fn given_a_method_that_a_path_does_not_have_when_used_then_the_answer_says_which_it_has() {
    let stand = Stand::new();
    let cases = [
        ("POST", "/v1/records", "GET"),
        ("PATCH", "/v1/records/a", "GET, PUT, DELETE"),
        ("PUT", "/session", "GET, POST, DELETE"),
        ("GET", "/people/a@example.com", "PUT, DELETE"),
        ("POST", "/", "GET"),
        ("POST", "/healthz", "GET"),
    ];
    for (method, path, allowed) in cases {
        let answer = stand.call(&stand.key, method, path, None);
        assert_eq!(refused(&answer), (405, "method_not_allowed".to_owned()), "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[test]
fn given_each_row_of_the_table_when_provoked_then_it_is_the_answer() {
    let stand = Stand::new();
    let (owner, member) = (stand.visitor("owner"), stand.visitor("member"));
    stand.person("olga@example.org", "member", "other");
    let put = |body: &str| Request::new("PUT", "/v1/records/a").bearer(&stand.key).json(body);
    let large = json!({"title": "a", "content": "a".repeat(3 << 20)}).to_string();
    let mut plain = put("{}");
    plain.headers.pop();
    let role = Some(json!({"role": "admin"}));
    let mut answers = vec![
        stand.service.send(&Request::new("GET", "/v1/records").bearer(&stand.key).bearer(&stand.key)),
        stand.service.send(&put("{")),
        stand.service.send(&put(&large)),
        stand.service.send(&plain),
        stand.service.send(&put(r#"{"title":"a"}"#)),
        stand.service.send(&put(r#"{"title":"","content":""}"#)),
        stand.service.send(&Request::new("GET", "/v1/records")),
        stand.call("ws_production_no", "GET", "/v1/records", None),
        stand.call(&stand.key, "GET", "/v1/records/none", None),
        stand.service.send(&Request::new("GET", "/session")),
        stand.call(&stand.key, "POST", "/v1/records", None),
        stand.try_sign_in(&json!({"email": "owner@example.com", "password": "guessed"})),
        stand.visit(&member, "PUT", "/people/new@example.org", role.clone()),
        stand.visit(&owner, "DELETE", "/people/owner@example.com", None),
        stand.visit(&owner, "PUT", "/people/olga@example.org", role),
    ];
    let slow = crate::contract::service::Folder::new();
    let service = slow.launch_with(&[], &[("ADDR", "127.0.0.1:0"), CLIENT_TIMEOUT]).ready();
    let key = service.key.clone().unwrap();
    let late = Request::new("PUT", "/v1/records/a").bearer(&key).json("{}").header("Content-Length", "1000");
    let head = Request { body: String::new(), ..late }.head(&service.address);
    let mut stream = crate::contract::http::connect(&service.address);
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    answers.push(crate::contract::http::Answer::read(&mut stream));

    let mut provoked: BTreeSet<_> = answers.iter().map(refused).collect();
    provoked.extend(OUTAGES.map(|(status, code)| (status, code.to_owned())));
    assert_eq!(provoked, table());
}
