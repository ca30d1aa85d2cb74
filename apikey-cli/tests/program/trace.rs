//! What a key did: of a record on each database.

use std::time::Duration;

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{Activity, OrganizationId};
use serde_json::json;

use crate::stand::Stand;

/// The moment to which the seconds of [`request`] are added.
fn an_hour_ago(stand: &Stand) -> Timestamp {
    stand.service.now() - Duration::from_secs(3_600)
}

fn at(start: Timestamp, second: i64) -> Timestamp {
    Timestamp::from_millis(start.as_millis() + second * 1_000).unwrap()
}

fn request(id: &str, at: Timestamp, method: &str, status: u16, address: &str) -> Activity {
    let mut request = Activity::new(OrganizationId::new("main").unwrap(), KeyId::new(id).unwrap(), at, method, status);
    request.route = Some("/files/{name}".to_owned());
    request.address = Some(address.to_owned());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_record_of_several_pages_when_traced_then_each_request_of_the_span_counts_once() {
    for stand in Stand::all().await {
        let (id, _) = stand.issue(&["reader"]);
        let (other, _) = stand.issue(&["writer"]);
        let log = stand.service.activity_log().unwrap();
        let start = an_hour_ago(&stand);
        let at = |second: i64| at(start, second);
        // Two requests before the span, 500 in it, one at its end.
        for second in [-2, -1] {
            log.record(request(&id, at(second), "DELETE", 204, "192.0.2.1"));
        }
        for second in 0..500 {
            let (method, status) = match second {
                7 => ("PUT", 200),
                8 => ("PUT", 403),
                9 => ("POST", 499),
                10 => ("PATCH", 500),
                _ => ("GET", 200),
            };
            let address = if second < 300 { "192.0.2.2" } else { "192.0.2.3" };
            log.record(request(&id, at(second), method, status, address));
        }
        log.record(request(&id, at(500), "DELETE", 204, "192.0.2.1"));
        log.record(request(&other, at(5), "DELETE", 204, "192.0.2.1"));
        stand.service.shutdown().await;

        let told =
            stand.run(&["trace", &id, "--from", &at(0).to_string(), "--to", &at(500).to_string(), "--json"]).json();
        let source = |address: &str, requests: u64, changes: u64, first: i64, last: i64| {
            json!({
                "address": address, "user_agent": null, "requests": requests, "changes": changes,
                "first": at(first), "last": at(last),
            })
        };
        assert_eq!(
            told["sources"],
            json!([source("192.0.2.2", 300, 3, 0, 299), source("192.0.2.3", 200, 0, 300, 499)])
        );
        // What was abandoned, or failed in the service, may have changed something.
        let changes = told["changes"].as_array().unwrap().iter();
        let changes: Vec<_> = changes.map(|request| json!([request["at"], request["status"]])).collect();
        assert_eq!(changes, [json!([at(10), 500]), json!([at(9), 499]), json!([at(7), 200])]);
        let other = |method: &str, status: u16, requests: u64| json!({"method": method, "route": "/files/{name}", "status": status, "requests": requests});
        assert_eq!(told["others"], json!([other("GET", 200, 496), other("PUT", 403, 1)]));
        assert_eq!((&told["key"]["name"], &told["audit_events"]), (&json!("reader"), &json!([])));

        let all = stand.run(&["trace", &id]);
        assert!(all.out.starts_with(&format!("\"reader\", {id} (active)\nrequests: 503, changes: 6\n")), "{}", all.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_key_that_is_deleted_or_unknown_when_traced_then_its_record_is_told_or_it_is_not_found() {
    for stand in Stand::all().await {
        let (id, _) = stand.issue(&["reader"]);
        stand.service.activity_log().unwrap().record(request(&id, an_hour_ago(&stand), "PUT", 200, "192.0.2.1"));
        stand.service.shutdown().await;
        for arguments in [["revoke", &id, "--yes"], ["delete", &id, "--yes"]] {
            assert_eq!(stand.run(&arguments).code, 0);
        }
        let told = stand.run(&["trace", &id]);
        assert!(told.out.starts_with(&format!("{id} (deleted)\nrequests: 1, changes: 1\n")), "{}", told.out);
        assert_eq!(stand.run(&["trace", "key_01h455vb4pex5vsknk084sn02q"]).code, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_key_that_was_used_when_no_request_is_recorded_then_that_is_said() {
    let stand = Stand::on_sqlite().await;
    let (id, secret) = stand.issue(&["reader"]);
    let unused = stand.run(&["trace", &id]);
    assert!(!unused.out.contains("last used"), "{}", unused.out);
    assert!(stand.lets_in(&secret).await);
    stand.service.shutdown().await;
    let used = stand.run(&["trace", &id]);
    assert!(used.out.contains("It was last used at"), "{}", used.out);
    let since = stand.run(&["trace", &id, "--from", "2100-01-01T00:00:00Z", "--to", "2101-01-01T00:00:00Z"]);
    assert!(!since.out.contains("last used"), "{}", since.out);
}
