//! Runs [`Query`]s on either database, on the connections of a [lane](crate::lanes), within a time limit.

use std::{fmt, sync::Arc, time::Duration};

use apikey_manager::StoreError;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

#[cfg(feature = "sqlite")]
use crate::files::Files;
#[cfg(feature = "postgres")]
use crate::sessions::{self, Sessions};
use crate::{
    connection::{Connection, Link},
    error::{self, Failure},
    lanes::{Lane, Lanes},
    query::{Names, Query},
    row::Row,
};

/// The number of attempts on other connections if one is broken.
const TRIES: usize = 16;

pub(crate) struct Database {
    pub(crate) pools: Pools,
    pub(crate) lanes: Lanes,
    pub(crate) names: Names,
    pub(crate) timeout: Duration,
    #[cfg(feature = "postgres")]
    pub(crate) ear: tokio::sync::Mutex<crate::ear::Ear>,
}

pub(crate) enum Pools {
    #[cfg(feature = "sqlite")]
    Sqlite { writer: sqlx::SqlitePool, readers: sqlx::SqlitePool, files: Arc<Files> },
    #[cfg(feature = "postgres")]
    Postgres { pool: sqlx::PgPool, is_own: bool, sessions: Sessions },
}

/// An open transaction, which is rolled back on drop.
pub(crate) struct Change {
    connection: Connection,
    #[cfg(feature = "sqlite")]
    files: Option<Arc<Files>>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Database {
    pub(crate) fn new(pools: Pools, lanes: Lanes, names: Names, timeout: Duration) -> Self {
        Database {
            pools,
            lanes,
            names,
            timeout,
            #[cfg(feature = "postgres")]
            ear: tokio::sync::Mutex::default(),
        }
    }

    /// Runs a read: a list, a sum or a search.
    pub(crate) async fn fetch(&self, query: Query<'_>) -> Result<Vec<Row>, StoreError> {
        self.read(Lane::Read, query).await
    }

    /// Runs a lookup that requests wait for.
    pub(crate) async fn look_up(&self, query: Query<'_>) -> Result<Vec<Row>, StoreError> {
        self.read(Lane::LookUp, query).await
    }

    /// Retries on another connection if one is broken, as all are after a restart of the server.
    async fn read(&self, lane: Lane, query: Query<'_>) -> Result<Vec<Row>, StoreError> {
        let turn = self.turn(lane).await.map_err(error::failed)?;
        let mut tries = 1..TRIES;
        loop {
            let rows = match self.connect(lane, &turn).await {
                Ok(mut connection) => self.read_on(&mut connection, query.clone()).await,
                Err(failure) => Err(failure),
            };
            match rows {
                Err(failure) if error::is_broken(&failure) && tries.next().is_some() => {}
                rows => return rows.map_err(error::failed),
            }
        }
    }

    async fn read_on(&self, connection: &mut Connection, query: Query<'_>) -> Result<Vec<Row>, Failure> {
        #[cfg(feature = "postgres")]
        if let Pools::Postgres { sessions: sessions @ Sessions::Lent, .. } = self.pools {
            connection.begin(sessions::begin(sessions, self.timeout)).await?;
            let rows = connection.fetch(query).await;
            match &rows {
                Ok(_) => connection.commit().await?,
                Err(_) => connection.rollback().await,
            }
            return rows;
        }
        connection.fetch(query).await
    }

    /// Begins a transaction. On a broken connection nothing has begun, and the next one is tried.
    pub(crate) async fn begin(&self) -> Result<Change, Failure> {
        let turn = self.turn(Lane::Change).await?;
        let mut tries = 1..TRIES;
        loop {
            match self.begin_once(&turn).await {
                Err(failure) if error::is_broken(&failure) && tries.next().is_some() => {}
                begun => return begun,
            }
        }
    }

    async fn begin_once(&self, turn: &Arc<OwnedSemaphorePermit>) -> Result<Change, Failure> {
        let mut connection = self.connect(Lane::Change, turn).await?;
        match &self.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { files, .. } => {
                connection.begin("BEGIN IMMEDIATE".to_owned()).await?;
                files.look()?;
                Ok(Change { connection, files: Some(Arc::clone(files)) })
            }
            #[cfg(feature = "postgres")]
            Pools::Postgres { sessions, .. } => {
                connection.begin(sessions::begin(*sessions, self.timeout)).await?;
                Ok(Change {
                    connection,
                    #[cfg(feature = "sqlite")]
                    files: None,
                })
            }
        }
    }

    /// Runs `work` in a transaction, which is committed if it succeeds and otherwise rolled back before this returns.
    pub(crate) async fn change<T>(
        &self,
        work: impl AsyncFnOnce(&mut Change) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut change = self.begin().await.map_err(error::failed)?;
        match work(&mut change).await {
            Ok(done) => change.commit().await.map_err(error::commit_failed).map(|()| done),
            Err(failure) => {
                change.rollback().await;
                Err(error::failed(failure))
            }
        }
    }

    async fn turn(&self, lane: Lane) -> Result<Arc<OwnedSemaphorePermit>, Failure> {
        match timeout(self.timeout, self.lanes.take(lane)).await {
            Ok(turn) => turn.map(Arc::new).ok_or(Failure::Database(sqlx::Error::PoolClosed)),
            Err(_) => Err(Failure::Late("no connection was free")),
        }
    }

    pub(crate) async fn connect(&self, lane: Lane, turn: &Arc<OwnedSemaphorePermit>) -> Result<Connection, Failure> {
        let acquired = async {
            match &self.pools {
                #[cfg(feature = "sqlite")]
                Pools::Sqlite { writer, readers, files } => {
                    files.glance()?;
                    let pool = if lane == Lane::Change { writer } else { readers };
                    Ok(Link::Sqlite(pool.acquire().await?))
                }
                #[cfg(feature = "postgres")]
                Pools::Postgres { pool, .. } => {
                    // Any connection is fine.
                    let _ = lane;
                    Ok(Link::Postgres(pool.acquire().await?))
                }
            }
        };
        let link = timeout(self.timeout, acquired).await.unwrap_or(Err(Failure::Late("no connection was made")))?;
        // The database times out first and gives the reason.
        let patience = self.timeout.saturating_add(self.timeout / 4);
        #[cfg(feature = "postgres")]
        let keeps_plans = !matches!(self.pools, Pools::Postgres { sessions: Sessions::Lent, .. });
        #[cfg(not(feature = "postgres"))]
        let keeps_plans = true;
        Ok(Connection::new(link, patience, keeps_plans, Arc::clone(turn)))
    }

    pub(crate) async fn close(&self) {
        match &self.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            #[cfg(feature = "postgres")]
            Pools::Postgres { pool, is_own, .. } => {
                if *is_own {
                    // A listener that waits hears of the end.
                    let deaf = async { *self.ear.lock().await = crate::ear::Ear::deaf() };
                    tokio::join!(pool.close(), deaf);
                }
            }
        }
    }
}

impl Change {
    pub(crate) async fn fetch(&mut self, query: Query<'_>) -> Result<Vec<Row>, Failure> {
        self.connection.fetch(query).await
    }

    /// Returns the number of changed rows.
    pub(crate) async fn execute(&mut self, query: Query<'_>) -> Result<u64, Failure> {
        self.connection.execute(query).await
    }

    /// Runs several statements without values.
    pub(crate) async fn run(&mut self, sql: String) -> Result<(), Failure> {
        self.connection.run(sql).await
    }

    /// Turns a missed time limit into an error.
    pub(crate) async fn commit(mut self) -> Result<(), Failure> {
        self.connection.commit().await?;
        #[cfg(feature = "sqlite")]
        if let Some(files) = &self.files {
            files.look()?;
        }
        Ok(())
    }

    /// Rolls back before it returns.
    pub(crate) async fn rollback(mut self) {
        self.connection.rollback().await;
    }
}
