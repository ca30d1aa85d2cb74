//! SQLite's file: its permissions, its contents, and how it is written.

use std::{
    error::Error,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use apikey_core::{KeyHasher, PlaintextKey};
use apikey_manager::{KeyRecord, KeyStore, StoreError};
use apikey_sqlx::SqlStore;

use crate::support::{Place, acme, at, commit, digest, id, insert, key, someone};

#[tokio::test]
async fn given_no_file_when_opened_then_it_and_all_beside_it_are_the_owners_alone() {
    let place = Place::sqlite();
    let store = place.open().await;
    commit(&store, [insert(key(1))]).await.unwrap();
    let files = place.files();
    assert_eq!(files.len(), 3, "the database, its log and the log's index: {files:?}");
    for file in files {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}: {mode:o}", file.display());
    }
}

#[tokio::test]
async fn given_a_key_when_kept_then_the_files_hold_its_digest_and_nothing_of_the_key() {
    let text = "tsk_live_Zq7RkP2mXw9TbN4cVh8LsJ3dGy6FaE5u";
    let digest = KeyHasher::sha256().digest(&text.parse::<PlaintextKey>().unwrap());
    let place = Place::sqlite();
    let store = place.open().await;
    let record = KeyRecord::new(id(1), acme(), digest.clone(), at(1), someone());
    commit(&store, [insert(record)]).await.unwrap();
    let holds = |what: &[u8]| {
        let files = place.files().into_iter().map(|file| fs::read(file).unwrap());
        files.map(|bytes| bytes.windows(what.len()).filter(|window| window == &what).count()).sum::<usize>()
    };
    assert!(holds(digest.as_bytes()) > 0, "the search finds what is there");
    for part in [text, &text[9..], &text[20..], &text[9..25]] {
        assert_eq!(holds(part.as_bytes()), 0, "{part}");
    }
}

#[tokio::test]
async fn given_a_store_when_asked_then_its_file_has_a_log_and_is_sound() {
    let place = Place::sqlite();
    let store = place.open().await;
    for n in 0..50 {
        commit(&store, [insert(key(n))]).await.unwrap();
    }
    let pool = sqlx::SqlitePool::connect(&place.url).await.unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&pool).await.unwrap();
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&pool).await.unwrap();
    assert_eq!((mode.as_str(), sound.as_str()), ("wal", "ok"));
    let broken: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pragma_foreign_key_check").fetch_one(&pool).await.unwrap();
    assert_eq!(broken, 0);
    assert!(sqlx::query("INSERT INTO apikey_seen VALUES ('nobody', 1, 1)").execute(&pool).await.is_err());
}

#[tokio::test]
async fn given_a_writer_of_another_process_when_it_stops_then_those_that_waited_go_on() {
    let place = Place::sqlite();
    let store = place.open().await;
    let pool = sqlx::SqlitePool::connect(&place.url).await.unwrap();
    let other = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { commit(&store, [insert(key(1))]).await }
    });
    assert_eq!(store.revision().await.unwrap(), 0, "nobody who reads waits for one who writes");
    assert!(!waiting.is_finished());
    other.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), Some(1));
}

fn says_it_is_gone<T>(answer: Result<T, StoreError>) -> bool {
    let Err(error) = answer else { return false };
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    error.is_unavailable() && cause.contains("deleted or replaced while it was open")
}

/// Changes, lookups and health checks fail while a file is not the one that was opened.
async fn assert_gone(store: &SqlStore, what: &str) {
    for _ in 0..3 {
        assert!(says_it_is_gone(commit(store, [insert(key(100))]).await), "{what}");
        assert!(says_it_is_gone(store.advance_marker("m", None, "1").await), "{what}");
        assert!(store.check().await.is_err(), "{what}");
    }
    if what == "keys.db" {
        // Reads check once a second.
        let begun = Instant::now();
        while !says_it_is_gone(store.find(&[digest(1)]).await) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}: look-ups go on in a file that is gone");
            tokio::task::yield_now().await;
        }
        assert!(says_it_is_gone(store.find(&[digest(1)]).await));
        assert!(says_it_is_gone(store.key(&acme(), &id(1)).await));
        assert!(says_it_is_gone(store.check().await));
    }
}

/// A change is refused at the latest before its commit.
async fn begun_before(store: &SqlStore, vanish: impl FnOnce()) -> StoreError {
    let transaction = store.begin(&acme()).await.unwrap();
    vanish();
    transaction.commit(crate::support::changes([insert(key(101))])).await.unwrap_err()
}

#[tokio::test]
async fn given_an_open_file_when_deleted_or_replaced_then_nothing_is_written_where_it_would_be_lost() {
    for what in ["keys.db", "keys.db-wal", "keys.db-shm"] {
        for replaced in [false, true] {
            let place = Place::sqlite();
            let store = place.open().await;
            commit(&store, [insert(key(1))]).await.unwrap();
            assert_eq!(store.find(&[digest(1)]).await.unwrap().found.len(), 1);
            let path: PathBuf = place.files().into_iter().find(|path| path.ends_with(what)).unwrap();
            let away = path.with_extension("away");
            let take_away = |path: &Path| {
                fs::rename(path, &away).unwrap();
                if replaced {
                    fs::copy(&away, path).unwrap();
                }
            };
            take_away(&path);
            assert_gone(&store, what).await;
            // The same file is back in its place: the mistake was corrected.
            fs::rename(&away, &path).unwrap();
            commit(&store, [insert(key(2))]).await.unwrap();
            store.check().await.unwrap();
            let error = begun_before(&store, || take_away(&path)).await;
            assert!(error.is_unknown(), "{what}: {error:?}");
        }
    }
}

#[tokio::test]
async fn given_a_relative_path_when_the_process_changes_its_directory_then_the_file_stays_the_same() {
    const FOLDER: &str = "APIKEY_SQLX_TEST_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        // In a process of its own, because it changes the current directory.
        std::env::set_current_dir(&folder).unwrap();
        let store = SqlStore::connect("sqlite:keys.db").await.unwrap();
        std::env::set_current_dir("/").unwrap();
        commit(&store, [insert(key(1))]).await.unwrap();
        assert_eq!(store.find(&[digest(1)]).await.unwrap().found.len(), 1);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "files::given_a_relative_path_when_the_process_changes_its_directory_then_the_file_stays_the_same",
        ])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(folder.path().join("keys.db").exists());
}
