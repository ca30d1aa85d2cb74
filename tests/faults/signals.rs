//! Processes that are stopped and killed.

use std::sync::atomic::Ordering::Relaxed;

use apikey_testkit::PrivatePostgres;

use crate::{fleet::Fleet, injections::Fault, oracle::Oracle, random::seed, size, within_limit};

const FAULTS: [Fault; 5] = [Fault::Stop, Fault::StopAt, Fault::StopAt, Fault::StopAt, Fault::Kill];

#[tokio::test(flavor = "multi_thread")]
async fn given_processes_on_a_file_when_they_are_stopped_and_killed_then_receipts_hold() {
    within_limit(async {
        let folder = tempfile::tempdir().unwrap();
        signals("signals on SQLite", &format!("sqlite:{}", folder.path().join("keys.db").display())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_processes_on_a_server_when_they_are_stopped_and_killed_then_receipts_hold() {
    within_limit(async {
        let Some(server) = PrivatePostgres::start() else { return };
        signals("signals on PostgreSQL", &server.create_database()).await;
    })
    .await;
}

async fn signals(name: &str, url: &str) {
    let places = (0..size(3, 8)).map(|_| (url.to_owned(), None)).collect();
    let fleet = Fleet::start(Oracle::new(name, seed(), false), url, places).await;
    // How many of these there are depends on what they do, so the others are drawn apart from them.
    let first = fleet.faults.fork();
    let is_named = || fleet.oracle.counts.named.load(Relaxed) >= size(1, 3) as u64;
    // A process that holds a lock of the file must go on before the receipt can come, and then names nobody.
    for _ in 0..size(10, 15) {
        if is_named() || fleet.oracle.has_problems() {
            break;
        }
        fleet.calm().await;
        fleet.suffer_of(&first, &[Fault::StopAndEnd], 1).await;
    }
    if !is_named() {
        fleet.oracle.report("no receipt names a process that was stopped");
    }
    fleet.suffer(&FAULTS, size(12, 80)).await;
    fleet.finish(60).await;
}
