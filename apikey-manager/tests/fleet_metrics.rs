//! Metrics of renewals and receipts. They come from a thread of the manager's own, so the recorder is the process's.

use std::{collections::HashMap, time::Duration};

use apikey_core::KeyFormat;
use apikey_manager::{Actor, Fleet, KeyManager, MemoryStore, NewKey, OrganizationId};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

#[tokio::test]
async fn given_two_managers_when_a_key_is_revoked_then_renewals_and_the_receipt_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let store = MemoryStore::new();
    let [one, other] = [(); 2].map(|()| {
        let format = KeyFormat::builder("t").build().unwrap();
        KeyManager::builder(store.clone()).format(format).fleet(Fleet::new()).build().unwrap()
    });
    for keys in [&one, &other] {
        // The first request may be slow on a busy machine.
        let ready = async {
            while keys.readiness().await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ready).await.expect("both are ready");
    }
    let host = Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap();
    let key = one.issue(&host, NewKey::new("k")).await.unwrap();
    one.revoke(&host, key.id(), "").await.unwrap();
    one.shutdown().await;
    other.shutdown().await;
    let seen: HashMap<String, DebugValue> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
            (format!("{}{labels:?}", key.key().name()), value)
        })
        .collect();
    let count = |name: &str| match seen.get(name) {
        Some(DebugValue::Counter(count)) => *count as usize,
        Some(DebugValue::Histogram(values)) => values.len(),
        Some(DebugValue::Gauge(_)) => 1,
        None => 0,
    };
    assert_eq!(count("apikey_renewals_total[\"joined\"]"), 2);
    assert!(count("apikey_renewals_total[\"counted\"]") >= 1, "the other heard of the revocation: {seen:?}");
    assert!(count("apikey_renewal_seconds[]") >= 3);
    assert_eq!((count("apikey_receipt_seconds[]"), count("apikey_waited_out_total[]")), (1, 0));
    assert_eq!(count("apikey_lease_end_timestamp_seconds[]"), 1);
}
