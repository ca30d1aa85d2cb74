//! The tables: created once, beside other tables, and verified.

use std::{env, process::Stdio};

use apikey_manager::KeyStore;
use apikey_sqlx::{ConnectError, Dialect, SqlOptions, SqlStore};

use crate::support::{Place, commit, digest, insert, key};

const URL: &str = "APIKEY_SQLX_TEST_URL";

#[tokio::test]
async fn given_eight_processes_when_started_at_once_on_an_empty_database_then_all_find_its_tables() {
    for place in Place::all() {
        let start = |_| {
            tokio::process::Command::new(env::current_exe().unwrap())
                .args(["--exact", "migrations::given_the_url_of_a_test_when_started_by_it_then_this_opens_a_store"])
                .env(URL, &place.url)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        for process in (0..8).map(start).collect::<Vec<_>>() {
            let output = process.wait_with_output().await.unwrap();
            assert!(output.status.success(), "{}: {}", place.name, String::from_utf8_lossy(&output.stdout));
        }
        assert_eq!(place.open().await.revision().await.unwrap(), 8, "{}", place.name);
    }
}

#[tokio::test]
async fn given_the_url_of_a_test_when_started_by_it_then_this_opens_a_store() {
    let Ok(url) = env::var(URL) else { return };
    let store = SqlStore::connect(&url).await.unwrap();
    commit(&store, [insert(key(u64::from(std::process::id())))]).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn given_two_prefixes_in_a_services_database_when_used_then_none_sees_the_others_tables() {
    for place in Place::all() {
        let one = place.open().await;
        place.run("CREATE TABLE key (id TEXT); INSERT INTO key VALUES ('the service''s')").await.unwrap();
        let other = place.open_with(SqlOptions::new().prefix("other_")).await;
        commit(&one, [insert(key(1))]).await.unwrap();
        assert!(other.find(&[digest(1)]).await.unwrap().found.is_empty());
        assert_eq!((one.revision().await.unwrap(), other.revision().await.unwrap()), (1, 0));
        if place.name == "postgres" {
            let third = place.open_with(SqlOptions::new().schema("user")).await;
            commit(&third, [insert(key(1))]).await.unwrap();
            place.run("DELETE FROM \"user\".apikey_audit").await.unwrap();
            place.run("SELECT id FROM \"user\".apikey_key").await.unwrap();
            place.open_with(SqlOptions::new().schema("user")).await;
        }
    }
}

#[tokio::test]
async fn given_migrations_as_sql_when_run_by_hand_then_a_store_finds_them_done() {
    for place in Place::all() {
        let options = SqlOptions::new().prefix("by_hand_").migrate(false);
        let (dialect, options) = match place.name {
            "sqlite" => (Dialect::Sqlite, options),
            _ => (Dialect::Postgres, options.schema("keys")),
        };
        drop(place.open_with(SqlOptions::new()).await);
        let error = options.connect(&place.url).await.unwrap_err();
        assert!(matches!(error, ConnectError::Tables(_)), "{error}");
        place.run(String::leak(options.migrations(dialect).unwrap())).await.unwrap();
        let store = place.open_with(options.clone()).await;
        commit(&store, [insert(key(1))]).await.unwrap();
        place.open_with(options.migrate(true)).await;
    }
}

#[tokio::test]
async fn given_tables_of_another_version_when_opened_then_that_is_an_error() {
    for place in Place::all() {
        drop(place.open().await);
        place.run("INSERT INTO apikey_migration VALUES (2, 'later', 'x')").await.unwrap();
        for migrate in [true, false] {
            let error = SqlOptions::new().migrate(migrate).connect(&place.url).await.unwrap_err();
            assert!(error.to_string().contains("newer version"), "{error}");
        }
        place.run("DELETE FROM apikey_migration WHERE version = 2").await.unwrap();
        place.run("UPDATE apikey_migration SET checksum = 'x'").await.unwrap();
        let error = SqlStore::connect(&place.url).await.unwrap_err();
        assert!(error.to_string().contains("not the one"), "{error}");
    }
}
