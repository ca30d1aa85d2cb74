//! A full disk: writes fail completely, and the store works again, with unchanged data, as soon as there is space.
//!
//! The tests use the system's own disk, a small tmpfs on which SQLite reports a full disk, and a limit on file sizes,
//! where it reports a disk error. The latter two need processes of their own, which this file's tests start.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use apikey_core::{
    KeyFormat,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};
use apikey_manager::{
    Activity, Actor, Change, KeyManager, KeyStore, NewKey, Prune, Revocation, StoreError, UsageBatch, UsageRow,
};
use apikey_sqlx::SqlStore;

use crate::support::{acme, at, commit, digest, id, insert, key, someone};

const FOLDER: &str = "APIKEY_SQLX_TEST_DISK";
const KIND: &str = "APIKEY_SQLX_TEST_DISK_KIND";
const TMPFS: &str = "tmpfs";
const LIMIT: &str = "limit";

/// The file system disappears with the process, because it is in a namespace of its own.
const ON_TMPFS: &str = r#"mount -t tmpfs -o size=32m tmpfs "$0" && exec "$@""#;
/// A write beyond the limit fails instead of killing the process.
const ON_LIMIT: &str = r#"trap "" XFSZ && exec "$@""#;

#[test]
fn given_a_file_system_without_room_when_there_is_some_again_then_the_next_change_is_made() {
    let mounts = |program: &mut Command| program.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    let folder = tempfile::tempdir().unwrap();
    if !mounts(Command::new("unshare").args(["-rm", "sh", "-c", ON_TMPFS]).arg(folder.path()).arg("true")) {
        eprintln!("skipped: no tmpfs can be mounted here; a limit on files stands for it");
        return;
    }
    let mut process = Command::new("unshare");
    process.args(["-rm", "sh", "-c", ON_TMPFS]).arg(folder.path());
    run_on(TMPFS, folder.path(), process);
}

#[test]
fn given_files_that_may_not_grow_when_they_may_again_then_the_next_change_is_made() {
    if !Command::new("prlimit").arg("--fsize").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI=true, and there is no prlimit");
        eprintln!("skipped: no prlimit");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut process = Command::new("sh");
    process.args(["-c", ON_LIMIT, "sh"]);
    run_on(LIMIT, folder.path(), process);
}

fn run_on(kind: &str, folder: &Path, mut process: Command) {
    process.arg(std::env::current_exe().unwrap()).env(KIND, kind).env(FOLDER, folder);
    process.args(["--nocapture", "--exact", "full_disk::given_a_disk_when_started_on_it_then_this_fills_and_frees_it"]);
    let output = process.stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}\n{failed}");
}

/// The disk of this process.
struct Disk {
    kind: String,
    folder: PathBuf,
}

impl Disk {
    fn of_this_process() -> Option<Self> {
        Some(Disk { kind: std::env::var(KIND).ok()?, folder: std::env::var_os(FOLDER)?.into() })
    }

    fn database(&self) -> PathBuf {
        self.folder.join("keys.db")
    }

    async fn fill(&self) {
        // Space in the log that was written before can be reused.
        let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", self.database().display())).await.unwrap();
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&pool).await.unwrap();
        pool.close().await;
        let log = fs::metadata(self.folder.join("keys.db-wal")).unwrap();
        assert_eq!(log.len(), 0);
        if self.kind == LIMIT {
            return Self::limit("0");
        }
        let mut ballast = fs::File::create(self.folder.join("ballast")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let piece = vec![0; size];
            let error = loop {
                if let Err(error) = ballast.write_all(&piece) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull);
        }
    }

    fn free(&self) {
        match self.kind == LIMIT {
            true => Self::limit("unlimited"),
            false => fs::remove_file(self.folder.join("ballast")).unwrap(),
        }
    }

    fn limit(bytes: &str) {
        let own = std::process::id().to_string();
        let limited = Command::new("prlimit").args(["--pid", &own, &format!("--fsize={bytes}:unlimited")]).status();
        assert!(limited.unwrap().success());
    }

    /// Checks that `change` fails without space.
    fn assert_refused<T: std::fmt::Debug>(&self, what: &str, changed: Result<T, StoreError>) {
        let error = changed.expect_err(what);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        let expected = if self.kind == LIMIT { "disk I/O error" } else { "database or disk is full" };
        assert!(cause.contains(expected), "{what}: {cause}");
        // An error of the disk may come after a commit was written.
        assert!(error.is_unavailable() || (self.kind == LIMIT && error.is_unknown()), "{what}: {error:?}");
    }
}

/// A change that needs space.
async fn make(what: &str, store: &SqlStore) -> Result<(), StoreError> {
    match what {
        "a key" => commit(store, [insert(key(1_000))]).await.map(drop),
        // It exceeds SQLite's memory cache, so that a write fails in the middle of the change.
        "an import" => {
            let many = (10_000..14_000).map(|n| {
                let mut key = key(n);
                key.description = "x".repeat(1_000);
                insert(key)
            });
            commit(store, many).await.map(drop)
        }
        "usage" => {
            let row = |n| UsageRow {
                key: id(n),
                organization: acme(),
                service_account: None,
                environment: None,
                hour: at(0),
                ok: 1,
                refused: 0,
                last_used: vec![(digest(n), at(5))],
            };
            let batch = UsageBatch { id: "batch".to_owned(), at: at(1), rows: (0..50).map(row).collect() };
            store.add_usage(&batch).await.map(|is_new| assert!(is_new, "half of it was done"))
        }
        "activity" => {
            let requests = (0..500).map(|n| Activity::new(acme(), id(1), at(n), "GET", 200));
            store.add_activity(&requests.collect::<Vec<_>>()).await
        }
        "a sweep" => {
            let mut prune = Prune::default();
            (prune.usage_before, prune.activity_before) = (Some(at(3_600_001)), Some(at(400)));
            prune.audit_before = Some(at(1));
            store.prune(&prune, at(2)).await.map(drop)
        }
        "a marker" => {
            store.advance_marker("swept", None, "1").await.map(|is_set| assert!(is_set, "half of it was done"))
        }
        what => panic!("{what}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_disk_when_started_on_it_then_this_fills_and_frees_it() {
    let Some(disk) = Disk::of_this_process() else { return };
    let store = SqlStore::connect(&format!("sqlite:{}", disk.database().display())).await.unwrap();
    commit(&store, (0..100).map(|n| insert(key(n)))).await.unwrap();
    for (n, what) in ["a key", "an import", "usage", "activity", "a sweep", "a marker"].into_iter().enumerate() {
        disk.fill().await;
        let before = store.revision().await.unwrap();
        for _ in 0..3 {
            disk.assert_refused(what, make(what, &store).await);
        }
        assert_eq!(store.revision().await.unwrap(), before, "{what}");
        assert!(!is_revoked(&store, 1).await, "what only reads goes on");
        disk.free();
        // The very next call of the store.
        revoke(&store, 50 + n as u64).await;
        make(what, &store).await.unwrap();
        assert!(is_revoked(&store, 50 + n as u64).await, "{what}");
    }
    manage(&disk, &store).await;
    store.close().await;
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", disk.database().display())).await.unwrap();
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&pool).await.unwrap();
    assert_eq!(sound, "ok");
}

async fn revoke(store: &SqlStore, n: u64) {
    let mut key = key(n);
    key.version = 2;
    key.revoked = Some(Revocation { at: at(2), by: someone(), reason: String::new() });
    commit(store, [Change::UpdateKey(Box::new(key))]).await.unwrap();
}

/// The same through the manager, whose cache must learn of applied changes only.
async fn manage(disk: &Disk, store: &SqlStore) {
    let format = KeyFormat::builder("t").build().unwrap();
    let keys = KeyManager::builder(store.clone()).format(format).build().unwrap();
    let host = Actor::host("test", acme()).unwrap();
    let issued = keys.issue(&host, NewKey::new("new")).await.unwrap();
    assert!(is_let_in(&keys, issued.secret().expose_secret()).await);
    disk.fill().await;
    for _ in 0..3 {
        keys.revoke(&host, issued.id(), "leaked").await.unwrap_err();
    }
    assert!(keys.get(&host, issued.id()).await.unwrap().revoked.is_none());
    disk.free();
    keys.revoke(&host, issued.id(), "leaked").await.unwrap();
    assert!(!is_let_in(&keys, issued.secret().expose_secret()).await);
    // Usage that could not be written is written by the last flush.
    keys.shutdown().await;
}

async fn is_let_in(keys: &KeyManager, secret: &str) -> bool {
    struct Request(String);
    impl RequestView for Request {
        fn lines(&self, header: Header) -> HeaderLines<'_> {
            match header {
                Header::Authorization => HeaderLines::One(self.0.as_bytes()),
                Header::Extra(_) => HeaderLines::Absent,
            }
        }
    }
    match keys.authenticator().authenticate(&Request(format!("Bearer {secret}"))) {
        Authentication::Done(decision) => decision.is_ok(),
        Authentication::Loading(loading) => loading.await.is_ok(),
    }
}

async fn is_revoked(store: &dyn KeyStore, n: u64) -> bool {
    match &store.find(&[digest(n)]).await.unwrap().found[..] {
        [apikey_manager::Found::Key(key)] => key.is_revoked,
        other => panic!("{other:?}"),
    }
}
