//! Heavy reads don't delay verification or revocation: 100 connections keep reading everything, while uncached keys are
//! sent.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use apikey_manager::{KeyStore, OrganizationId};
use apikey_sqlx::SqlOptions;
use apikey_testkit::PrivatePostgres;
use support::{patiently, wire::Answer};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::stand::{Request, Server, Stand, code, secret_of};

const CONNECTIONS: usize = 100;
const ORGANIZATIONS: usize = 5;
/// The first of them, which also reads the processes.
const OPERATORS: &str = "reader-0";
const COLD_KEYS: usize = 30;
/// How long a request may be answered with 503 in a row.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than the readers take to begin, so that a test fails instead of hanging.
const BEGINS: Duration = Duration::from_secs(300);

/// One hundred readers at a time are enough for any machine.
static CROWD: Mutex<()> = Mutex::const_new(());

/// Every path that is read, expensive ones first; `{id}` is the id of a key or an account.
fn paths() -> Vec<String> {
    let long = "x".repeat(100);
    [
        "/usage?from=2026-01-01T00:00:00Z&to=2026-12-31T00:00:00Z&bucket=day".to_owned(),
        format!("/api-keys?q={long}&limit=200"),
        "/api-keys/{id}/usage?bucket=day&from=2026-01-01T00:00:00Z&to=2026-12-31T00:00:00Z".to_owned(),
        "/api-keys/{id}/activity".to_owned(),
        "/api-keys?limit=200".to_owned(),
        "/api-keys/{id}".to_owned(),
        "/service-accounts?limit=200".to_owned(),
        "/service-accounts/{id}".to_owned(),
        "/audit-events?limit=200".to_owned(),
        "/fleet".to_owned(),
        "/limits".to_owned(),
        "/alerts?limit=200".to_owned(),
        "/alert-settings".to_owned(),
        "/webhooks".to_owned(),
        "/webhooks/{id}".to_owned(),
        "/webhooks/{id}/deliveries".to_owned(),
        "/scopes".to_owned(),
        "/whoami".to_owned(),
    ]
    .into()
}

/// The readers' results, and the number of rejected reads.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    answers: AtomicUsize,
    busy: AtomicUsize,
}

/// Reads everything, from the `number`th path on, until stopped.
async fn read(stand: Arc<Stand>, organization: String, number: usize, told: Arc<Told>) {
    let reader = stand.issue(&organization, &["keys:admin"]).await;
    let (secret, id) = (secret_of(&reader), reader.id().to_string());
    let paths = paths();
    for path in paths.iter().cycle().skip(number % paths.len()) {
        if told.stop.load(Ordering::Relaxed) {
            return;
        }
        let answer = stand.get(&format!("/keys/v1{}", path.replace("{id}", &id))).key(&secret).send().await;
        told.answers.fetch_add(1, Ordering::Relaxed);
        match answer.status {
            200 => {}
            404 => {
                let is_none = path.starts_with("/service-accounts/") || path.starts_with("/webhooks/");
                assert!(is_none || (path == "/fleet" && organization != OPERATORS), "{path}: {answer:?}");
            }
            429 | 503 => {
                // Too many readers, or the store was too slow.
                assert!(["busy", "unavailable"].contains(&code(&answer).as_str()), "{path}: {answer:?}");
                assert!(answer.header("retry-after").is_some(), "{path}: {answer:?}");
                told.busy.fetch_add(1, Ordering::Relaxed);
            }
            status => panic!("{path}: {status}: {}", answer.body),
        }
        // It is the store's connections that are to be busy, not this machine's processors.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the first answer other than 503, which a machine that stands still for seconds gives: the store was too slow.
async fn answered(delayed: &mut usize, request: impl Fn() -> Request) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = request().send().await;
        if answer.status != 503 || begun.elapsed() > PATIENCE {
            return answer;
        }
        *delayed += 1;
        sleep(Duration::from_millis(20)).await;
    }
}

/// Verifies and revokes keys while all connections read.
async fn assert_goes_on(server: Server, store: impl KeyStore) {
    let operators = OrganizationId::new(OPERATORS).unwrap();
    let stand = Arc::new(Stand::start(server, store, &|console| console.operators(operators.clone())).await);
    let admin = stand.admin().await;
    let mut cold = Vec::new();
    for _ in 0..COLD_KEYS {
        cold.push(stand.issue("acme", &["files:read"]).await);
    }
    let told = Arc::new(Told::default());
    let readers = (0..CONNECTIONS).map(|number| {
        let organization = format!("reader-{}", number % ORGANIZATIONS);
        tokio::spawn(read(stand.clone(), organization, number / ORGANIZATIONS, told.clone()))
    });
    let readers: Vec<_> = readers.collect();
    // Waits until each has read, and one was rejected.
    let all_read = async {
        while told.answers.load(Ordering::Relaxed) < CONNECTIONS || told.busy.load(Ordering::Relaxed) == 0 {
            assert!(!readers.iter().any(tokio::task::JoinHandle::is_finished), "a reader has failed");
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BEGINS, all_read).await.expect("each has read, and one was rejected");
    let mut late = 0;
    for key in cold {
        let (secret, mut delayed) = (secret_of(&key), 0);
        let answer = answered(&mut delayed, || stand.get("/files").key(&secret)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "files"), "{answer:?}");
        let revoke = format!("/keys/v1/api-keys/{}/revoke", key.id());
        let answer = answered(&mut delayed, || stand.post(&revoke).key(&admin)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answered(&mut delayed, || stand.get("/files").key(&secret)).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        // Changes that look something up don't wait for reads, either.
        let acknowledge = "/keys/v1/alerts/alt_00000000000000999999/acknowledge";
        let answer = answered(&mut delayed, || stand.post(acknowledge).key(&admin)).await;
        assert_eq!(answer.status, 404, "{answer:?}");
        let answer = answered(&mut delayed, || stand.get("/keys/v1/health")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        late += usize::from(delayed > 0);
    }
    println!("{late} of {COLD_KEYS} keys met a 503");
    assert!(late <= COLD_KEYS / 3, "{late} keys were held up: that is no accident");
    told.stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
}

/// Lists of activity that take the longest allowed time.
const SLOW: &str = "ALTER TABLE apikey_activity RENAME TO kept; \
    CREATE VIEW apikey_activity AS SELECT kept.* FROM ( \
        WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 5000000) \
        SELECT max(n) FROM counted \
    ) CROSS JOIN kept";

fn options() -> SqlOptions {
    SqlOptions::new().timeout(Duration::from_secs(5))
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_hundred_who_read_a_file_when_keys_are_verified_and_revoked_then_nobody_waits_for_them() {
    let _crowd = CROWD.lock().await;
    for server in [Server::Axum, Server::Actix] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("keys.db").display());
        let store = patiently(async || options().connect(&url).await).await;
        sqlx::raw_sql(SLOW).execute(&sqlx::SqlitePool::connect(&url).await.unwrap()).await.unwrap();
        assert_goes_on(server, store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_hundred_who_read_a_server_when_keys_are_verified_and_revoked_then_nobody_waits_for_them() {
    let Some(postgres) = PrivatePostgres::shared() else { return };
    let _crowd = CROWD.lock().await;
    for server in [Server::Axum, Server::Actix] {
        let url = postgres.create_database();
        let store = patiently(async || options().connect(&url).await).await;
        // Sums of usage and lists of activity take the longest allowed time.
        let mut session = postgres.session(&url);
        session.run("BEGIN; LOCK TABLE apikey_usage, apikey_activity IN ACCESS EXCLUSIVE MODE");
        assert_goes_on(server, store).await;
    }
}

#[tokio::test]
async fn given_the_document_when_its_reads_are_listed_then_each_is_among_those_that_are_driven() {
    let stand = Stand::start(Server::Axum, apikey_manager::MemoryStore::new(), &|console| console).await;
    let document = stand.get("/keys/v1/openapi.json").expect(200).await;
    let paths: BTreeSet<String> = paths().into_iter().map(|path| path.split('?').next().unwrap().to_owned()).collect();
    let read = document["paths"].as_object().unwrap().iter().filter(|(_, item)| item.get("get").is_some());
    let documented: BTreeSet<String> = read.map(|(path, _)| path.clone()).collect();
    let public = ["/health", "/openapi.json"].map(str::to_owned);
    assert_eq!(documented, paths.into_iter().chain(public).collect());
}
