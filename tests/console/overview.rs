//! Usage, activity, limits, scopes, and `whoami`.

use std::{collections::BTreeSet, time::Duration};

use apikey_console::Console;
use apikey_core::{KeyFormat, Timestamp, adapter::RequestDescription};
use apikey_manager::{ActivitySettings, Actor, Bucket, KeyManager, MemoryStore, NewKey, OrganizationId, PageRequest};
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    fleet::eventually,
    stand::{fields, on_each, secret_of},
};

#[tokio::test]
async fn given_a_key_when_it_asks_who_it_is_then_roles_are_expanded() {
    on_each(async |stand| {
        let issued = stand.issue("acme", &["reader"]).await;
        let caller = stand.get("/keys/v1/whoami").key(&secret_of(&issued)).expect(200).await;
        let key =
            json!({"id": issued.id().as_str(), "name": "a key", "environment": "live", "service_account_id": null});
        assert_eq!(
            caller,
            json!({
                "actor": format!("key:{}", issued.id()), "organization": "acme", "scopes": ["files:read", "reader"],
                "expires_at": null, "operator": true, "key": key,
            })
        );
    })
    .await;
}

#[tokio::test]
async fn given_a_plan_when_asked_for_then_it_says_what_is_used_and_allowed() {
    on_each(async |stand| {
        for (organization, keys, accounts) in [("acme", Value::Null, Value::Null), ("small", json!(3), json!(1))] {
            let admin = secret_of(&stand.issue(organization, &["*"]).await);
            let limits = stand.get("/keys/v1/limits").key(&admin).expect(200).await;
            assert_eq!(
                limits,
                json!({
                    "keys": {"used": 1, "allowed": keys}, "service_accounts": {"used": 0, "allowed": accounts},
                    "longest_lifetime_seconds": null, "default_lifetime_seconds": null, "expiry_required": false,
                    "longest_overlap_seconds": null,
                })
            );
        }
    })
    .await;
}

#[tokio::test]
async fn given_a_catalog_when_asked_for_then_scopes_and_roles_are_told() {
    on_each(async |stand| {
        let scopes = stand.get("/keys/v1/scopes").key(&stand.admin().await).expect(200).await;
        let names: Vec<_> =
            scopes["items"].as_array().unwrap().iter().map(|scope| scope["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["files:read", "files:write", "keys:admin", "keys:read", "keys:write"]);
        assert_eq!(scopes["items"][0]["description"], "List and download files.");
        assert_eq!(scopes["roles"], json!([{"name": "reader", "grants": ["files:read"]}]));
    })
    .await;
}

#[tokio::test]
async fn given_a_span_when_usage_is_asked_for_then_it_is_told_back_and_mistakes_are_named() {
    on_each(async |stand| {
        let issued = stand.issue("acme", &["*"]).await;
        let admin = secret_of(&issued);
        let paths = ["/keys/v1/usage".to_owned(), format!("/keys/v1/api-keys/{}/usage", issued.id())];
        for path in &paths {
            let span = "from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z";
            let usage = stand.get(&format!("{path}?{span}&bucket=day")).key(&admin).expect(200).await;
            assert_eq!(
                usage,
                json!({
                    "from": "2026-01-01T00:00:00.000Z", "to": "2026-02-01T00:00:00.000Z", "bucket": "day",
                    "ok": 0, "refused": 0, "buckets": [],
                })
            );
            let usage = stand.get(path).key(&admin).expect(200).await;
            assert_eq!(usage["bucket"], "hour");
            for (query, expected) in [
                ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "to: before_start"),
                ("from=2026-01-01T00:00:00Z&to=2026-02-03T00:00:00Z", "to: too_late"),
                ("from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z&bucket=day", "to: too_late"),
                ("from=2026-01-01T00:30:00Z&to=2026-01-02T00:00:00Z", "from: not_full_hour"),
                ("from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00.001Z&bucket=day", "to: not_full_hour"),
                ("from=2026-01-01T00:00:00%2B05:30&to=2026-01-02T00:00:00Z", "from: not_full_hour"),
                ("bucket=week", "bucket: unknown"),
                ("from=now", "from: malformed"),
            ] {
                assert_eq!(
                    fields(&stand.get(&format!("{path}?{query}")).key(&admin).send().await),
                    [expected],
                    "{query}"
                );
            }
        }
        let narrowed = stand.get("/keys/v1/usage?environment=live").key(&admin).send().await;
        assert_eq!(narrowed.status, 200);
        let both = stand.get("/keys/v1/usage?environment=live&service_account=sa_1").key(&admin).send().await;
        assert_eq!(fields(&both), ["environment: conflicting"]);
    })
    .await;
}

#[tokio::test]
async fn given_no_span_or_one_in_another_time_zone_when_usage_is_asked_for_then_full_hours_are_told_back() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        stand.clock.advance(Duration::from_secs(1_234));
        let now = stand.keys.now();
        let since = async |query: &str| {
            let usage = stand.get(&format!("/keys/v1/usage?{query}")).key(&admin).expect(200).await;
            let told = |name: &str| usage[name].as_str().unwrap().parse::<Timestamp>().unwrap();
            let (from, to): (Timestamp, Timestamp) = (told("from"), told("to"));
            (from, to, to.saturating_since(from).as_secs() / 3_600)
        };
        for (query, bucket, hours) in
            [("", Bucket::Hour, 24), ("bucket=hour", Bucket::Hour, 24), ("bucket=day", Bucket::Day, 720)]
        {
            let (_, to, length) = since(query).await;
            assert_eq!((to, length), (bucket.end(now), hours), "{query}");
        }
        for (query, hours) in [
            ("from=2026-01-01T05:30:00%2B05:30&to=2026-01-01T07:30:00%2B05:30", 2),
            ("from=2026-03-29T00:00:00%2B01:00&to=2026-03-30T00:00:00%2B02:00&bucket=day", 23),
            ("from=2026-10-25T00:00:00%2B02:00&to=2026-10-26T00:00:00%2B01:00&bucket=day", 25),
            ("to=1970-01-01T03:00:00Z", 3),
        ] {
            assert_eq!(since(query).await.2, hours, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn given_a_key_without_activity_when_asked_for_then_there_is_none() {
    on_each(async |stand| {
        let issued = stand.issue("acme", &["*"]).await;
        let admin = secret_of(&issued);
        stand.clock.advance(Duration::from_millis(1));
        assert!(stand.keys.now().as_millis() > 0);
        let path = format!("/keys/v1/api-keys/{}/activity", issued.id());
        for query in ["", "?limit=1&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"] {
            let page = stand.get(&format!("{path}{query}")).key(&admin).expect(200).await;
            assert_eq!(page["next_cursor"], Value::Null);
            assert!(page["items"].is_array());
        }
        assert_eq!(fields(&stand.get(&format!("{path}?limit=1000")).key(&admin).send().await), ["limit: out_of_range"]);
    })
    .await;
}

#[tokio::test]
async fn given_a_record_of_requests_when_the_console_is_asked_then_they_are_described_by_template_or_as_the_host_does()
{
    let format = KeyFormat::builder("acme").build().unwrap();
    let keys = KeyManager::builder(MemoryStore::new()).format(format).activity(ActivitySettings::new());
    let keys = keys.build().unwrap();
    let host = Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap();
    let issued = keys.issue(&host, NewKey::new("reader").scopes(["keys:read"])).await.unwrap();
    let path = format!("/keys/v1/api-keys/{}", issued.id());
    let described = Console::new(&keys).describe_requests(|headers, _| {
        RequestDescription::new().route("as described").address(headers["x-from"].to_str().unwrap())
    });
    for console in [Console::new(&keys), described] {
        let request = Request::get(&path).header("x-from", "192.0.2.7");
        let request = request.header("authorization", format!("Bearer {}", secret_of(&issued)));
        let app = axum::Router::new().nest_service("/keys", console);
        assert_eq!(app.oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap().status(), 200);
    }
    let span = Timestamp::UNIX_EPOCH..Timestamp::MAX;
    let recorded = keys.activity(&host, issued.id(), span, PageRequest::first()).await.unwrap().items;
    let recorded: BTreeSet<_> =
        recorded.iter().map(|request| (request.route.as_deref().unwrap(), request.address.as_deref())).collect();
    assert_eq!(recorded, [("/keys/v1/api-keys/{id}", None), ("as described", Some("192.0.2.7"))].into());
}

#[tokio::test]
async fn given_a_key_that_is_used_when_usage_is_asked_for_then_it_is_counted_and_when_it_was_is_shown() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let issued = stand.issue("acme", &["files:read"]).await;
        for _ in 0..2 {
            assert_eq!(stand.get("/files").key(&secret_of(&issued)).send().await.status, 200);
        }
        stand.clock.advance(Duration::from_secs(60));
        let path = format!("/keys/v1/api-keys/{}", issued.id());
        let read = || stand.get(&format!("{path}/usage")).key(&admin).expect(200);
        // On a busy machine, a read may precede the counts.
        let usage = eventually(read, |usage| usage["ok"].as_u64() >= Some(2)).await;
        assert_eq!((&usage["ok"], &usage["refused"]), (&json!(2), &json!(0)), "{usage}");
        assert_eq!(usage["buckets"].as_array().unwrap().len(), 1);
        let key = stand.get(&path).key(&admin).expect(200).await;
        assert!(key["last_used_at"].is_string(), "{key}");
    })
    .await;
}
