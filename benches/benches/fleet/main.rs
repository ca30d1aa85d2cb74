//! Processes on one database: how soon receipts come, and what the database has to do.
//!
//! `cargo bench -p apikey-benches --bench fleet` (add `-- quick` for a rough result, `-- sqlite` or `-- postgres` for one of
//! them, `-- bulk` for the revocation of many keys alone)
//!
//! Each process has a manager with the default lease, ten seconds, and no requests. One of them, this program, makes the
//! changes. SQLite is a file in the temporary directory. PostgreSQL is a server that is started there, with `fsync` on.

mod database;
mod node;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use apikey_manager::{
    Actor, BulkRevocation, ImportKey, IssuedKey, KeyManager, NewKey, OrganizationId, Receipts, Selection,
};

use self::{
    database::Database,
    node::{Node, format, manager},
};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if let Some(url) = node::asked() {
        return node::run(&url).await;
    }
    let is_asked = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    let (is_quick, one) = (is_asked("quick"), is_asked("sqlite") || is_asked("postgres"));
    let sqlite = (!one || is_asked("sqlite")).then(Database::sqlite);
    let postgres = (!one || is_asked("postgres")).then(Database::postgres).flatten();
    for database in [sqlite, postgres].into_iter().flatten() {
        println!("\n## {}", database.name());
        if !is_asked("bulk") {
            for processes in [3, 8] {
                measure(&database, processes, is_quick).await;
            }
        }
        bulk(&database, if is_quick { 5_000 } else { 100_000 }).await;
    }
}

async fn measure(database: &Database, processes: usize, is_quick: bool) {
    let url = database.create();
    let keys = manager(&url).await;
    let mut nodes: Vec<_> = (1..processes).map(|_| Node::start(&url)).collect();
    let organization = host(0);
    let key = issue(&keys, &organization).await;
    println!("\n{processes} processes");

    // PostgreSQL publishes its counts after up to ten seconds.
    tokio::time::sleep(Duration::from_secs(if is_quick { 0 } else { 12 })).await;
    let seconds = if is_quick { 5 } else { 20 };
    let (before, began) = (database.work(&url).await, Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    print_work("idle", before, database.work(&url).await, began.elapsed());

    let (before, began) = (database.work(&url).await, Instant::now());
    let mut receipts = Vec::new();
    for _ in 0..if is_quick { 50 } else { 500 } {
        receipts.push(change(&keys, &organization, &key, processes).await);
        receipts.push(change_back(&keys, &organization, &key).await);
    }
    print_work("one change after another", before, database.work(&url).await, began.elapsed());
    print("receipts, one after another", &mut receipts, began.elapsed());

    let (before, began) = (database.work(&url).await, Instant::now());
    let writers = (1..=16).map(|writer| {
        let keys = keys.clone();
        tokio::spawn(async move {
            let organization = host(writer);
            let key = issue(&keys, &organization).await;
            let mut receipts = Vec::new();
            for _ in 0..if is_quick { 10 } else { 50 } {
                receipts.push(change(&keys, &organization, &key, processes).await);
                receipts.push(change_back(&keys, &organization, &key).await);
            }
            receipts
        })
    });
    let mut receipts = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        receipts.extend(writer.await.expect("a writer"));
    }
    print_work("16 writers at once", before, database.work(&url).await, began.elapsed());
    print("receipts, 16 writers at once, each of another organization", &mut receipts, began.elapsed());

    drop(nodes.pop());
    print!("receipts after one process was killed, one after another:");
    for _ in 0..if is_quick { 1 } else { 5 } {
        let key = issue(&keys, &organization).await;
        let begun = Instant::now();
        keys.revoke(&organization, key.id(), "").await.expect("a change");
        print!(" {:.0} ms", begun.elapsed().as_secs_f64() * 1_000.0);
    }
    println!();
    drop(nodes);
    keys.shutdown().await;
}

/// Disables the key, and returns how long that took, with its receipt.
async fn change(keys: &KeyManager, host: &Actor, key: &IssuedKey, processes: usize) -> Duration {
    let (receipts, began) = (Receipts::default(), Instant::now());
    keys.disable(&host.clone().with_receipts(&receipts), key.id()).await.expect("a change");
    let took = began.elapsed();
    let receipt = receipts.take().expect("a receipt");
    assert_eq!((receipt.nodes, receipt.waited_out.len()), (processes, 0));
    took
}

async fn change_back(keys: &KeyManager, host: &Actor, key: &IssuedKey) -> Duration {
    let began = Instant::now();
    keys.enable(host, key.id()).await.expect("a change");
    began.elapsed()
}

/// Revokes all keys of an organization, with three processes.
async fn bulk(database: &Database, count: usize) {
    let url = database.create();
    let keys = manager(&url).await;
    let nodes = [Node::start(&url), Node::start(&url)];
    let host = host(0);
    let rows = (0..count).map(|n| ImportKey::raw(format!("key {n}"), format().generate().expect("randomness")));
    let rows: Vec<_> = rows.collect();
    keys.import(&host, "bench", rows, 100_000, |_| ()).await.expect("an import");
    println!("\n3 processes, {count} keys of one organization are revoked");
    let before = database.published(&url).await;
    // Another change of the organization waits while a step holds its lock.
    let is_done = Arc::new(AtomicBool::new(false));
    let other = tokio::spawn({
        let (keys, host, is_done) = (keys.clone(), host.clone(), Arc::clone(&is_done));
        async move {
            let mut waits = Vec::new();
            while !is_done.load(Relaxed) {
                let begun = Instant::now();
                issue(&keys, &host).await;
                waits.push(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            waits
        }
    });
    let (began, mut steps, mut revoked, mut after) = (Instant::now(), Vec::new(), 0, None);
    loop {
        let revocation = BulkRevocation::new(Selection::Everything);
        let revocation = match after.take() {
            Some(next) => revocation.after(next),
            None => revocation,
        };
        let begun = Instant::now();
        let step = keys.revoke_selected(&host, revocation).await.expect("a step");
        steps.push(begun.elapsed());
        revoked += step.keys.len();
        match step.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let took = began.elapsed();
    is_done.store(true, Relaxed);
    let mut waits = other.await.expect("the other");
    let published = database.published(&url).await;
    println!("{revoked} keys in {} steps, {:.1} s", steps.len(), took.as_secs_f64());
    print("steps, each with its receipt", &mut steps, took);
    print("keys issued meanwhile in the same organization", &mut waits, took);
    let changes = (published.changes - before.changes).max(1);
    println!(
        "told to other processes: {changes} changes, {} further rows, {} bytes of targets ({} a change)",
        published.rows - before.rows,
        published.bytes - before.bytes,
        (published.bytes - before.bytes) / changes,
    );
    drop(nodes);
    keys.shutdown().await;
}

fn host(number: usize) -> Actor {
    Actor::host("bench", OrganizationId::new(format!("org-{number}")).expect("an id")).expect("an actor")
}

async fn issue(keys: &KeyManager, host: &Actor) -> IssuedKey {
    keys.issue(host, NewKey::new("key")).await.expect("a key")
}

fn print(what: &str, times: &mut [Duration], all: Duration) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    println!(
        "{what}: {} in {:.1} s, {:.1} a second, {:.1} ms at the median, {:.1} ms at 99 %, {:.1} ms at most",
        times.len(),
        all.as_secs_f64(),
        times.len() as f64 / all.as_secs_f64(),
        at(50),
        at(99),
        at(100),
    );
}

fn print_work(what: &str, before: database::Work, after: database::Work, took: Duration) {
    let rate = |before: i64, after: i64| (after - before) as f64 / took.as_secs_f64();
    print!("{what}: {:.1} renewals a second", rate(before.beats, after.beats));
    match (before.transactions, after.transactions) {
        (Some(before), Some(after)) => println!(", {:.0} transactions a second", rate(before, after)),
        _ => println!(),
    }
}
