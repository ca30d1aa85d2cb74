//! What renewals leave behind in a database.

use std::time::Duration;

use apikey_fleet::{Beat, NodeId};
use apikey_manager::KeyStore;
use apikey_sqlx::SqlStore;
use apikey_testkit::PrivatePostgres;
use sqlx::Row;

const NODES: u128 = 300;
const LEASE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn given_processes_that_renew_for_long_when_looked_at_then_their_table_has_not_grown() {
    // A server of its own: old versions stay while a transaction runs that could see them, in any database of the server. A
    // vacuum is one, too, and a server under load vacuums late, so here it doesn't at all.
    let Some(server) = PrivatePostgres::start_with(&["autovacuum=off"]) else { return };
    let url = server.create_database();
    let store = SqlStore::connect(&url).await.unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let renew = async |beats: std::ops::Range<i64>| {
        for beat in beats {
            for node in 0..NODES {
                store.fleet().beat(NodeId::new(node), LEASE, Beat::new(beat), None).await.unwrap();
            }
        }
    };
    let bytes = async || -> [i64; 2] {
        let sizes = "SELECT pg_relation_size('apikey_node'), pg_relation_size('apikey_node_pkey')";
        let row = sqlx::raw_sql(sizes).fetch_one(&pool).await.unwrap();
        [row.get(0), row.get(1)]
    };
    renew(1..5).await;
    let before = bytes().await;
    renew(5..20).await;
    assert_eq!(bytes().await, before, "versions that nobody sees any more make room for the next ones");
    assert!(before[0] < NODES as i64 * 250 && before[1] < NODES as i64 * 250, "{before:?}");
    store.close().await;
}
