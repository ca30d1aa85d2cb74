//! Usage, written as the manager writes it: 500 keys in a transaction, one batch after another.

use std::time::{Duration, Instant};

use apikey_benches::rounds::median;
use apikey_core::Timestamp;
use apikey_manager::{KeyStore, UsageBatch, UsageRow};

use crate::place::Place;

const BATCH: usize = 500;
const ROUNDS: usize = 5;

pub(crate) async fn measure(place: &Place) {
    let keys = place.store.scan(None, 20 * BATCH).await.expect("keys");
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        // Each round has its own hour, in which keys are first new and then known.
        let hour = Timestamp::UNIX_EPOCH + Duration::from_secs(3_600 * round as u64);
        for (pass, rates) in rates.iter_mut().enumerate() {
            let start = Instant::now();
            for (number, keys) in keys.chunks(BATCH).enumerate() {
                let rows = keys.iter().map(|key| UsageRow {
                    key: key.id.clone(),
                    organization: key.organization.clone(),
                    service_account: key.service_account.clone(),
                    environment: key.environment.clone(),
                    hour,
                    ok: 1,
                    refused: 0,
                    last_used: vec![(key.secrets[0].digest.clone(), hour)],
                });
                let id = format!("bench-{round}-{pass}-{number}");
                let batch = UsageBatch { id, at: Timestamp::now(), rows: rows.collect() };
                assert!(place.store.add_usage(&batch).await.expect("usage is added"));
            }
            rates.push(keys.len() as f64 / start.elapsed().as_secs_f64());
        }
    }
    let [first, again] = rates.map(|mut rates| median(&mut rates));
    println!("\nusage written: {first:.0} keys a second, and {again:.0} that have some in the hour already");
}
