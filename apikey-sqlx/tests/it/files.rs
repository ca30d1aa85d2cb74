//! SQLite's file: who may read it, what is in it, and how it is written.

use std::{fs, os::unix::fs::PermissionsExt};

use apikey_core::{KeyHasher, PlaintextKey};
use apikey_manager::{KeyRecord, KeyStore};

use crate::support::{Place, acme, at, commit, id, insert, key, someone};

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
