//! Real processes under real faults: they are stopped and killed, their network is cut, their database fails over, and their
//! clocks are wrong. Meanwhile clients ask every one of them, and nothing may contradict a receipt.
//!
//! Ordinary runs are short. `APIKEY_FIRE=full cargo test -p apikey-tests --test faults -- --nocapture` takes minutes. A run
//! prints its seed, and `APIKEY_SEED` sets it: the faults are the same then, though not their effects.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]
#![cfg(target_os = "linux")]

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

mod changes;
mod clocks;
mod failover;
mod fleet;
mod injections;
mod link;
mod network;
mod node;
mod oracle;
mod pooler;
mod proxy;
mod random;
mod restore;
mod signals;
mod stopping;

/// Each test of a full run demands a number of faults. Together these are more than 200.
///
/// Returns `full` in a full run, and otherwise `bounded`.
fn size(bounded: usize, full: usize) -> usize {
    if std::env::var("APIKEY_FIRE").as_deref() == Ok("full") { full } else { bounded }
}

/// How long a test may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a test, and fails if it takes longer than any should. If a thread is stuck, so that the test can't even fail, the
/// process ends.
async fn within_limit(test: impl Future<Output = ()>) {
    let limit = LIMIT * size(1, 6) as u32;
    let (_running, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        if ended.recv_timeout(limit + Duration::from_secs(90)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("a test exceeds its time limit, and can't be ended");
            std::process::abort();
        }
    });
    tokio::time::timeout(limit, test).await.expect("the test exceeds its time limit");
}
