//! Counts that exceed a database's integers are stored as the largest count of a row.

use apikey_manager::{Bucket, KeyStore, UsageBatch, UsageOf, UsageQuery, UsageRow};

use crate::support::{Place, acme, at, id};

#[tokio::test]
async fn counts_stop_growing_where_sums_would_overflow() {
    for place in Place::all() {
        let store = place.open().await;
        for batch in 0..3 {
            let rows = (0..2).map(|hour| UsageRow {
                key: id(1),
                organization: acme(),
                service_account: None,
                environment: None,
                hour: at(hour * 3_600_000),
                ok: u64::MAX,
                refused: batch,
                last_used: Vec::new(),
            });
            let batch = UsageBatch { id: format!("usage_{batch}"), at: at(0), rows: rows.collect() };
            assert!(store.add_usage(&batch).await.unwrap(), "{}", place.name);
        }
        for of in [UsageOf::Key(id(1)), UsageOf::Organization] {
            for bucket in [Bucket::Hour, Bucket::Day] {
                let query =
                    UsageQuery { organization: acme(), of: of.clone(), from: at(0), to: at(86_400_000), bucket };
                let usage = store.usage(&query).await.unwrap();
                assert!(usage.iter().all(|bucket| bucket.ok > 1 << 48), "{}: {usage:?}", place.name);
                assert_eq!(usage.iter().map(|bucket| bucket.refused).sum::<u64>(), 6, "{}", place.name);
            }
        }
        store.close().await;
    }
}
