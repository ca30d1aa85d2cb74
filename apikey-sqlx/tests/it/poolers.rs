//! Poolers between the store and its server. Their sessions are passed on to other applications.

use std::time::Duration;

use apikey_fleet::{Beat, NodeId, Revision};
use apikey_manager::KeyStore;
use apikey_sqlx::{ConnectError, SqlOptions, SqlStore};
use apikey_testkit::{PgBouncer, PrivatePostgres};
use sqlx::{Connection, PgConnection, Row, postgres::PgPoolOptions};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{commit, digest, insert, key};

/// Keeps sessions for the next client as the last one left them.
const KEPT: [&str; 3] = ["server_reset_query =", "default_pool_size = 20", "server_idle_timeout = 3600"];

const CLEAN: &str = "0 locks; 0 statements; 0 channels; ";

/// Returns a session's locks, prepared statements, channels that it listens to, and settings.
async fn session(connection: &mut PgConnection) -> String {
    let set = "SELECT string_agg(name || '=' || setting, E'\\n' ORDER BY name) FROM pg_settings \
               WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone')";
    let set: Option<String> = sqlx::raw_sql(set).fetch_one(&mut *connection).await.unwrap().get(0);
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    let locks: i64 = sqlx::raw_sql(locks).fetch_one(&mut *connection).await.unwrap().get(0);
    let mut count =
        async |sql: &'static str| -> i64 { sqlx::raw_sql(sql).fetch_one(&mut *connection).await.unwrap().get(0) };
    let statements = count("SELECT count(*) FROM pg_prepared_statements").await;
    let channels = count("SELECT count(*) FROM pg_listening_channels()").await;
    format!("{locks} locks; {statements} statements; {channels} channels; {}", set.unwrap_or_default())
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
async fn assert_clean(url: &str, clean: &str) {
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut other = PgConnection::connect(url).await.unwrap();
        // In a transaction, so that each connection has its own session.
        sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();
        let found = session(&mut other).await;
        assert!(found.starts_with(clean) && found.ends_with("; "), "{found}");
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
        assert_clean(&url, "0 locks").await;
    }
}

/// The ways in which a pooler lends its sessions for each transaction.
const LENT: [&[&str]; 4] = [
    // The session that was returned last goes first, and the settings of a session's start are refused,
    &["ignore_startup_parameters = extra_float_digits"],
    // or ignored.
    &["ignore_startup_parameters = extra_float_digits, options"],
    // Each in turn.
    &["server_round_robin = 1", "min_pool_size = 20", "ignore_startup_parameters = extra_float_digits, options"],
    // There are fewer than stores.
    &["default_pool_size = 2", "ignore_startup_parameters = extra_float_digits"],
];

#[tokio::test(flavor = "multi_thread")]
async fn given_a_pooler_of_transactions_when_stores_have_used_its_sessions_then_others_find_them_as_they_were() {
    let Some(server) = PrivatePostgres::shared() else { return };
    for lent in LENT {
        let is_small = lent == LENT[3];
        let kept = KEPT.iter().filter(|setting| !is_small || !setting.contains("size"));
        let settings = [&["pool_mode = transaction"], lent, &kept.copied().collect::<Vec<_>>()].concat();
        let Some(pooler) = PgBouncer::before(server, &settings) else { return };
        let url = pooler.url_of(&server.create_database());
        let pool = PgPoolOptions::new().max_connections(5).connect(&url).await.unwrap();
        let stores = [
            SqlStore::connect(&url).await.unwrap(),
            SqlStore::connect(&url).await.unwrap(),
            SqlStore::from_postgres_pool(pool.clone()).await.unwrap(),
        ];
        use_it(&stores).await;
        // Renewals have connections of their own, and one that waits for changes does not listen.
        let node = NodeId::new(1);
        let fleet = stores[0].fleet().detached();
        fleet.beat(node, Duration::from_secs(10), Beat::new(1), None).await.unwrap();
        let known = fleet.snapshot(node, None).await.unwrap().snapshot.head.revision;
        assert_eq!(known, Revision::new(40), "{lent:?}");
        let ((), ()) = tokio::join!(fleet.changed(known), async {
            commit(&stores[1], [insert(key(40))]).await.unwrap();
        });
        fleet.leave(node).await.unwrap();
        drop(fleet);
        for store in stores {
            store.close().await;
        }
        pool.close().await;
        if !is_small {
            assert_clean(&url, CLEAN).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_pooler_that_is_told_of_when_connected_to_then_statements_have_no_names() {
    let Some(server) = PrivatePostgres::shared() else { return };
    // A pooler that lends sessions could not be told from this one, whose sessions are its clients'.
    let settings = [&KEPT[..], &["pool_mode = session", "ignore_startup_parameters = extra_float_digits"]].concat();
    let Some(pooler) = PgBouncer::before(server, &settings) else { return };
    let url = pooler.url_of(&server.create_database());
    let by_url = format!("{url}?statement-cache-capacity=0");
    for (options, url) in [(SqlOptions::new().transaction_pooling(), &url), (SqlOptions::new(), &by_url)] {
        let store = options.connect(url).await.unwrap();
        assert_eq!(store.scan(None, 10).await.unwrap().len(), 0);
        store.close().await;
    }
    assert_clean(&url, CLEAN).await;
    // Else they have, in a session that is the client's.
    let store = SqlStore::connect(&url).await.unwrap();
    store.scan(None, 10).await.unwrap();
    store.close().await;
    let mut next = PgConnection::connect(&url).await.unwrap();
    assert_ne!(session(&mut next).await, CLEAN);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_pooler_of_statements_when_connected_to_then_it_is_refused() {
    let Some(server) = PrivatePostgres::shared() else { return };
    let Some(pooler) =
        PgBouncer::before(server, &["pool_mode = statement", "ignore_startup_parameters = extra_float_digits"])
    else {
        return;
    };
    let url = pooler.url_of(&server.create_database());
    let pool = sqlx::PgPool::connect_lazy(&url).unwrap();
    for refused in [SqlStore::connect(&url).await, SqlStore::from_postgres_pool(pool).await] {
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, ConnectError::Unsuitable(reason) if reason.contains("have the pooler pool transactions")),
            "{error}"
        );
    }
}

/// Leads connections to these ports, one after another.
async fn address_of(ports: Vec<u16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for port in ports.iter().cycle() {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", *port)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn given_several_poolers_behind_one_address_when_connected_to_then_they_are_found() {
    let Some(server) = PrivatePostgres::shared() else { return };
    let settings = [KEPT.as_slice(), &["pool_mode = transaction", "ignore_startup_parameters = extra_float_digits"]];
    let poolers: Option<Vec<_>> = (0..3).map(|_| PgBouncer::before(server, &settings.concat())).collect();
    let Some(poolers) = poolers else { return };
    let port = address_of(poolers.iter().map(PgBouncer::port).collect()).await;
    let url = server.create_database().replace(&format!(":{}/", server.port()), &format!(":{port}/"));
    let stores = [SqlStore::connect(&url).await.unwrap(), SqlStore::connect(&url).await.unwrap()];
    use_it(&stores).await;
    for store in stores {
        store.close().await;
    }
    for pooler in &poolers {
        assert_clean(&pooler.url_of(&url), CLEAN).await;
    }
}

#[tokio::test]
async fn given_a_role_that_acts_for_another_when_connected_then_it_need_not_see_its_session() {
    let Some(server) = PrivatePostgres::start() else { return };
    let url = server.create_database();
    for sql in [
        "CREATE ROLE owner",
        "CREATE ROLE app LOGIN IN ROLE owner",
        "ALTER ROLE app SET role = owner",
        "GRANT CREATE ON SCHEMA public TO owner",
    ] {
        server.psql(&url, sql);
    }
    let store = SqlStore::connect(&url.replace("postgres@", "app@")).await.unwrap();
    use_it(&[store]).await;
}
