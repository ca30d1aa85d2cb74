//! A member leaves.

use serde_json::json;

use crate::{
    contract::http::json as parsed,
    eventually::eventually,
    stand::{Key, Stand},
};

#[test]
fn given_a_member_when_they_leave_then_what_they_created_is_listed_with_its_use_and_ends_in_one_step() {
    let stand = Stand::new();
    stand.set_plan("acme", "team");
    let (dana, eli) = (stand.dana(), stand.member("eli@acme.example"));
    let kept = dana.issue("of Dana");
    let [busy, idle] = ["busy", "idle"].map(|name| eli.issue(name));
    for _ in 0..3 {
        assert_eq!(stand.status(&busy.secret), 200);
    }

    let shown = || dana.open("/members/eli%40acme.example").body;
    eventually(&true, || shown().contains("<td>3</td>"));
    let page = shown();
    let row = |key: &Key| {
        let after = page.split_once(&format!("/#/keys/{}\"", key.id)).unwrap_or_else(|| panic!("{page}")).1;
        after.split("</tr>").next().unwrap().to_owned()
    };
    assert!(row(&busy).contains("<td>3</td>") && row(&busy).contains("<td>ends</td>"), "{page}");
    assert!(row(&idle).contains("<td>0</td>") && row(&idle).contains("never"), "{page}");
    assert!(!page.contains(&kept.id), "{page}");

    let done = dana.submit("/members/eli%40acme.example", "").body;
    assert!(done.contains("2 keys were ended"), "{done}");
    assert_eq!([&busy, &idle, &kept].map(|key| stand.status(&key.secret)), [401, 401, 200]);
    let trail = dana.read("audit-events?action=key.revoked")["items"].clone();
    let reasons: Vec<_> = trail.as_array().unwrap().iter().map(|event| &event["after"]["reason"]).collect();
    assert_eq!(reasons, [&json!("eli@acme.example left"), &json!("eli@acme.example left")]);
}

#[test]
fn given_a_member_when_they_have_left_then_they_are_signed_out_and_can_t_sign_in() {
    let stand = Stand::new();
    let (dana, eli) = (stand.dana(), stand.member("eli@acme.example"));
    assert_eq!(eli.call("GET", "whoami", &json!(null)).status, 200);
    let done = dana.submit("/members/eli%40acme.example", "").body;
    assert!(done.contains("0 keys were ended"), "{done}");
    assert_eq!(eli.call("GET", "whoami", &json!(null)).status, 401);
    assert_eq!(eli.call("POST", "api-keys", &json!({ "name": "late" })).status, 401);
    assert_eq!(eli.open("/").header("location"), Some("/sign-in"));
    assert_eq!(stand.sign_in("eli@acme.example", crate::stand::PASSWORD).status, 401);
    assert_eq!(dana.submit("/members/eli%40acme.example", "").status, 200, "once more changes nothing");
}

#[test]
fn given_a_member_when_they_would_remove_themselves_then_they_stay() {
    let stand = Stand::new();
    let dana = stand.dana();
    let key = dana.issue("of Dana");
    assert_eq!(dana.submit("/members/dana%40acme.example", "").status, 422);
    assert_eq!([dana.open("/members/%00"), dana.submit("/members/%00", "")].map(|answer| answer.status), [422, 422]);
    assert!(dana.open("/members/dana%40acme.example").body.contains("Another member can remove you."));
    assert_eq!(stand.status(&key.secret), 200);
}

#[test]
fn given_keys_of_a_service_account_when_their_creator_leaves_then_they_stay() {
    let stand = Stand::new();
    let (dana, eli) = (stand.dana(), stand.member("eli@acme.example"));
    let account = eli.call("POST", "service-accounts", &json!({ "name": "nightly export" }));
    assert_eq!(account.status, 201, "{account:?}");
    let account = parsed(&account.body)["id"].clone();
    let own = eli.issue("own");
    let export = eli.issue_with(&json!({ "name": "export", "service_account_id": account }));
    let page = dana.open("/members/eli%40acme.example").body;
    let row = page.split_once(&format!("/#/keys/{}\"", export.id)).unwrap().1;
    assert!(row.split("</tr>").next().unwrap().contains("<td>stays</td>"), "{page}");
    let done = dana.submit("/members/eli%40acme.example", "").body;
    assert!(done.contains("1 key was ended. Keys of service accounts stay."), "{done}");
    assert_eq!([&own, &export].map(|key| stand.status(&key.secret)), [401, 200]);
}
