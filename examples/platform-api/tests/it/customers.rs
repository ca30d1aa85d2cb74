//! One key reaches all of the product, for its own customer and environment.

use serde_json::json;

use crate::{
    contract::http::{Answer, Request, json as parsed},
    members::column,
    stand::{Key, Stand},
};

fn add(stand: &Stand, key: &Key, name: &str) -> Answer {
    let body = json!({ "name": name }).to_string();
    stand.service.send(&Request::new("POST", "/v1/projects").bearer(&key.secret).json(body))
}

fn projects(stand: &Stand, key: &Key) -> String {
    let answer = stand.get(&key.secret, "/v1/projects");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[test]
fn given_one_key_when_used_then_it_reaches_every_route_of_its_customer_and_nothing_of_another() {
    let stand = Stand::new();
    let (ours, theirs) = (stand.dana().issue("production"), stand.member("fay@birch.example").issue("production"));
    let made = Answer::parse("HTTP/1.1 201\n\n{\"created_by\":\"production\",\"name\":\"website\"}");
    add(&stand, &ours, "website").assert_is(&made, "a project");
    assert_eq!([projects(&stand, &ours), projects(&stand, &theirs)], [r#"["website"]"#, "[]"]);
    let account = parsed(&stand.get(&ours.secret, "/v1/account").body);
    assert_eq!(account, json!({"organization": "acme", "environment": "live", "key": "production"}));
}

#[test]
fn given_a_project_that_can_t_be_when_added_then_the_error_says_why() {
    let stand = Stand::new();
    let key = stand.dana().issue("one");
    let refused = |name: &str| {
        let answer = add(&stand, &key, name);
        (answer.status, parsed(&answer.body)["code"].as_str().unwrap_or_default().to_owned())
    };
    for name in ["", " ", &"a".repeat(201)] {
        assert_eq!(refused(name), (422, "invalid".to_owned()), "{name:?}");
    }
    let longest = "\u{e4}".repeat(200);
    assert_eq!(refused(&longest).0, 201);
    assert_eq!(refused(&longest), (409, "project_exists".to_owned()));
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
        INSERT INTO platform_project SELECT 'acme', 'live', 'project ' || i FROM n RETURNING name";
    assert_eq!(column(&stand.folder, fill).len(), 999);
    assert_eq!(refused("one too many"), (409, "too_many_projects".to_owned()));
}

#[test]
fn given_keys_of_environments_when_one_changes_something_then_the_others_do_not_have_it() {
    let stand = Stand::new();
    let dana = stand.dana();
    let [live, staging, dev] = ["live", "staging", "dev"].map(|environment| {
        let key = dana.issue_with(&json!({ "name": environment, "environment": environment }));
        assert!(key.secret.starts_with(&format!("plt_{environment}_")), "{}", key.secret);
        key
    });
    assert_eq!(add(&stand, &dev, "experiment").status, 201);
    assert_eq!(
        [&live, &staging, &dev].map(|key| projects(&stand, key)),
        ["[]".to_owned(), "[]".to_owned(), r#"["experiment"]"#.to_owned()]
    );
    dana.revoke(&dev);
    assert_eq!([&live, &staging, &dev].map(|key| stand.status(&key.secret)), [200, 200, 401]);
}

#[test]
fn given_a_key_when_sent_in_the_authorization_header_then_it_is_taken_and_nowhere_else() {
    let stand = Stand::new();
    let key = stand.dana().issue("one").secret;
    let get = |path: &str| Request::new("GET", path);
    let status = |request: Request| stand.service.send(&request).status;
    assert_eq!(status(get("/v1/projects").bearer(&key)), 200);
    assert_eq!(status(get("/v1/projects")), 401);
    assert_eq!(status(get("/v1/projects").header("X-Api-Key", &*key)), 401);
    assert_eq!(status(get(&format!("/v1/projects?api_key={key}"))), 401);
}

#[test]
fn given_a_new_key_when_its_record_is_read_afterwards_then_its_secret_is_nowhere() {
    let stand = Stand::new();
    let dana = stand.dana();
    let key = dana.issue("Checkout backend");
    for path in ["api-keys".to_owned(), format!("api-keys/{}", key.id), "audit-events".to_owned()] {
        let text = dana.read(&path).to_string();
        assert!(text.contains(&key.id) && !text.contains(&key.secret), "{path}: {text}");
    }
    assert!(!dana.open("/").body.contains(&key.secret));
}

#[test]
fn given_a_key_that_was_just_let_in_when_revoked_then_its_next_request_is_refused_for_good() {
    let stand = Stand::new();
    let dana = stand.dana();
    let [key, other] = ["one", "two"].map(|name| dana.issue(name));
    for _ in 0..10 {
        assert_eq!(stand.status(&key.secret), 200);
    }
    dana.revoke(&key);
    assert_eq!([stand.status(&key.secret), stand.status(&other.secret)], [401, 200]);
    for action in ["enable", "duplicate"] {
        let again = dana.call("POST", &format!("api-keys/{}/{action}", key.id), &serde_json::Value::Null);
        assert_eq!(again.status, 409, "{action}: {again:?}");
    }
    assert_eq!(stand.status(&key.secret), 401);
}
