//! What keys did, and which of them need attention.

use std::{
    fs,
    time::{Duration, Instant},
};

use apikey_manager::{KeyId, KeyManager, KeyStore, OrganizationId, Timestamp, UsageBatch, UsageRow};
use apikey_sqlx::SqlStore;
use axum_apikey::KeyFormat;
use serde_json::{Value, json};

use crate::{
    contract::http::{PATIENCE, json as parsed},
    eventually::eventually,
    stand::{Stand, run},
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Writes a month of usage of a key, with 20 requests an hour, and 9,000 in these hours, counted back from now.
pub(crate) fn seed(stand: &Stand, key: &str, spikes: &[u32]) {
    let url = format!("sqlite:{}", stand.folder.store().display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqlStore::connect(&url).await.unwrap();
        let acme = OrganizationId::new("acme").unwrap();
        let key = store.key(&acme, &KeyId::new(key).unwrap()).await.unwrap().unwrap();
        let now = Timestamp::now();
        let this_hour = Timestamp::from_millis(now.as_millis() / 3_600_000 * 3_600_000).unwrap();
        let row = |back: u32| UsageRow {
            key: key.id.clone(),
            organization: acme.clone(),
            service_account: None,
            environment: key.environment.clone(),
            hour: this_hour.saturating_sub(back * HOUR),
            ok: if spikes.contains(&back) { 9_000 } else { 20 },
            refused: 0,
            last_used: vec![(key.secrets[0].digest.clone(), this_hour.saturating_sub(back * HOUR))],
        };
        let rows = (1..30 * 24).rev().map(row).collect();
        assert!(store.add_usage(&UsageBatch { id: "a month".to_owned(), at: now, rows }).await.unwrap());
        store.close().await;
    });
}

#[test]
fn given_a_key_when_used_then_its_requests_are_counted_by_key_and_by_environment() {
    let stand = Stand::new();
    let dana = stand.dana();
    let [live, dev] = ["live", "dev"].map(|name| dana.issue_with(&json!({ "name": name, "environment": name })));
    for (key, times) in [(&live, 3), (&dev, 2)] {
        for _ in 0..times {
            assert_eq!(stand.status(&key.secret), 200);
        }
    }
    let counted = |path: &str| dana.read(path)["ok"].as_u64().unwrap();
    let by_key = || [&live, &dev].map(|key| counted(&format!("api-keys/{}/usage", key.id)));
    let by_environment = || ["live", "staging", "dev"].map(|name| counted(&format!("usage?environment={name}")));
    eventually(&([3, 2], [3, 0, 2], 5), || (by_key(), by_environment(), counted("usage")));
    let fay = stand.member("fay@birch.example");
    assert_eq!(fay.read("usage")["ok"], 0, "another customer's");
}

#[test]
fn given_a_key_when_used_then_each_request_is_listed_with_its_route_and_address() {
    let stand = Stand::new();
    let dana = stand.dana();
    let key = dana.issue("production");
    assert_eq!(stand.get(&key.secret, "/v1/projects").status, 200);
    assert_eq!(stand.status(&key.secret), 200);
    let activity = || dana.read(&format!("api-keys/{}/activity", key.id));
    eventually(&2, || activity()["items"].as_array().unwrap().len());
    let listed = activity();
    let told = |n: usize| {
        let request = &listed["items"][n];
        ["method", "route", "address"].map(|field| request[field].as_str().unwrap().to_owned())
    };
    assert_eq!(told(0), ["GET", "/v1/account", "127.0.0.1"]);
    assert_eq!(told(1), ["GET", "/v1/projects", "127.0.0.1"]);
    assert_eq!(listed["items"][0]["status"], 200);
    // Requests to the console, too, tell from where they came.
    assert_eq!(stand.get(&key.secret, "/keys/v1/whoami").status, 200);
    eventually(&3, || activity()["items"].as_array().unwrap().len());
    let listed = activity();
    let request = ["route", "address"].map(|field| listed["items"][0][field].as_str().unwrap().to_owned());
    assert_eq!(request, ["/keys/v1/whoami", "127.0.0.1"]);
}

fn format() -> KeyFormat {
    let format = KeyFormat::builder("plt").environment("live").environment("staging").environment("dev");
    format.length(32).build().unwrap()
}

/// Imports keys with these names that are this many days old, and expire after this many.
fn import(stand: &Stand, names: &[(&str, u32, Option<u32>)]) -> Vec<String> {
    let keys: Vec<_> = names.iter().map(|_| format().generate().unwrap().expose_secret().to_owned()).collect();
    let now = Timestamp::now();
    let rows = names.iter().zip(&keys).map(|((name, age, left), key)| {
        let end = left.map(|days| now.saturating_add(days * DAY));
        json!({ "name": name, "key": key, "created_at": now.saturating_sub(*age * DAY), "expires_at": end })
    });
    let file = stand.folder.path().join("keys.json");
    fs::write(&file, Value::from_iter(rows).to_string()).unwrap();
    run(&stand.folder, &["keys", "--organization", "acme", "import", file.to_str().unwrap()], "");
    keys
}

#[test]
fn given_keys_that_need_attention_when_a_member_looks_then_each_is_listed() {
    let stand = Stand::new();
    let dana = stand.dana();
    stand.set_plan("acme", "team");
    let imported = import(&stand, &[("due", 91, None), ("young", 89, None)]);
    assert!(imported.iter().all(|key| stand.status(key) == 200));
    let soon = Timestamp::now().saturating_add(7 * DAY).to_string();
    dana.issue_with(&json!({ "name": "expiring", "expires_at": soon }));
    let names = |query: &str| {
        let listed = dana.read(&format!("api-keys?status=active&{query}"));
        let mut names: Vec<_> =
            listed["items"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let fortnight = Timestamp::now().saturating_add(14 * DAY).to_string();
    assert_eq!(names("rotation_due=90"), ["due"]);
    assert_eq!(names(&format!("expires_before={fortnight}")), ["expiring"]);
    // Uses are written a moment later: stopping writes them, so that the test need not wait.
    let cookie = dana.cookie.clone();
    stand.service.stop();
    let stand = Stand { service: stand.folder.start(), folder: stand.folder };
    let dana = stand.dana();
    assert_ne!(dana.cookie, cookie);
    let unused = dana.read("api-keys?status=active&unused=true");
    let unused: Vec<_> = unused["items"].as_array().unwrap().iter().map(|key| &key["name"]).collect();
    assert_eq!(unused, [&json!("expiring")]);
}

/// Runs another process's manager on the database until `is_done`. It looks every second instead of every few minutes.
fn sweep(url: &str, is_done: &dyn Fn() -> bool) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let keys = KeyManager::builder(SqlStore::connect(url).await.unwrap()).format(format());
        let keys = keys.sweep_interval(Duration::from_secs(1)).build().unwrap();
        let begun = Instant::now();
        while !is_done() {
            assert!(begun.elapsed() < PATIENCE, "the sweep finds nothing");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        keys.shutdown().await;
    });
}

#[test]
fn given_keys_that_age_expire_idle_and_spike_when_keys_are_swept_then_members_are_alerted_once_and_acknowledge() {
    let stand = Stand::new();
    let dana = stand.dana();
    stand.set_plan("acme", "team");
    import(&stand, &[("old", 91, None), ("busy", 60, None), ("expiring", 60, Some(5)), ("young", 30, Some(30))]);
    let busy = dana.read("api-keys?q=busy")["items"][0]["id"].as_str().unwrap().to_owned();
    // The counts of the last hour may not be complete yet.
    seed(&stand, &busy, &[1, 2]);
    let open = || {
        let listed = dana.read("alerts?acknowledged=false");
        let told = |alert: &Value| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&alert["key"]["name"]), text(&alert["event"]), text(&alert["id"]))
        };
        let mut alerts: Vec<_> = listed["items"].as_array().unwrap().iter().map(told).collect();
        alerts.sort();
        alerts
    };
    let url = format!("sqlite:{}", stand.folder.store().display());
    let wanted =
        [("busy", "key.usage_spike"), ("expiring", "key.expiring"), ("old", "key.rotation_due"), ("old", "key.unused")];
    sweep(&url, &|| open().len() >= wanted.len());
    let alerts = open();
    let told: Vec<_> = alerts.iter().map(|(key, event, _)| (key.as_str(), event.as_str())).collect();
    assert_eq!(told, wanted);
    let first = dana.call("POST", &format!("alerts/{}/acknowledge", alerts[0].2), &Value::Null);
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(open(), alerts[1..]);
    // A later sweep finds what is new alone.
    import(&stand, &[("zebra", 100, None)]);
    sweep(&url, &|| open().iter().any(|(key, ..)| key == "zebra"));
    let (new, known): (Vec<_>, Vec<_>) = open().into_iter().partition(|(key, ..)| key == "zebra");
    assert!(!new.is_empty() && known == alerts[1..], "{new:?} {known:?}");
    assert_eq!(stand.member("fay@birch.example").read("alerts")["items"], json!([]), "another customer's");
}

#[test]
fn given_a_webhook_when_a_member_creates_it_then_its_secret_is_shown_once_and_private_addresses_are_refused() {
    let stand = Stand::new();
    let dana = stand.dana();
    let webhook = |url: &str| dana.call("POST", "webhooks", &json!({ "url": url }));
    let made = webhook("https://hooks.acme.example/keys");
    assert_eq!(made.status, 201, "{made:?}");
    let secret = parsed(&made.body)["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    assert!(!dana.read("webhooks").to_string().contains(&secret));
    assert_eq!(webhook("https://127.0.0.1/keys").status, 422);
    assert_eq!(stand.member("fay@birch.example").read("webhooks")["items"], json!([]), "another customer's");
}
