//! Managers whose first request to their store is slow, because the machine is busy.

use std::time::{Duration, Instant};

use apikey_manager::KeyManager;

/// Longer than anything takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks a manager until it is ready.
///
/// # Panics
///
/// Panics with its last error if it isn't after half a minute.
pub async fn ready(keys: &KeyManager) {
    let begun = Instant::now();
    while let Err(error) = keys.readiness().await {
        assert!(begun.elapsed() < PATIENCE, "{error:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
