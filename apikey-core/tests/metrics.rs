//! Metrics are emitted for services that switch them on, and for no others.

use std::collections::HashMap;

use apikey_core::{
    Authenticator, KeyFormat, TestKeys,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

struct Line(String);

impl RequestView for Line {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization if !self.0.is_empty() => HeaderLines::One(self.0.as_bytes()),
            _ => HeaderLines::Absent,
        }
    }
}

async fn send(authenticator: &Authenticator, authorization: &str) {
    if let Authentication::Loading(loading) = authenticator.authenticate(&Line(authorization.to_owned())) {
        let _ = loading.await;
    }
}

#[test]
fn given_requests_of_each_kind_when_decided_then_each_is_counted_by_its_true_outcome() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let keys = TestKeys::with(|builder| builder.metrics(true));
            let authenticator = keys.authenticator();
            let key = keys.key(["files:read"]);
            let unknown = KeyFormat::builder("test").build().unwrap().generate().unwrap();
            for _ in 0..3 {
                send(&authenticator, &key.authorization()).await;
            }
            send(&authenticator, &format!("Bearer {}", unknown.expose_secret())).await;
            send(&authenticator, "").await;
            send(&authenticator, "Bearer other_1").await;
            keys.revoke(&key);
            send(&authenticator, &key.authorization()).await;
            keys.fail(Some("down"));
            send(&authenticator, &keys.key(["a"]).authorization()).await;
        });
    });
    let mut latencies = 0;
    let mut counts = HashMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        match value {
            DebugValue::Counter(count) => drop(counts.insert((key.key().name().to_owned(), labels.join(",")), count)),
            DebugValue::Histogram(values) => latencies += values.len(),
            DebugValue::Gauge(_) => panic!("nothing is a gauge"),
        }
    }
    let expected = [
        ("apikey_decisions_total", "accepted", 3),
        ("apikey_decisions_total", "unknown", 1),
        ("apikey_decisions_total", "no_credential", 1),
        ("apikey_decisions_total", "wrong_format", 1),
        ("apikey_decisions_total", "revoked", 1),
        ("apikey_decisions_total", "unavailable", 1),
        ("apikey_cache_hits_total", "", 2),
        ("apikey_resolver_calls_total", "found", 2),
        ("apikey_resolver_calls_total", "not_found", 1),
        ("apikey_resolver_calls_total", "failed", 1),
    ];
    let expected: HashMap<_, _> =
        expected.map(|(name, label, count)| ((name.to_owned(), label.to_owned()), count)).into();
    assert_eq!(counts, expected);
    assert_eq!(latencies, 4);
}
