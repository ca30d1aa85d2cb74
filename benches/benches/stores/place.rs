//! A database of either kind, with the store in it, and the table and pool of a hand-written service beside it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use apikey_core::KeyFormat;
use apikey_manager::{KeyManager, KeyManagerBuilder, KeyStore};
use apikey_sqlx::SqlStore;
use apikey_testkit::PrivatePostgres;
use sqlx::{AssertSqlSafe, PgPool, Row, SqlitePool, pool::PoolOptions};
use tempfile::TempDir;

pub(crate) struct Place {
    pub(crate) store: SqlStore,
    pub(crate) plain: Plain,
}

/// Creates a pool with as many connections as the store has for reads.
#[derive(Clone)]
pub(crate) enum Plain {
    Sqlite(SqlitePool, Arc<TempDir>),
    Postgres(PgPool, Arc<PrivatePostgres>),
}

/// The columns that a hand-written lookup reads.
pub(crate) struct PlainKey {
    pub(crate) expires_at: Option<i64>,
    pub(crate) revoked_at: Option<i64>,
    pub(crate) scopes: Vec<String>,
}

/// Reads one row by its primary key, without joins.
const PLAIN_SELECT: &str =
    "SELECT id, organization, name, scopes, expires_at, revoked_at FROM plain_key WHERE digest = $1";
const PLAIN_COLUMNS: &str = "s.digest, k.id, k.organization, k.name, k.scopes, k.expires_at, k.revoked_at \
    FROM apikey_secret s JOIN apikey_key k ON k.id = s.key_id";

impl Place {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("keys.db").display());
        let store = SqlStore::connect(&url).await.expect("a store");
        let pool =
            PoolOptions::new().max_connections(4).test_before_acquire(false).connect(&url).await.expect("a pool");
        Place { store, plain: Plain::Sqlite(pool, folder.into()) }
    }

    pub(crate) async fn postgres() -> Option<Self> {
        let server = PrivatePostgres::start_with(&["fsync=on", "shared_buffers=512MB", "max_wal_size=4GB"])?;
        let url = server.url();
        let store = SqlStore::connect(&url).await.expect("a store");
        let pool =
            PoolOptions::new().max_connections(10).test_before_acquire(false).connect(&url).await.expect("a pool");
        Some(Place { store, plain: Plain::Postgres(pool, server.into()) })
    }

    pub(crate) fn name(&self) -> &'static str {
        match &self.plain {
            Plain::Sqlite(..) => "SQLite",
            Plain::Postgres(..) => "PostgreSQL",
        }
    }

    pub(crate) fn builder(&self) -> KeyManagerBuilder {
        KeyManager::builder(self.store.clone()).format(format())
    }

    pub(crate) async fn print_sizes(&self, keys: usize) {
        let each = |bytes: i64| bytes / keys as i64;
        let (all, audit) = match &self.plain {
            Plain::Sqlite(pool, folder) => {
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(pool).await.expect("a checkpoint");
                let file: PathBuf = folder.path().join("keys.db");
                let audit = "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'apikey_audit%' OR name LIKE 'sqlite_autoindex_apikey_audit%'";
                let audit: i64 = sqlx::query_scalar(audit).fetch_one(pool).await.expect("sizes");
                (file.metadata().expect("a file").len() as i64, audit)
            }
            Plain::Postgres(pool, _) => {
                sqlx::query("VACUUM ANALYZE").execute(pool).await.expect("a vacuum");
                let size = "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c WHERE c.relkind = 'r' \
                            AND c.relname LIKE $1";
                let all: i64 = sqlx::query_scalar(size).bind("apikey\\_%").fetch_one(pool).await.expect("sizes");
                let audit = sqlx::query_scalar(size).bind("apikey\\_audit").fetch_one(pool).await.expect("sizes");
                (all, audit)
            }
        };
        println!("on disk: {} bytes a key; {} of them the audit event of its import", each(all), each(audit));
    }

    /// The table of a service that stores digests and claims in one row.
    pub(crate) async fn add_plain_table(&self) {
        let statements = match &self.plain {
            Plain::Sqlite(..) => [
                "CREATE TABLE plain_key (digest BLOB PRIMARY KEY, id TEXT, organization TEXT, name TEXT, scopes TEXT, \
                 expires_at INTEGER, revoked_at INTEGER) WITHOUT ROWID"
                    .to_owned(),
                format!("INSERT INTO plain_key SELECT {PLAIN_COLUMNS} ORDER BY 1"),
            ],
            Plain::Postgres(..) => [
                format!("CREATE TABLE plain_key AS SELECT {PLAIN_COLUMNS}"),
                "ALTER TABLE plain_key ADD PRIMARY KEY (digest); VACUUM ANALYZE plain_key".to_owned(),
            ],
        };
        for sql in statements.iter().flat_map(|statements| statements.split("; ")) {
            self.plain.run(sql).await;
        }
    }

    pub(crate) async fn close(self) {
        self.store.close().await;
        match self.plain {
            Plain::Sqlite(pool, _) => pool.close().await,
            Plain::Postgres(pool, server) => {
                pool.close().await;
                drop(server);
            }
        }
    }
}

impl Plain {
    async fn run(&self, sql: &str) {
        let query = AssertSqlSafe(sql.to_owned());
        match self {
            Plain::Sqlite(pool, _) => drop(sqlx::query(query).execute(pool).await.expect("a statement")),
            Plain::Postgres(pool, _) => drop(sqlx::query(query).execute(pool).await.expect("a statement")),
        }
    }

    /// The hand-written lookup.
    pub(crate) async fn find(&self, digest: &[u8]) -> Option<PlainKey> {
        macro_rules! read {
            ($pool:expr) => {{
                let row = sqlx::query(PLAIN_SELECT).bind(digest).fetch_optional($pool).await.expect("an answer")?;
                let (_id, _organization, _name): (String, String, String) = (row.get(0), row.get(1), row.get(2));
                let scopes = row.get::<&str, _>(3).split(' ').map(str::to_owned).collect();
                Some(PlainKey { scopes, expires_at: row.get(4), revoked_at: row.get(5) })
            }};
        }
        match self {
            Plain::Sqlite(pool, _) => read!(pool),
            Plain::Postgres(pool, _) => read!(pool),
        }
    }
}

pub(crate) fn format() -> KeyFormat {
    KeyFormat::builder("acme").environment("live").build().expect("a format")
}

/// The length of a turn.
pub(crate) fn turn(is_quick: bool) -> Duration {
    Duration::from_millis(if is_quick { 300 } else { 1_000 })
}
