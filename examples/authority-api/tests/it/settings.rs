//! The tenant's settings.

use serde_json::json;

use crate::stand::{Stand, expect};

#[test]
fn given_settings_when_changed_then_what_is_left_out_stays_and_readers_see_it() {
    let stand = Stand::new();
    let reader = stand.issue_role("read-only").secret;
    assert_eq!(stand.get("/settings"), json!({"name": "main", "sign_on_change": true}));
    let set = |body| expect(200, &stand.tell(&stand.admin, "PATCH", "/settings", &body));
    assert_eq!(set(json!({"sign_on_change": false})), json!({"name": "main", "sign_on_change": false}));
    assert_eq!(set(json!({"name": "North"})), json!({"name": "North", "sign_on_change": false}));
    let read = expect(200, &stand.ask(&reader, "GET", "/settings"));
    assert_eq!(read, json!({"name": "North", "sign_on_change": false}));
}

#[test]
fn given_settings_that_can_t_be_when_sent_then_nothing_is_changed() {
    let stand = Stand::new();
    let bodies = [
        json!({"name": ""}),
        json!({"name": "a\nb"}),
        json!({"name": "a".repeat(101), "sign_on_change": false}),
        json!({"sign_on_change": "no"}),
        json!({"sign": false}),
        json!([1]),
    ];
    for body in bodies {
        assert_eq!(stand.tell(&stand.admin, "PATCH", "/settings", &body).status, 422, "{body}");
    }
    assert_eq!(stand.get("/settings"), json!({"name": "main", "sign_on_change": true}));
}
