//! Poolers between the store and its server. Their sessions are passed on to other applications.

use apikey_manager::KeyStore;
use apikey_sqlx::{ConnectError, SqlStore};
use apikey_testkit::{PgBouncer, PrivatePostgres};
use sqlx::{Connection, PgConnection, Row};

use crate::support::{commit, digest, insert, key};

/// Keeps sessions for the next client as the last one left them.
const KEPT: [&str; 3] = ["server_reset_query =", "default_pool_size = 20", "server_idle_timeout = 3600"];

/// Returns a session's settings, prepared statements and locks.
async fn session(connection: &mut PgConnection) -> String {
    let set = "SELECT string_agg(name || '=' || setting, E'\\n' ORDER BY name) FROM pg_settings \
               WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone')";
    let set: Option<String> = sqlx::raw_sql(set).fetch_one(&mut *connection).await.unwrap().get(0);
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    let locks: i64 = sqlx::raw_sql(locks).fetch_one(&mut *connection).await.unwrap().get(0);
    format!("{} locks; {}", locks, set.unwrap_or_default())
}

/// Uses a database as several concurrent clients do.
async fn use_it(stores: &[SqlStore]) {
    let uses = (0..40).map(|n| {
        let store = stores[n as usize % stores.len()].clone();
        tokio::spawn(async move {
            commit(&store, [insert(key(n))]).await.unwrap();
            assert_eq!(store.find(&[digest(n)]).await.unwrap().found.len(), 1);
            store.scan(None, 10).await.unwrap();
            store.check().await.unwrap();
        })
    });
    for used in uses.collect::<Vec<_>>() {
        used.await.unwrap();
    }
}

/// Checks what other applications find in every session of the pooler.
async fn assert_clean(url: &str) {
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut other = PgConnection::connect(url).await.unwrap();
        // In a transaction, so that each connection has its own session.
        sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();
        assert_eq!(session(&mut other).await, "0 locks; ");
        others.push(other);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_pooler_of_sessions_when_stores_have_used_them_then_others_find_them_as_they_were() {
    let Some(server) = PrivatePostgres::shared() else { return };
    // The pooler ignores the settings of a session's start, or refuses them.
    for ignores in
        ["ignore_startup_parameters = extra_float_digits, options", "ignore_startup_parameters = extra_float_digits"]
    {
        let settings = [KEPT.as_slice(), &["pool_mode = session", ignores]].concat();
        let Some(pooler) = PgBouncer::before(server, &settings) else { return };
        let url = pooler.url_of(&server.create_database());
        let stores = [SqlStore::connect(&url).await.unwrap(), SqlStore::connect(&url).await.unwrap()];
        use_it(&stores[..1]).await;
        for store in stores {
            store.close().await;
        }
        assert_clean(&url).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_pooler_of_transactions_when_connected_to_then_it_is_refused_and_its_sessions_are_as_they_were() {
    let Some(server) = PrivatePostgres::shared() else { return };
    let settings =
        [KEPT.as_slice(), &["pool_mode = transaction", "ignore_startup_parameters = extra_float_digits"]].concat();
    let Some(pooler) = PgBouncer::before(server, &settings) else { return };
    let url = pooler.url_of(&server.create_database());
    for _ in 0..10 {
        let error = SqlStore::connect(&url).await.unwrap_err();
        assert!(
            matches!(&error, ConnectError::Unsuitable(reason) if reason.contains("pooler of transactions")),
            "{error}"
        );
        let pool = sqlx::PgPool::connect_lazy(&url).unwrap();
        let error = SqlStore::from_postgres_pool(pool.clone()).await.unwrap_err();
        assert!(
            matches!(&error, ConnectError::Unsuitable(reason) if reason.contains("pooler of transactions")),
            "{error}"
        );
        pool.close().await;
    }
    assert_clean(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_pooler_of_transactions_that_is_not_recognized_when_used_all_the_same_then_its_sessions_are_as_they_were()
 {
    let Some(server) = PrivatePostgres::start() else { return };
    let spread = ["pool_mode = transaction", "min_pool_size = 20", "server_round_robin = 1"];
    let settings = [KEPT.as_slice(), &spread, &["ignore_startup_parameters = extra_float_digits, options"]].concat();
    let Some(pooler) = PgBouncer::before(&server, &settings) else { return };
    let direct = server.create_database();
    SqlStore::connect(&direct).await.unwrap().close().await;
    let url = pooler.url_of(&direct);
    let mut other = PgConnection::connect(&url).await.unwrap();
    // With so many sessions, the store's two connections don't share one during the check.
    while {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
        sqlx::raw_sql(count).fetch_one(&mut other).await.unwrap().get::<i64, _>(0) < 20
    } {
        tokio::task::yield_now().await;
    }
    let stores = [SqlStore::connect(&url).await.unwrap(), SqlStore::connect(&url).await.unwrap()];
    for n in 0..100 {
        // Unsupported use may fail, and mostly does.
        let _ = commit(&stores[n % 2], [insert(key(n as u64))]).await;
        let _ = stores[n % 2].find(&[digest(n as u64)]).await;
        let _ = stores[n % 2].check().await;
    }
    assert_clean(&url).await;
}
