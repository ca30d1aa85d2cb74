//! Kills a process that changes keys in a SQLite file with SIGKILL at random moments. Every confirmed change must be
//! there when the file is opened again, and no change may be incomplete.
//!
//! The number of kills is limited in ordinary runs. `APIKEY_FIRE=full cargo test --release -p apikey-sqlx
//! --all-features --test crash` kills 1,000 times. A killed process leaves its writes to the operating system, so this
//! doesn't show what a power failure does: that depends on `synchronous=FULL`.

#![cfg(all(unix, feature = "sqlite"))]
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod model;
mod worker;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use apikey_core::{
    Authenticator, KeyFormat,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};
use apikey_manager::{
    Action, Actor, AuditEvent, AuditFilter, KeyFilter, KeyManager, KeyRecord, KeyStore, OrganizationId, PageRequest,
};
use apikey_sqlx::SqlStore;

use crate::{
    model::{Expected, Known},
    worker::{Dice, FILE, SEED, TASKS, organization},
};

#[tokio::test(flavor = "multi_thread")]
async fn given_kills_at_random_moments_when_the_file_is_opened_again_then_every_answer_holds_and_nothing_is_half_done()
{
    let kills = match std::env::var("APIKEY_FIRE").as_deref() {
        Ok("full") => 1_000,
        _ => 20,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let mut dice = Dice::new(std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0));
    let mut history = Vec::new();
    let (mut answered, mut cut_off, mut made_it) = (0, 0, 0);
    for kill in 0..kills {
        let seed = dice.next();
        let lines = run_and_kill(&path, seed, &mut dice);
        let mut expected = Expected::read(&lines);
        let opened = Opened::file(&path).await;
        opened.is_whole().await;
        for task in 0..TASKS {
            opened.check(&organization(seed, task), &mut expected, &format!("kill {kill}, seed {seed}")).await;
        }
        answered += expected.answered;
        cut_off += expected.cut_off;
        made_it += expected.made_it;
        opened.close().await;
        history.push((seed, expected));
    }
    // The results of every run must survive all later kills.
    let opened = Opened::file(&path).await;
    for (seed, expected) in &mut history {
        for task in 0..TASKS {
            opened.check(&organization(*seed, task), expected, &format!("at the end, seed {seed}")).await;
        }
    }
    opened.close().await;
    assert!(answered > 0, "the process was killed before it did anything, each time");
    println!("{kills} kills, {answered} operations answered, {cut_off} cut off, of which {made_it} were done");
}

/// Runs the worker, kills it, and returns the lines that it finished.
fn run_and_kill(path: &Path, seed: u64, dice: &mut Dice) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker::the_process_that_is_killed", "--ignored", "--nocapture"])
        .env(FILE, path)
        .env(SEED, seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    let reading = thread::spawn(move || {
        loop {
            let mut line = String::new();
            // A line without an end is incomplete.
            if output.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                return;
            }
            sender.send(line.trim_end().to_owned()).unwrap();
        }
    });
    // Sometimes the process is killed while it opens the file, but mostly after a while of work.
    let waited_for = if dice.below(8) == 0 { 0 } else { dice.below(120) };
    let mut seen: Vec<String> = lines.iter().take(waited_for as usize).collect();
    thread::sleep(Duration::from_micros(dice.below(6_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    reading.join().unwrap();
    seen.extend(lines);
    seen
}

/// The file, opened again.
struct Opened {
    keys: KeyManager,
    store: SqlStore,
    pool: sqlx::SqlitePool,
}

impl Opened {
    async fn file(path: &Path) -> Self {
        let url = format!("sqlite:{}", path.display());
        let store = SqlStore::connect(&url).await.unwrap();
        let keys = KeyManager::builder(store.clone()).format(format()).alone().build().unwrap();
        Opened { keys, store, pool: sqlx::SqlitePool::connect(&url).await.unwrap() }
    }

    async fn close(self) {
        self.pool.close().await;
        self.keys.shutdown().await;
    }

    /// Checks what holds for the whole file, whatever the changes were.
    async fn is_whole(&self) {
        let checked: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&self.pool).await.unwrap();
        assert_eq!(checked, "ok");
        let astray = sqlx::query("PRAGMA foreign_key_check").fetch_all(&self.pool).await.unwrap();
        assert!(astray.is_empty());
        // Every operation takes one revision and writes at most one event; a deletion also writes a revocation.
        let told = "SELECT count(*) FROM apikey_audit \
                    WHERE NOT (action = 'key.revoked' AND state_after LIKE '%\"reason\":\"deleted\"%')";
        let told: i64 = sqlx::query_scalar(told).fetch_one(&self.pool).await.unwrap();
        let revision = self.store.revision().await.unwrap();
        assert!(revision >= told as u64, "{told} events by {revision} changes");
        let kept = "SELECT count(*), COALESCE(max(revision) - min(revision) + 1, 0), COALESCE(max(revision), 0) \
                    FROM apikey_change";
        let (kept, span, last): (i64, i64, i64) = sqlx::query_as(kept).fetch_one(&self.pool).await.unwrap();
        assert_eq!((kept, last), (span, revision as i64), "the history of changes has no gaps");
    }

    /// Checks `organization` against the worker's lines.
    async fn check(&self, organization: &OrganizationId, expected: &mut Expected, moment: &str) {
        let host = Actor::host("test", organization.clone()).unwrap();
        let records = self.records(&host).await;
        let mut events: HashMap<String, Vec<AuditEvent>> = HashMap::new();
        for event in self.events(&host).await {
            events.entry(event.target.clone()).or_default().push(event);
        }
        let none = Vec::new();
        let mut made_it = 0;
        for known in expected.of(organization) {
            let (id, events) = (known.id.clone(), events.remove(&known.id));
            let events = events.as_ref().unwrap_or(&none);
            made_it += usize::from(known.settle(events.len(), moment));
            // Sorted, because events of one millisecond have no defined order.
            let sorted = |mut actions: Vec<Action>| {
                actions.sort_by_key(|action| action.as_str());
                actions
            };
            let told = events.iter().map(|event| event.action).collect();
            assert_eq!(sorted(told), sorted(known.events.clone()), "{moment}: {id}");
            self.check_key(known, records.get(&id), moment).await;
        }
        // The rest was being issued at the kill: it is complete or absent.
        let left: Vec<_> = events.into_iter().collect();
        assert!(left.len() <= usize::from(expected.was_issuing(organization)), "{moment}: {left:?}");
        expected.made_it += made_it + left.len();
        let known = expected.of(organization).filter(|known| !known.is_deleted).count();
        assert_eq!(records.len(), known + left.len(), "{moment}: keys without an event, or events without a key");
        for (id, events) in left {
            assert_eq!(events.iter().map(|event| event.action).collect::<Vec<_>>(), [Action::KeyIssued], "{moment}");
            let record = &records[&id];
            assert_eq!((record.version, record.secrets.len()), (1, 1), "{moment}: {id}");
        }
    }

    async fn check_key(&self, known: &Known, record: Option<&KeyRecord>, moment: &str) {
        let id = &known.id;
        assert_eq!(record.is_none(), known.is_deleted, "{moment}: {id}");
        if let Some(record) = record {
            assert_eq!(record.version as usize, known.events.len(), "{moment}: {id}, a version for each event");
            assert_eq!(record.secrets.len(), known.secrets.len(), "{moment}: {id}");
            assert_eq!(record.name, known.name, "{moment}: {id}");
            assert_eq!(record.disabled.is_some(), known.is_disabled, "{moment}: {id}");
            assert_eq!(record.revoked.is_some(), known.is_revoked, "{moment}: {id}");
        }
        for (age, secret) in known.secrets.iter().rev().enumerate() {
            let Some(text) = &secret.text else { continue };
            let caller = present(&self.keys.authenticator(), text).await;
            assert_eq!(caller, known.lets_in(secret).then(|| id.clone()), "{moment}: {id}, its secret {age}");
        }
    }

    async fn records(&self, host: &Actor) -> HashMap<String, KeyRecord> {
        let mut records = HashMap::new();
        let mut request = PageRequest::first().limit(200);
        loop {
            let page = self.keys.list(host, KeyFilter::default(), request).await.unwrap();
            records.extend(page.items.into_iter().map(|key| (key.id.to_string(), key)));
            match page.next {
                Some(next) => request = PageRequest::after(next).limit(200),
                None => return records,
            }
        }
    }

    async fn events(&self, host: &Actor) -> Vec<AuditEvent> {
        let mut events = Vec::new();
        let mut request = PageRequest::first().limit(200);
        loop {
            let page = self.keys.audit(host, AuditFilter::default(), request).await.unwrap();
            events.extend(page.items);
            match page.next {
                Some(next) => request = PageRequest::after(next).limit(200),
                None => return events,
            }
        }
    }
}

fn format() -> KeyFormat {
    KeyFormat::builder("t").build().unwrap()
}

/// A request with a key.
struct Request(String);

impl RequestView for Request {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => HeaderLines::One(self.0.as_bytes()),
            Header::Extra(_) => HeaderLines::Absent,
        }
    }
}

/// Returns the id of the key, if it is accepted.
async fn present(authenticator: &Authenticator, secret: &str) -> Option<String> {
    let decision = match authenticator.authenticate(&Request(format!("Bearer {secret}"))) {
        Authentication::Done(decision) => decision,
        Authentication::Loading(loading) => loading.await,
    };
    match decision {
        Ok(caller) => Some(caller.unwrap().key_id().to_string()),
        Err(rejection) => {
            assert_eq!(rejection.code(), "invalid_token");
            None
        }
    }
}
