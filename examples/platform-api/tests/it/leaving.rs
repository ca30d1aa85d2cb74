//! A member leaves.

use serde_json::{Value, json};

use crate::{
    contract::http::{Request, json as parsed},
    eventually::eventually,
    stand::{Key, PASSWORD, Stand, run},
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
    let again = dana.submit("/members/eli%40acme.example", "");
    assert!(again.status == 422 && again.body.contains("There is no such member."), "{again:?}");
}

#[test]
fn given_what_came_of_a_member_s_keys_when_they_leave_then_the_list_has_all_that_ends_and_nothing_else_ends() {
    let stand = Stand::new();
    stand.set_plan("acme", "team");
    let (dana, eli) = (stand.dana(), stand.member("eli@acme.example"));
    let [kept, rotated, widened] = ["kept", "rotated", "widened"].map(|name| dana.issue(name));
    let parent = eli.issue_with(&json!({ "name": "parent", "scopes": ["keys:admin"] }));
    let of_parent = |path: &str, body: &Value| {
        let request = Request::new("POST", &format!("/keys/v1/{path}")).bearer(&parent.secret);
        parsed(&stand.service.send(&request.json(body.to_string())).body)
    };
    let child = of_parent("api-keys", &json!({ "name": "child" }));
    let got = of_parent(&format!("api-keys/{}/rotate", rotated.id), &json!({ "overlap_seconds": 3600 }));
    let scopes = json!({ "scopes": ["keys:read"] }).to_string();
    let widen = Request::new("PATCH", &format!("/keys/v1/api-keys/{}", widened.id)).bearer(&parent.secret);
    assert_eq!(stand.service.send(&widen.json(scopes)).status, 200);
    let webhook = eli.call("POST", "webhooks", &json!({ "url": "https://hooks.eli.example/keys" }));
    assert_eq!(webhook.status, 201, "{webhook:?}");
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    let secrets = [text(&child["secret"]), text(&got["secret"]), parent.secret.clone()];
    let statuses = || secrets.each_ref().map(|secret| stand.status(secret));
    assert_eq!(statuses(), [200; 3]);

    let page = dana.open("/members/eli%40acme.example").body;
    for id in [&parent.id, &text(&child["key"]["id"]), &rotated.id, &widened.id] {
        assert!(page.contains(id.as_str()), "{id}: {page}");
    }
    assert!(page.contains("the secret that they got ends.") && page.contains("hooks.eli.example"), "{page}");
    assert!(!page.contains(&kept.id) && page.matches("<td>ends</td>").count() == 2, "{page}");
    let done = dana.submit("/members/eli%40acme.example", "").body;
    assert!(done.contains("2 keys were ended.") && done.contains("the secret that they got was ended."), "{done}");
    assert!(done.contains(&rotated.id) && done.contains(&widened.id), "{done}");
    assert_eq!(statuses(), [401; 3]);
    assert_eq!([&kept, &widened].map(|key| stand.status(&key.secret)), [200, 200]);
}

#[test]
fn given_an_address_with_a_slash_when_its_link_is_followed_then_it_leads_to_its_member() {
    let stand = Stand::new();
    run(&stand.folder, &["add-member", "acme", "a/b@acme.example"], PASSWORD);
    let dana = stand.dana();
    let page = dana.open("/").body;
    let link = page.split('"').find(|text| text.starts_with("/members/a")).unwrap_or_else(|| panic!("{page}"));
    assert!(dana.open(link).body.contains("<h1>a/b@acme.example leaves</h1>"), "{link}");
    assert!(dana.submit(link, "").body.contains("<h1>a/b@acme.example left</h1>"), "{link}");
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
