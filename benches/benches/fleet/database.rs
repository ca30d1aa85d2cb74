//! Databases of either kind, and what they can tell of their work.

use apikey_testkit::PrivatePostgres;
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use tempfile::TempDir;

pub(crate) enum Database {
    Sqlite(TempDir, std::cell::Cell<usize>),
    Postgres(PrivatePostgres),
}

/// What a database has done so far.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    /// The renewals of all processes.
    pub(crate) beats: i64,
    /// Only PostgreSQL counts them. A statement outside of a transaction is one, too.
    pub(crate) transactions: Option<i64>,
}

/// What changes tell other processes.
#[derive(Clone, Copy)]
pub(crate) struct Published {
    pub(crate) changes: i64,
    pub(crate) rows: i64,
    pub(crate) bytes: i64,
}

const BEATS: &str = "SELECT CAST(coalesce(sum(beat), 0) AS BIGINT) FROM apikey_node";
const PUBLISHED: &str = "SELECT (SELECT count(*) FROM apikey_change WHERE targets <> '[]'), (SELECT count(*) FROM apikey_change_target), \
                    CAST((SELECT coalesce(sum(length(targets)), 0) FROM apikey_change) \
                    + (SELECT coalesce(sum(length(targets)), 0) FROM apikey_change_target) AS BIGINT)";

impl Database {
    pub(crate) fn sqlite() -> Self {
        Database::Sqlite(tempfile::tempdir().expect("a folder"), std::cell::Cell::new(0))
    }

    pub(crate) fn postgres() -> Option<Self> {
        PrivatePostgres::start_with(&["fsync=on"]).map(Database::Postgres)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Database::Sqlite(..) => "SQLite",
            Database::Postgres(_) => "PostgreSQL",
        }
    }

    /// Returns the URL of an unused database.
    pub(crate) fn create(&self) -> String {
        match self {
            Database::Sqlite(folder, number) => {
                number.set(number.get() + 1);
                format!("sqlite:{}", folder.path().join(format!("keys-{}.db", number.get())).display())
            }
            Database::Postgres(server) => server.create_database(),
        }
    }

    pub(crate) async fn work(&self, url: &str) -> Work {
        match self {
            Database::Sqlite(..) => {
                let pool = SqlitePool::connect(url).await.expect("a pool");
                let beats = sqlx::query_scalar(BEATS).fetch_one(&pool).await.expect("beats");
                pool.close().await;
                Work { beats, transactions: None }
            }
            Database::Postgres(_) => {
                let pool = PgPool::connect(url).await.expect("a pool");
                let beats = sqlx::query_scalar(BEATS).fetch_one(&pool).await.expect("beats");
                let counted =
                    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
                let transactions = sqlx::query_scalar(AssertSqlSafe(counted)).fetch_one(&pool).await.expect("counts");
                pool.close().await;
                Work { beats, transactions: Some(transactions) }
            }
        }
    }

    pub(crate) async fn published(&self, url: &str) -> Published {
        let (changes, rows, bytes) = match self {
            Database::Sqlite(..) => {
                let pool = SqlitePool::connect(url).await.expect("a pool");
                sqlx::query_as(PUBLISHED).fetch_one(&pool).await.expect("sizes")
            }
            Database::Postgres(_) => {
                let pool = PgPool::connect(url).await.expect("a pool");
                sqlx::query_as(PUBLISHED).fetch_one(&pool).await.expect("sizes")
            }
        };
        Published { changes, rows, bytes }
    }
}
