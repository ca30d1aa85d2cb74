//! Whoever finds a key can have it ended.

use std::io::{ErrorKind::WouldBlock, Write};

use serde_json::json;

use crate::{
    contract::http::{Answer, Request, connect},
    stand::Stand,
};

fn report(stand: &Stand, text: &str) -> Answer {
    let body = json!({ "key": text }).to_string();
    stand.service.send(&Request::new("POST", "/report-leak").json(body))
}

#[test]
fn given_a_key_when_reported_as_leaked_then_it_is_revoked_and_its_customer_is_alerted() {
    let stand = Stand::new();
    let dana = stand.dana();
    let [key, other] = ["leaked", "other"].map(|name| dana.issue(name));
    assert_eq!(stand.status(&key.secret), 200);
    assert!(!dana.open("/").body.contains("reported as leaked in"));
    assert_eq!(report(&stand, &key.secret).status, 202);
    assert_eq!([stand.status(&key.secret), stand.status(&other.secret)], [401, 200]);
    let record = dana.read(&format!("api-keys/{}", key.id));
    assert_eq!(
        (&record["status"], &record["revoked_by"], &record["revoked_reason"]),
        (&json!("revoked"), &json!("host:leak-report"), &json!("reported as leaked"))
    );
    let page = dana.open("/").body;
    assert!(page.contains("1 key was reported as leaked in the last 30 days"), "{page}");
    assert!(!stand.member("fay@birch.example").open("/").body.contains("reported as leaked in"));
}

#[test]
fn given_a_customer_that_quarantines_when_its_key_is_reported_then_it_is_disabled_and_may_come_back() {
    let stand = Stand::new();
    let dana = stand.dana();
    assert_eq!(dana.submit("/", "plan=free&on_leak=quarantine").status, 303);
    let key = dana.issue("leaked");
    assert_eq!(report(&stand, &key.secret).status, 202);
    assert_eq!(stand.status(&key.secret), 401);
    let record = dana.read(&format!("api-keys/{}", key.id));
    assert_eq!((&record["status"], &record["disabled_by"]), (&json!("disabled"), &json!("host:leak-report")));
    assert!(dana.open("/").body.contains("1 key was reported as leaked"));
    let enabled = dana.call("POST", &format!("api-keys/{}/enable", key.id), &json!(null));
    assert_eq!(enabled.status, 200, "{enabled:?}");
    assert_eq!(stand.status(&key.secret), 200);
}

#[test]
fn given_any_text_when_reported_then_the_answer_tells_nothing_about_it() {
    let stand = Stand::new();
    let (dana, fay) = (stand.dana(), stand.member("fay@birch.example"));
    assert_eq!(fay.submit("/", "plan=free&on_leak=quarantine").status, 303);
    let [live, revoked, twice] = ["live", "revoked", "twice"].map(|name| dana.issue(name));
    let disabled = fay.issue("disabled");
    dana.revoke(&revoked);
    let format = axum_apikey::KeyFormat::builder("plt").environment("live").length(32).build().unwrap();
    let unknown = format.generate().unwrap();
    report(&stand, &twice.secret);
    let texts = [
        &*live.secret,
        &revoked.secret,
        &twice.secret,
        &disabled.secret,
        unknown.expose_secret(),
        "plt_live_x",
        "",
        "not a key",
        "\0",
    ];
    let answers = texts.map(|text| report(&stand, text));
    // A head has the time, which is the only difference.
    let told = |answer: &Answer| {
        let mut told = format!("{answer:?}");
        let date = answer.header("date").unwrap().to_owned();
        told = told.replace(&date, "now");
        told
    };
    for (answer, text) in answers.iter().zip(texts) {
        assert_eq!((answer.status, &*answer.body), (202, r#"{"status":"received"}"#), "{text:?}");
        assert_eq!(told(answer), told(&answers[0]), "{text:?}");
    }
}

#[test]
fn given_a_secret_that_a_rotation_has_ended_when_reported_then_the_key_lives_on() {
    let stand = Stand::new();
    let dana = stand.dana();
    let key = dana.issue("rotated");
    let rotated = dana.call("POST", &format!("api-keys/{}/rotate", key.id), &json!({ "overlap_seconds": 0 }));
    let new = crate::contract::http::json(&rotated.body)["secret"].as_str().unwrap().to_owned();
    assert_eq!([stand.status(&key.secret), stand.status(&new)], [401, 200]);
    assert_eq!(report(&stand, &key.secret).status, 202);
    assert_eq!(stand.status(&new), 200);
    assert_eq!(report(&stand, &new).status, 202);
    assert_eq!(stand.status(&new), 401);
}

/// After an incident all keys are replaced, also those of which nobody knows that they leaked.
#[test]
fn given_an_incident_when_every_key_is_ended_and_replaced_then_no_old_one_is_let_in_and_each_new_one_is() {
    let stand = Stand::new();
    stand.set_plan("acme", "team");
    let (dana, eli) = (stand.dana(), stand.member("eli@acme.example"));
    let account = dana.call("POST", "service-accounts", &json!({ "name": "nightly export" }));
    let account = crate::contract::http::json(&account.body)["id"].clone();
    let old = [
        dana.issue("website"),
        eli.issue_with(&json!({ "name": "shop", "environment": "staging" })),
        dana.issue_with(&json!({ "name": "export", "service_account_id": account })),
    ];
    let others = stand.member("fay@birch.example").issue("website");
    let everything = json!({ "everything": true, "reason": "a stolen laptop" });
    let ended = dana.call("POST", "api-keys/bulk-revoke", &everything);
    assert_eq!(ended.status, 200, "{ended:?}");
    let new: Vec<_> = old.iter().map(|key| dana.read(&format!("api-keys/{}", key.id))["name"].clone()).collect();
    let new: Vec<_> = new.iter().map(|name| dana.issue(name.as_str().unwrap())).collect();
    assert_eq!(old.each_ref().map(|key| stand.status(&key.secret)), [401; 3]);
    assert!(new.iter().chain([&others]).all(|key| stand.status(&key.secret) == 200));
}

#[test]
fn given_reports_whose_bodies_never_come_when_another_is_sent_then_it_is_answered() {
    let stand = Stand::new();
    let address = &stand.service.address;
    let head = Request::new("POST", "/report-leak").json("").header("Content-Length", "100").head(address);
    let open: Vec<_> = (0..32)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let key = stand.dana().issue("leaked");
    assert_eq!(report(&stand, &key.secret).status, 202);
    assert_eq!(stand.status(&key.secret), 401);
    // They had not been refused.
    assert_eq!(open[0].set_nonblocking(true).and_then(|()| open[0].peek(&mut [0])).unwrap_err().kind(), WouldBlock);
}

#[test]
fn given_no_report_when_something_else_is_sent_then_it_is_refused() {
    let stand = Stand::new();
    for (body, status) in [("{", 400), (r#"{"keys":[]}"#, 422), (r#"{"key":1}"#, 422)] {
        let answer = stand.service.send(&Request::new("POST", "/report-leak").json(body));
        assert_eq!(answer.status, status, "{body}");
    }
}
