//! Revocations: made, seen, checked, deleted, kept.

use serde_json::json;

use crate::{
    contract::http::Request,
    stand::{Stand, expect},
};

#[test]
fn given_an_id_when_revoked_then_it_is_listed_and_checked_until_it_is_deleted() {
    let stand = Stand::new();
    let authorizer = stand.issue_role("authorizer").secret;
    let is_revoked = |id: &str| {
        let answer = expect(200, &stand.ask(&authorizer, "GET", &format!("/revocations/{id}/check")));
        assert_eq!(answer["id"], id);
        answer["revoked"].as_bool().unwrap()
    };
    assert!(!is_revoked("card-1842"));
    let body = json!({"id": "card-1842", "reason": "lost"});
    let made = expect(201, &stand.tell(&stand.admin, "POST", "/revocations", &body));
    assert_eq!((&made["reason"], &made["revoked_by"]), (&json!("lost"), &json!("bootstrap")));
    assert!(made["revoked_at"].as_str().unwrap().ends_with('Z'), "{made}");
    assert!(is_revoked("card-1842") && !is_revoked("card-1843"));
    assert_eq!(stand.get("/revocations")["items"], json!([made]));
    assert_eq!(stand.get("/revocations/card-1842"), made);
    assert_eq!(stand.tell(&stand.admin, "POST", "/revocations", &body).status, 409);

    let delete = || stand.ask(&stand.admin, "DELETE", "/revocations/card-1842").status;
    assert_eq!([delete(), delete()], [204, 404]);
    assert!(!is_revoked("card-1842"));
    assert_eq!(stand.status(&stand.admin, "/revocations/card-1842"), 404);
    assert_eq!(stand.get("/revocations")["items"], json!([]));
}

#[test]
fn given_revocations_settings_and_keys_when_restarted_then_all_are_there() {
    let stand = Stand::new();
    expect(201, &stand.tell(&stand.admin, "POST", "/revocations", &json!({"id": "a"})));
    expect(200, &stand.tell(&stand.admin, "PATCH", "/settings", &json!({"name": "North"})));
    let before =
        ["/revocations", "/settings", "/revocation-list", "/.well-known/jwks.json"].map(|path| stand.get(path));
    let stand = stand.restart();
    let after = ["/revocations", "/settings", "/revocation-list", "/.well-known/jwks.json"].map(|path| stand.get(path));
    assert_eq!(after, before);
}

#[test]
fn given_more_than_a_page_when_listed_then_every_id_is_on_one_page() {
    let stand = Stand::new();
    for number in 0..201 {
        expect(201, &stand.tell(&stand.admin, "POST", "/revocations", &json!({"id": format!("id-{number:03}")})));
    }
    let first = stand.get("/revocations");
    assert_eq!((first["items"].as_array().unwrap().len(), &first["next"]), (200, &json!("id-199")));
    let second = stand.get("/revocations?after=id-199");
    assert_eq!((&second["items"][0]["id"], &second["next"]), (&json!("id-200"), &json!(null)));
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
}

#[test]
fn given_bodies_that_can_t_be_when_posted_then_nothing_is_revoked_and_it_is_said_why() {
    let stand = Stand::new();
    let long = "a".repeat(129);
    let cases = [
        ("{", 400, "invalid_body"),
        ("{}", 422, "invalid"),
        (r#"{"id":""}"#, 422, "invalid"),
        (r#"{"id":".."}"#, 422, "invalid"),
        (r#"{"id":"a/b"}"#, 422, "invalid"),
        (&format!(r#"{{"id":"{long}"}}"#), 422, "invalid"),
        (r#"{"id":"a","why":"typo"}"#, 422, "invalid"),
        (&format!(r#"{{"id":"a","reason":"{}"}}"#, "a".repeat(501)), 422, "invalid"),
        (&format!(r#"{{"id":"a","reason":"{}"}}"#, "a".repeat(3 << 20)), 413, "invalid_body"),
    ];
    for (body, status, code) in cases {
        let answer = stand.service.send(&Request::new("POST", "/revocations").bearer(&stand.admin).json(body));
        assert_eq!(expect(status, &answer)["code"], code, "{body}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{body}");
    }
    let form = Request { body: r#"{"id":"a"}"#.into(), ..Request::new("POST", "/revocations").bearer(&stand.admin) };
    assert_eq!(stand.service.send(&form).status, 415);
    assert_eq!(stand.status(&stand.admin, "/revocations?befor=a"), 422);
    assert_eq!(stand.get("/revocations")["items"], json!([]));
}
