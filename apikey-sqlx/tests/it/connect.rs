//! URLs, options and servers that can't be used, and their errors.

use std::time::{Duration, Instant};

use apikey_manager::KeyStore;
use apikey_sqlx::{ConnectError, Dialect, SqlOptions, SqlStore};
use apikey_testkit::PrivatePostgres;

use crate::support::{Place, acme, commit, digest, insert, key};

#[tokio::test]
async fn given_urls_that_cannot_be_used_when_connected_then_errors_say_why_and_show_no_part_of_them() {
    let refused = [
        ("", "begins with neither"),
        ("hunter2", "begins with neither"),
        ("mysql://u:hunter2@host/db", "begins with neither"),
        ("hunter2:secret", "begins with neither"),
        ("sqlite:", "in memory"),
        ("sqlite://", "in memory"),
        ("sqlite::memory:", "in memory"),
        ("sqlite://:memory:", "in memory"),
        ("sqlite:hunter2.db?mode=memory", "in memory"),
        ("sqlite:hunter2.db?mode=ro", "read-only"),
        ("sqlite:hunter2.db?immutable=1", "read-only"),
        ("sqlite:hunter2.db?hunter2=1", "not known"),
        ("sqlite:/nowhere/hunter2/keys.db", "not available"),
        ("postgres://u:hunter2@host:port/db", "not of the form"),
        ("postgres://u:pass?hunter2=word@host/db", "not known"),
        ("postgres://u:hunter2@127.0.0.1:1/db", "not available"),
        ("postgresql://u:hunter2@127.0.0.1:1/db?sslmode=hunter2", "not of the form"),
    ];
    for (url, reason) in refused {
        let error = SqlStore::connect(url).await.unwrap_err();
        let told = format!("{error}\n{error:?}\n{:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(error.to_string().contains(reason), "{url}: {error}");
        assert!(!told.contains("hunter2"), "{url}: {told}");
    }
}

#[tokio::test]
async fn given_options_that_cannot_be_used_when_connected_then_the_error_names_the_option() {
    let place = Place::sqlite();
    let long = "x".repeat(33);
    for prefix in ["", "1a", "A", "a-b", "a\"b", "a b", "a;", "é", &long] {
        assert!(SqlOptions::new().schema(prefix).migrations(Dialect::Postgres).is_err());
    }
    let error = SqlOptions::new().schema("keys").connect(&place.url).await.unwrap_err();
    assert!(error.to_string().contains("SQLite has no schemas"), "{error}");
    // Reported before the server, which may not exist, is contacted.
    for url in [&place.url, "postgres://127.0.0.1:1/db"] {
        for prefix in ["", "1a", "A", "a-b", "a\"b", "a b", "a;", "é", &long] {
            let error = SqlOptions::new().prefix(prefix).connect(url).await.unwrap_err();
            assert!(matches!(error, ConnectError::Option { option: "prefix", .. }), "{prefix}: {error}");
        }
        for timeout in [0, 99, 24 * 3_600 * 1_000 + 1, u64::MAX].map(std::time::Duration::from_millis) {
            let error = SqlOptions::new().timeout(timeout).connect(url).await.unwrap_err();
            assert!(matches!(error, ConnectError::Option { option: "timeout", .. }), "{timeout:?}: {error}");
        }
        for connections in [0, 1, 2] {
            let error = SqlOptions::new().max_connections(connections).connect(url).await.unwrap_err();
            assert!(matches!(error, ConnectError::Option { option: "max_connections", .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn given_a_store_when_formatted_for_debugging_then_nothing_of_its_url_shows() {
    for place in Place::all() {
        let shown = format!("{:?}", place.open().await);
        assert!(shown.starts_with("SqlStore { dialect: ") && shown.len() < 40, "{shown}");
    }
}

#[tokio::test]
async fn given_a_pool_of_the_service_when_a_store_is_made_of_it_then_it_is_used_and_left_open() {
    let Some(place) = Place::postgres() else { return };
    let pool = sqlx::PgPool::connect(&place.url).await.unwrap();
    let store = SqlStore::from_postgres_pool(pool.clone()).await.unwrap();
    commit(&store, [insert(key(1))]).await.unwrap();
    store.close().await;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM apikey_key").fetch_one(&pool).await.unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn given_a_server_that_only_reads_when_connected_to_or_used_then_it_is_refused() {
    let Some(mut server) = PrivatePostgres::start() else { return };
    let url = server.create_database();
    let store = SqlOptions::new().timeout(Duration::from_secs(3)).connect(&url).await.unwrap();
    commit(&store, [insert(key(1))]).await.unwrap();
    assert_eq!(store.find(&[digest(1)]).await.unwrap().found.len(), 1);

    server.psql(&url, "ALTER SYSTEM SET default_transaction_read_only = on");
    server.psql(&url, "SELECT pg_reload_conf()");
    // The server decides when open sessions learn of it.
    let begun = Instant::now();
    while store.find(&[digest(1)]).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(60), "open sessions never learn of it");
        tokio::task::yield_now().await;
    }
    for unknown in [digest(1), digest(2)] {
        assert!(store.find(&[unknown]).await.unwrap_err().is_unavailable());
    }
    assert!(store.begin(&acme()).await.err().unwrap().is_unavailable());
    assert!(store.check().await.unwrap_err().is_unavailable());
    let error = SqlStore::connect(&url).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Unsuitable(reason) if reason.contains("read-only")), "{error}");
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    assert!(matches!(SqlStore::from_postgres_pool(pool).await.unwrap_err(), ConnectError::Unsuitable(_)));

    server.psql(&url, "BEGIN READ WRITE; ALTER ROLE postgres RESET ALL; COMMIT");
    server.restart_as_standby();
    assert!(store.find(&[digest(1)]).await.unwrap_err().is_unavailable());
    assert!(store.begin(&acme()).await.err().unwrap().is_unavailable());
    let error = SqlStore::connect(&url).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Unsuitable(reason) if reason.contains("recovering")), "{error}");
}

#[tokio::test]
async fn given_a_database_of_another_encoding_when_connected_to_then_it_is_refused() {
    let Some(server) = PrivatePostgres::shared() else { return };
    for encoding in ["LATIN1", "SQL_ASCII", "EUC_JP"] {
        let url = server.create_database_with(&format!("TEMPLATE template0 LOCALE 'C' ENCODING '{encoding}'"));
        let error = SqlStore::connect(&url).await.unwrap_err();
        assert!(matches!(&error, ConnectError::Unsuitable(reason) if reason.contains(encoding)), "{error}");
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        let error = SqlStore::from_postgres_pool(pool).await.unwrap_err();
        assert!(matches!(&error, ConnectError::Unsuitable(reason) if reason.contains(encoding)), "{error}");
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(server.psql(&url, tables), "0", "{encoding}: nothing is begun in it");
    }
}
