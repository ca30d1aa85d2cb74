//! Either database, and one connection or transaction of it: runs [`Query`]s, within a time limit.

use std::{fmt, future::Future, time::Duration};

use apikey_manager::StoreError;
use sqlx::AssertSqlSafe;

use crate::{
    error,
    query::{Names, Query, Value},
    row::Row,
};

/// How often a read is tried again on another connection.
const TRIES: usize = 16;

pub(crate) struct Database {
    pools: Pools,
    pub(crate) names: Names,
    timeout: Duration,
}

pub(crate) enum Pools {
    #[cfg(feature = "sqlite")]
    Sqlite { writer: sqlx::SqlitePool, readers: sqlx::SqlitePool },
    #[cfg(feature = "postgres")]
    Postgres { pool: sqlx::PgPool, is_own: bool },
}

/// A change under way; undone when dropped.
pub(crate) struct Change {
    link: ChangeLink,
    timeout: Duration,
}

enum ChangeLink {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("names", &self.names).finish_non_exhaustive()
    }
}

/// A query of sqlx, of whichever database is asked.
macro_rules! sqlx_query {
    ($query:expr) => {{
        let Query { sql, values, is_kept, .. } = $query;
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(is_kept);
        for value in values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Digest(digest) => query.bind(digest.to_vec()),
                #[cfg(feature = "postgres")]
                value => bind_list!(query, value),
            };
        }
        query
    }};
}

/// Lists are PostgreSQL's alone.
#[cfg(feature = "sqlite")]
macro_rules! sqlite_query {
    ($query:expr) => {{
        #[cfg(feature = "postgres")]
        macro_rules! bind_list {
            ($to:expr, $value:expr) => {{
                let _ = $value;
                $to
            }};
        }
        sqlx_query!($query)
    }};
}

#[cfg(feature = "postgres")]
macro_rules! postgres_query {
    ($query:expr) => {{
        macro_rules! bind_list {
            ($to:expr, $value:expr) => {
                match $value {
                    Value::Texts(values) => $to.bind(values),
                    Value::Digests(values) => $to.bind(values),
                    _ => $to,
                }
            };
        }
        sqlx_query!($query)
    }};
}

impl Database {
    pub(crate) fn new(pools: Pools, names: Names, timeout: Duration) -> Self {
        Database { pools, names, timeout }
    }

    /// Reads, on a connection of its own. A connection that turns out to be broken, as all are after a restart of the
    /// server, is no reason to fail.
    pub(crate) async fn fetch(&self, query: Query<'_>) -> Result<Vec<Row>, StoreError> {
        if query.has_nul() {
            return Ok(Vec::new());
        }
        for _ in 1..TRIES {
            match self.fetch_once(query.clone()).await {
                Err(error) if error::is_broken(&error) => {}
                result => return result.map_err(error::failed),
            }
        }
        self.fetch_once(query).await.map_err(error::failed)
    }

    async fn fetch_once(&self, query: Query<'_>) -> Result<Vec<Row>, sqlx::Error> {
        within(self.timeout, async {
            match &self.pools {
                #[cfg(feature = "sqlite")]
                Pools::Sqlite { readers, .. } => {
                    let rows = sqlite_query!(query).fetch_all(readers).await?;
                    Ok(rows.into_iter().map(Row::Sqlite).collect())
                }
                #[cfg(feature = "postgres")]
                Pools::Postgres { pool, .. } => {
                    let rows = postgres_query!(query).fetch_all(pool).await?;
                    Ok(rows.into_iter().map(Row::Postgres).collect())
                }
            }
        })
        .await
    }

    /// Begins a change; on a broken connection nothing has begun, and the next is tried.
    pub(crate) async fn begin(&self) -> Result<Change, sqlx::Error> {
        for _ in 1..TRIES {
            match self.begin_once().await {
                Err(error) if error::is_broken(&error) => {}
                result => return result,
            }
        }
        self.begin_once().await
    }

    async fn begin_once(&self) -> Result<Change, sqlx::Error> {
        let begun = async {
            match &self.pools {
                #[cfg(feature = "sqlite")]
                Pools::Sqlite { writer, .. } => Ok(ChangeLink::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)),
                #[cfg(feature = "postgres")]
                Pools::Postgres { pool, .. } => {
                    let begin = AssertSqlSafe(crate::postgres::begin(self.timeout));
                    Ok(ChangeLink::Postgres(pool.begin_with(begin).await?))
                }
            }
        };
        // Twice: SQLite waits for this process's connection and then for other processes' locks.
        let link = within(2 * self.timeout, begun).await?;
        Ok(Change { link, timeout: self.timeout })
    }

    pub(crate) async fn close(&self) {
        match &self.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            #[cfg(feature = "postgres")]
            Pools::Postgres { pool, is_own } => {
                if *is_own {
                    pool.close().await;
                }
            }
        }
    }
}

impl Change {
    pub(crate) async fn fetch(&mut self, query: Query<'_>) -> Result<Vec<Row>, sqlx::Error> {
        if query.has_nul() {
            return Ok(Vec::new());
        }
        within(self.timeout, async {
            match &mut self.link {
                #[cfg(feature = "sqlite")]
                ChangeLink::Sqlite(link) => {
                    let rows = sqlite_query!(query).fetch_all(&mut **link).await?;
                    Ok(rows.into_iter().map(Row::Sqlite).collect())
                }
                #[cfg(feature = "postgres")]
                ChangeLink::Postgres(link) => {
                    let rows = postgres_query!(query).fetch_all(&mut **link).await?;
                    Ok(rows.into_iter().map(Row::Postgres).collect())
                }
            }
        })
        .await
    }

    /// How many rows were changed.
    pub(crate) async fn execute(&mut self, query: Query<'_>) -> Result<u64, sqlx::Error> {
        if query.has_nul() {
            return Err(sqlx::Error::Encode("a text with a NUL character can't be kept".into()));
        }
        within(self.timeout, async {
            match &mut self.link {
                #[cfg(feature = "sqlite")]
                ChangeLink::Sqlite(link) => Ok(sqlite_query!(query).execute(&mut **link).await?.rows_affected()),
                #[cfg(feature = "postgres")]
                ChangeLink::Postgres(link) => Ok(postgres_query!(query).execute(&mut **link).await?.rows_affected()),
            }
        })
        .await
    }

    /// Many statements without values, of any number of results.
    pub(crate) async fn run(&mut self, sql: String) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match &mut self.link {
            #[cfg(feature = "sqlite")]
            ChangeLink::Sqlite(link) => sql.execute(&mut **link).await.map(drop),
            #[cfg(feature = "postgres")]
            ChangeLink::Postgres(link) => sql.execute(&mut **link).await.map(drop),
        }
    }

    /// No answer in time is no answer.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        within(self.timeout, async {
            match self.link {
                #[cfg(feature = "sqlite")]
                ChangeLink::Sqlite(link) => link.commit().await,
                #[cfg(feature = "postgres")]
                ChangeLink::Postgres(link) => link.commit().await,
            }
        })
        .await
    }

    /// Undone when this returns, not some time after.
    pub(crate) async fn rollback(self) {
        let _ = within(self.timeout, async {
            match self.link {
                #[cfg(feature = "sqlite")]
                ChangeLink::Sqlite(link) => link.rollback().await,
                #[cfg(feature = "postgres")]
                ChangeLink::Postgres(link) => link.rollback().await,
            }
        })
        .await;
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
