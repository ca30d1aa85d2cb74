//! Stores and managers that are too slow at first, because the machine is busy.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use apikey_manager::KeyManager;

/// Longer than anything takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks a manager until it is ready.
///
/// # Panics
///
/// Panics with its last error if it isn't after half a minute.
pub async fn ready(keys: &KeyManager) {
    patiently(|| keys.readiness()).await;
}

/// Repeats what a busy machine may delay past a time limit, such as connecting to PostgreSQL, until it is done.
///
/// # Panics
///
/// Panics with the last error if it isn't after half a minute.
pub async fn patiently<T, E: Debug, F: Future<Output = Result<T, E>>>(attempt: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
