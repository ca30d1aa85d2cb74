//! A backup is restored as `docs/fleet.md` says, while the processes go on running.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use apikey_core::KeyId;
use apikey_manager::{Actor, KeyManager, OrganizationId};
use apikey_sqlx::SqlStore;
use apikey_testkit::PrivatePostgres;
use serde_json::json;
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};

use crate::{
    changes,
    fleet::admin,
    link::{Answer, Link, get, post},
    node::{Node, format},
    oracle::Key,
    within_limit,
};

const RECOVERY: Duration = Duration::from_secs(30);

/// Keys whose end has a receipt, and what came of requests with them.
#[derive(Default)]
struct Ended {
    keys: Mutex<Vec<Arc<Key>>>,
    let_in: Mutex<Vec<String>>,
    refused: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_backup_that_is_restored_as_the_guide_says_when_processes_go_on_then_no_ended_key_is_let_in() {
    within_limit(async {
        let Some(server) = PrivatePostgres::start() else { return };
        let operator = |sql: &str| server.psql(&server.url(), sql);
        operator("CREATE ROLE acme LOGIN");
        // The operator's own URL, and that of the processes.
        let direct = server.create_database_with("OWNER acme");
        let url = direct.replace("postgres@", "acme@");
        let admin = admin(&url).await;
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let url = url.clone();
            nodes.push(spawn_blocking(move || Node::start(&url, 0)).await.unwrap());
        }
        let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
        let keys = issue(&admin, &addresses, 8).await;
        let ended = Arc::new(Ended::default());
        let end = async |at: usize, path: &str, body: &str, key: &Arc<Key>| {
            let answer = ask(addresses[at], &post(&format!("api-keys/{}{path}", key.id), &admin, body)).await;
            assert!(answer.status == 200 && answer.receipt.is_some(), "{}", answer.body);
            ended.keys.lock().unwrap().push(Arc::clone(key));
        };
        end(0, "/revoke", &json!({"reason": "before the backup"}).to_string(), &keys[0]).await;
        let probes = probe_for_ever(&addresses, &ended);

        let folder = tempfile::tempdir().unwrap();
        let backup = folder.path().join("backup");
        server.dump(&direct, &backup);
        end(0, "/revoke", &json!({"reason": "since the backup"}).to_string(), &keys[1]).await;
        end(1, "/disable", "", &keys[2]).await;
        end(2, "/rotate", &json!({"overlap_seconds": 0}).to_string(), &keys[3]).await;
        let lost = issue(&admin, &addresses, 1).await.remove(0);
        let longest = server.psql(&direct, "SELECT max(lease_ms) FROM apikey_node");

        // 1 and 2: the database is closed for the longest lease and a quarter more.
        operator("ALTER ROLE acme NOLOGIN");
        operator("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'acme'");
        sleep(Duration::from_millis(longest.parse().unwrap()) * 5 / 4).await;
        // 3.
        let name = direct.rsplit('/').next().unwrap();
        operator(&format!("DROP DATABASE {name} WITH (FORCE)"));
        operator(&format!("CREATE DATABASE {name} OWNER acme"));
        server.load(&direct, &backup);
        // 4.
        assert_eq!(server.psql(&direct, "DELETE FROM apikey_node RETURNING 1").lines().count(), 3);
        // 5: by command, and as another role.
        revoke_again(&direct, &keys[1..4]).await;
        // 6.
        operator("ALTER ROLE acme LOGIN");

        for address in &addresses {
            for (n, key) in keys.iter().enumerate() {
                expect(*address, &key.secret, if n < 4 { 401 } else { 200 }).await;
            }
            expect(*address, &lost.secret, 401).await;
        }
        end(1, "/revoke", &json!({"reason": "after all"}).to_string(), &keys[4]).await;
        for address in &addresses {
            expect(*address, &keys[4].secret, 401).await;
        }
        let before = ended.refused.load(Relaxed);
        while ended.refused.load(Relaxed) < before + 100 {
            sleep(Duration::from_millis(5)).await;
        }
        drop(probes);
        assert_eq!(*ended.let_in.lock().unwrap(), Vec::<String>::new());
    })
    .await;
}

async fn ask(address: SocketAddr, request: &str) -> Answer {
    Link::default().ask(address, request).await.expect("an answer")
}

/// Issues keys at one process after another, and uses each everywhere.
async fn issue(admin: &str, addresses: &[SocketAddr], number: usize) -> Vec<Arc<Key>> {
    let mut keys = Vec::new();
    for n in 0..number {
        let request = post("api-keys", admin, &json!({"name": "key", "scopes": []}).to_string());
        let key = changes::of(&ask(addresses[n % addresses.len()], &request).await);
        for address in addresses {
            expect(*address, &key.secret, 200).await;
        }
        keys.push(key);
    }
    keys
}

/// Waits until a process answers other than 503, which has to be with this status.
async fn expect(address: SocketAddr, secret: &str, status: u16) {
    let answered = async {
        loop {
            match Link::default().ask(address, &get("/probe", secret)).await.map(|answer| answer.status) {
                None | Some(503) => sleep(Duration::from_millis(20)).await,
                Some(status) => return status,
            }
        }
    };
    assert_eq!(timeout(RECOVERY, answered).await.expect("a process that serves again"), status);
}

/// Asks every process with every key that has ended, until this is dropped.
fn probe_for_ever(addresses: &[SocketAddr], ended: &Arc<Ended>) -> JoinSet<()> {
    let mut probes = JoinSet::new();
    for address in addresses.iter().copied() {
        let ended = Arc::clone(ended);
        probes.spawn(async move {
            let mut link = Link::default();
            loop {
                let keys = ended.keys.lock().unwrap().clone();
                for key in keys {
                    match link.ask(address, &get("/probe", &key.secret)).await.map(|answer| answer.status) {
                        Some(401) => drop(ended.refused.fetch_add(1, Relaxed)),
                        Some(503) | None => sleep(Duration::from_millis(5)).await,
                        Some(status) => ended.let_in.lock().unwrap().push(format!("{} at {address}: {status}", key.id)),
                    }
                }
            }
        });
    }
    probes
}

async fn revoke_again(url: &str, keys: &[Arc<Key>]) {
    let store = SqlStore::connect(url).await.unwrap();
    let command = KeyManager::builder(store).format(format()).without_requests().build().unwrap();
    let operator = Actor::host("operator", OrganizationId::new("acme").unwrap()).unwrap();
    for key in keys {
        command.revoke(&operator, &KeyId::new(key.id.clone()).unwrap(), "since the backup").await.unwrap();
    }
    command.shutdown().await;
}
