//! A server that crashes, and answers that are lost.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use apikey_fleet::{Beat, NodeId};
use apikey_manager::{Change, KeyStore, Revocation};
use apikey_sqlx::{SqlOptions, SqlStore};
use apikey_testkit::PrivatePostgres;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Place, acme, at, changes, commit, digest, id, insert, key, someone};

/// Forwards bytes to a server, until it is asked to lose a commit.
struct Proxy {
    url: String,
    loses: Arc<AtomicBool>,
    delivers: Arc<AtomicBool>,
}

impl Proxy {
    async fn before(url: &str) -> Self {
        let (server, database) = url.split_once('@').unwrap().1.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://postgres@{}/{database}", listener.local_addr().unwrap());
        let (loses, delivers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let proxy = Proxy { url, loses: loses.clone(), delivers: delivers.clone() };
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, loses.clone(), delivers.clone()));
            }
        });
        proxy
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, loses: Arc<AtomicBool>, delivers: Arc<AtomicBool>) {
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let sent = &from_client[..count];
                if sent.windows(7).any(|word| word == b"COMMIT\0") && loses.swap(false, Ordering::SeqCst) {
                    if delivers.load(Ordering::SeqCst) {
                        server.write_all(sent).await.unwrap();
                        // The answer has come this far, and is not forwarded.
                        let _ = server.read(&mut from_server).await;
                    }
                    return;
                }
                server.write_all(sent).await.unwrap();
            }
            read = server.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                client.write_all(&from_server[..count]).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn given_a_commit_when_its_answer_is_lost_then_the_error_says_that_nobody_knows() {
    let Some(place) = Place::postgres() else { return };
    let direct = place.open().await;
    let proxy = Proxy::before(&place.url).await;
    let store = SqlStore::connect(&proxy.url).await.unwrap();
    for (n, delivers) in [(1, true), (2, false)] {
        proxy.delivers.store(delivers, Ordering::SeqCst);
        proxy.loses.store(true, Ordering::SeqCst);
        let error = commit(&store, [insert(key(n))]).await.unwrap_err();
        assert!(error.is_unknown(), "{error:?}");
        assert_eq!(direct.key(&acme(), &id(n)).await.unwrap().is_some(), delivers);
        assert_eq!(store.find(&[digest(n)]).await.unwrap().found.len(), usize::from(delivers), "the store goes on");
    }
    commit(&store, [insert(key(3))]).await.unwrap();
}

/// Longer than tasks under load take to go on, on a busy machine.
const RECOVERY: Duration = Duration::from_secs(60);
/// Leaves a machine time to start a server.
const AFTER_ERRORS: Duration = Duration::from_millis(10);

/// The answers that tasks under load have received.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    next: AtomicU64,
    reads: AtomicU64,
    issued: Mutex<Vec<u64>>,
    revoked: Mutex<Vec<u64>>,
}

async fn change(store: SqlStore, told: Arc<Told>) {
    while !told.stop.load(Ordering::Relaxed) {
        let n = told.next.fetch_add(1, Ordering::Relaxed);
        if commit(&store, [insert(key(n))]).await.is_err() {
            tokio::time::sleep(AFTER_ERRORS).await;
            continue;
        }
        told.issued.lock().unwrap().push(n);
        let mut key = key(n);
        key.version = 2;
        key.revoked = Some(Revocation { at: at(1), by: someone(), reason: String::new() });
        if n.is_multiple_of(2) && commit(&store, [Change::UpdateKey(Box::new(key))]).await.is_ok() {
            told.revoked.lock().unwrap().push(n);
        }
    }
}

async fn read(store: SqlStore, told: Arc<Told>) {
    while !told.stop.load(Ordering::Relaxed) {
        let Some(n) = told.revoked.lock().unwrap().last().copied() else {
            tokio::task::yield_now().await;
            continue;
        };
        // A missing answer proves nothing, but an answer must reflect the revocation.
        let Ok(lookup) = store.find(&[digest(n)]).await else {
            tokio::time::sleep(AFTER_ERRORS).await;
            continue;
        };
        assert!(
            matches!(&lookup.found[..], [apikey_manager::Found::Key(key)] if key.is_revoked),
            "key {n} is accepted after it was revoked"
        );
        told.reads.fetch_add(1, Ordering::Relaxed);
    }
}

async fn until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < RECOVERY, "no changes and reads after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_load_when_the_server_is_killed_and_started_again_then_nothing_acknowledged_is_lost() {
    let Some(mut server) = PrivatePostgres::start() else { return };
    let store = SqlStore::connect(&server.create_database()).await.unwrap();
    let told = Arc::new(Told::default());
    let mut tasks: Vec<_> = (0..4).map(|_| tokio::spawn(change(store.clone(), told.clone()))).collect();
    tasks.extend((0..4).map(|_| tokio::spawn(read(store.clone(), told.clone()))));
    let count = |told: &Told| (told.revoked.lock().unwrap().len(), told.reads.load(Ordering::Relaxed));
    for _ in 0..3 {
        let (changes, reads) = count(&told);
        until(|| count(&told).0 > changes + 20 && count(&told).1 > reads + 20).await;
        tokio::task::block_in_place(|| {
            server.kill();
            server.restart();
        });
        let (changes, reads) = count(&told);
        until(|| count(&told).0 > changes && count(&told).1 > reads).await;
    }
    told.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let issued = told.issued.lock().unwrap().clone();
    for n in issued {
        assert!(store.key(&acme(), &id(n)).await.unwrap().is_some(), "key {n} was issued and is lost");
    }
    let revoked = told.revoked.lock().unwrap().clone();
    for n in revoked {
        let key = store.key(&acme(), &id(n)).await.unwrap().unwrap();
        assert!(key.revoked.is_some(), "key {n} was revoked and is not");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_change_under_way_when_its_connection_is_ended_then_it_is_undone_and_the_next_is_made() {
    let Some(server) = PrivatePostgres::shared() else { return };
    let url = server.create_database();
    let store = SqlStore::connect(&url).await.unwrap();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for n in 0..10 {
        let mut transaction = store.begin(&acme()).await.unwrap();
        assert!(transaction.key(&id(n)).await.unwrap().is_none());
        server.psql(&url, end);
        match n % 3 {
            0 => assert!(transaction.key(&id(n)).await.unwrap_err().is_unavailable()),
            1 => drop(transaction),
            _ => drop(transaction.commit(changes([insert(key(n))])).await.unwrap_err()),
        }
        assert!(store.key(&acme(), &id(n)).await.unwrap().is_none());
        commit(&store, [insert(key(n))]).await.unwrap();
        assert_eq!(store.find(&[digest(n)]).await.unwrap().found.len(), 1);
    }
    assert_eq!(store.revision().await.unwrap(), 10);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn given_a_server_that_stands_still_when_it_goes_on_then_the_next_change_is_made() {
    let Some(mut server) = PrivatePostgres::start() else { return };
    let options = SqlOptions::new().timeout(Duration::from_secs(3));
    let store = options.connect(&server.create_database()).await.unwrap();
    commit(&store, [insert(key(0))]).await.unwrap();
    for n in 1..3 {
        let begun = store.begin(&acme()).await.unwrap();
        tokio::task::block_in_place(|| server.freeze());
        // More calls than connections: each connection is given up, and none is reused.
        let asked = (0..12).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.find(&[digest(0)]).await.unwrap_err().is_unavailable() })
        });
        for given_up in asked.collect::<Vec<_>>() {
            assert!(given_up.await.unwrap());
        }
        assert!(store.begin(&acme()).await.err().unwrap().is_unavailable());
        let error = begun.commit(changes([insert(key(n))])).await.unwrap_err();
        assert!(error.is_unavailable(), "a commit that was never sent: {error:?}");
        tokio::task::block_in_place(|| server.thaw());
        commit(&store, [insert(key(n))]).await.unwrap();
        assert_eq!(store.find(&[digest(n)]).await.unwrap().found.len(), 1);
    }
    assert_eq!(store.revision().await.unwrap(), 3);
}

/// A time limit must not end the server's wait: it would report a commit that only the primary has.
#[tokio::test(flavor = "multi_thread")]
async fn given_a_synchronous_standby_that_is_gone_when_a_change_is_committed_then_its_outcome_is_unknown() {
    let Some(server) = PrivatePostgres::start() else { return };
    let url = server.create_database();
    let store = SqlOptions::new().timeout(Duration::from_secs(3)).connect(&url).await.unwrap();
    tokio::task::block_in_place(|| drop(server.synchronous_standby()));
    let error = store.begin(&acme()).await.unwrap().commit(changes([insert(key(0))])).await.unwrap_err();
    assert!(error.is_unknown(), "{error:?}");
    let beaten = store.fleet().beat(NodeId::new(1), Duration::from_secs(10), Beat::new(1), None).await;
    assert!(beaten.is_err_and(|error| error.is_unknown()), "a row that a standby that takes over lacks");
    assert!(store.find(&[digest(0)]).await.unwrap().found.is_empty(), "a key that a standby that takes over lacks");
}
