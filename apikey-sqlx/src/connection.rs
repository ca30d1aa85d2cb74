//! A borrowed connection, which returns to its pool only in a known state.
//!
//! Databases roll back by themselves after some errors: SQLite on a full or failing disk, PostgreSQL on a lost
//! connection. sqlx counts transactions on its own side and doesn't notice, so its transactions are not used: `BEGIN`,
//! `COMMIT` and `ROLLBACK` are plain statements. After an unexpected answer the connection is closed, which rolls back
//! on either database.

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, pool::PoolConnection};
use tokio::{
    runtime::Handle,
    sync::OwnedSemaphorePermit,
    time::{error::Elapsed, timeout},
};

use crate::{
    error::{Failure, is_broken},
    query::{Query, Value},
    row::Row,
};

/// A connection and its permit.
pub(crate) struct Connection {
    /// `None` once it is closed or returned.
    link: Option<Link>,
    state: State,
    patience: Duration,
    /// `false` if statements must not have names, by which their plans would be kept.
    keeps_plans: bool,
    turn: Arc<OwnedSemaphorePermit>,
}

pub(crate) enum Link {
    #[cfg(feature = "sqlite")]
    Sqlite(PoolConnection<sqlx::Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(PoolConnection<sqlx::Postgres>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is no transaction.
    Idle,
    /// A transaction is open, and all of its statements succeeded.
    Changing,
    /// A transaction is open, and the database reported a failed statement.
    Failed,
    /// A statement is unanswered, or the connection is broken.
    Unknown,
}

/// A query of sqlx for the connection's database.
macro_rules! sqlx_query {
    ($query:expr) => {{
        let Query { sql, values, is_kept, .. } = $query;
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(is_kept);
        for value in values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Digest(digest) => query.bind(Some(digest.to_vec())),
                Value::NoDigest => query.bind(None::<Vec<u8>>),
                #[cfg(feature = "postgres")]
                value => bind_list!(query, value),
            };
        }
        query
    }};
}

/// Only PostgreSQL has arrays.
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

impl Connection {
    /// `patience` is the time limit of a statement.
    pub(crate) fn new(link: Link, patience: Duration, keeps_plans: bool, turn: Arc<OwnedSemaphorePermit>) -> Self {
        Connection { link: Some(link), state: State::Idle, patience, keeps_plans, turn }
    }

    pub(crate) async fn fetch(&mut self, mut query: Query<'_>) -> Result<Vec<Row>, Failure> {
        if query.has_nul() {
            return Ok(Vec::new());
        }
        query.is_kept &= self.keeps_plans;
        let Asked { link, patience, before } = self.ask()?;
        let answer = timeout(patience, link.fetch(query)).await;
        self.hear(before, answer)
    }

    /// Returns the number of changed rows.
    pub(crate) async fn execute(&mut self, mut query: Query<'_>) -> Result<u64, Failure> {
        if query.has_nul() {
            let reason = "text with a NUL character can't be stored";
            return Err(Failure::Database(sqlx::Error::Encode(reason.into())));
        }
        query.is_kept &= self.keeps_plans;
        let Asked { link, patience, before } = self.ask()?;
        let answer = timeout(patience, link.execute(query)).await;
        self.hear(before, answer)
    }

    /// Runs several statements without values.
    pub(crate) async fn run(&mut self, sql: String) -> Result<(), Failure> {
        let Asked { link, patience, before } = self.ask()?;
        let answer = timeout(patience, link.run(sql)).await;
        self.hear(before, answer)
    }

    pub(crate) async fn begin(&mut self, sql: String) -> Result<(), Failure> {
        // Set before the answer: of several statements, the first may have run when another fails.
        self.state = State::Changing;
        self.run(sql).await
    }

    /// Commits if all statements succeeded. On an error the change is rolled back or the connection closed; the error
    /// tells whether the commit may have happened.
    pub(crate) async fn commit(&mut self) -> Result<(), Failure> {
        let committed = self.run("COMMIT".to_owned()).await;
        match committed {
            Ok(()) => self.state = State::Idle,
            Err(_) => self.rollback().await,
        }
        committed
    }

    /// Rolls the change back before it returns. If that fails, as it does if SQLite has rolled back by itself, the
    /// connection is closed.
    pub(crate) async fn rollback(&mut self) {
        if matches!(self.state, State::Changing | State::Failed) {
            self.state = State::Unknown;
            self.undo().await;
        }
    }

    async fn undo(&mut self) {
        let Some(link) = &mut self.link else { return };
        match timeout(self.patience, link.run("ROLLBACK".to_owned())).await {
            Ok(Ok(())) => self.state = State::Idle,
            Ok(Err(error)) => tracing::debug!(target: "apikey", %error, "the connection of a change is closed"),
            Err(_) => {
                tracing::debug!(target: "apikey", "the connection of a change is closed: it was not rolled back in time")
            }
        }
    }

    /// Returns the connection for one statement. Its state is unknown until the answer is [heard](Connection::hear). If
    /// the caller is dropped, that never happens.
    fn ask(&mut self) -> Result<Asked<'_>, Failure> {
        match (&mut self.link, self.state) {
            (Some(link), before @ (State::Idle | State::Changing)) => {
                self.state = State::Unknown;
                Ok(Asked { link, patience: self.patience, before })
            }
            _ => Err(Failure::Over),
        }
    }

    fn hear<T>(&mut self, before: State, answer: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, Failure> {
        let result = answer.map_err(|_| Failure::Late("no answer came")).and_then(|answer| Ok(answer?));
        self.state = match &result {
            Ok(_) => before,
            Err(failure @ Failure::Database(sqlx::Error::Database(_))) if !is_broken(failure) => match before {
                State::Idle => State::Idle,
                _ => State::Failed,
            },
            Err(_) => State::Unknown,
        };
        result
    }
}

/// A connection for one statement, and its state before.
struct Asked<'c> {
    link: &'c mut Link,
    patience: Duration,
    before: State,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        let (patience, keeps_plans, turn) = (self.patience, self.keeps_plans, Arc::clone(&self.turn));
        // Pools take connections back in a task.
        let Ok(runtime) = Handle::try_current() else { return link.close_now() };
        match self.state {
            State::Idle => drop(link),
            State::Changing | State::Failed => {
                let mut changed = Connection { link: Some(link), state: State::Unknown, patience, keeps_plans, turn };
                runtime.spawn(async move { changed.undo().await });
            }
            State::Unknown => link.close(&runtime, turn),
        }
    }
}

impl Link {
    async fn fetch(&mut self, query: Query<'_>) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(link) => {
                let rows = sqlite_query!(query).fetch_all(&mut **link).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            #[cfg(feature = "postgres")]
            Link::Postgres(link) => {
                let rows = postgres_query!(query).fetch_all(&mut **link).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    async fn execute(&mut self, query: Query<'_>) -> Result<u64, sqlx::Error> {
        match self {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(link) => Ok(sqlite_query!(query).execute(&mut **link).await?.rows_affected()),
            #[cfg(feature = "postgres")]
            Link::Postgres(link) => Ok(postgres_query!(query).execute(&mut **link).await?.rows_affected()),
        }
    }

    async fn run(&mut self, sql: String) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(link) => sql.execute(&mut **link).await.map(drop),
            #[cfg(feature = "postgres")]
            Link::Postgres(link) => sql.execute(&mut **link).await.map(drop),
        }
    }

    fn close(self, runtime: &Handle, turn: Arc<OwnedSemaphorePermit>) {
        match self {
            // Its thread runs the statement to the end, even without a waiter. The permit is kept until then; otherwise
            // abandoned statements would occupy ever more threads.
            #[cfg(feature = "sqlite")]
            Link::Sqlite(link) => drop(runtime.spawn(async move {
                let _ = link.close().await;
                drop(turn);
            })),
            // The server ends the statement by itself, and the connection may receive nothing any more.
            #[cfg(feature = "postgres")]
            Link::Postgres(_) => {
                let _ = (runtime, turn);
                self.close_now();
            }
        }
    }

    /// Closes the connection without telling the server.
    fn close_now(self) {
        match self {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(link) => drop(link.detach()),
            #[cfg(feature = "postgres")]
            Link::Postgres(link) => drop(link.detach()),
        }
    }
}

#[cfg(test)]
#[cfg(all(unix, feature = "sqlite", feature = "postgres"))]
mod tests {
    use apikey_testkit::PrivatePostgres;
    use tempfile::TempDir;

    use super::*;
    use crate::{
        database::{Change, Database},
        lanes::Lane,
        options::SqlOptions,
    };

    /// Creates a table `t` that contains 1.
    struct Bed {
        name: &'static str,
        database: Database,
        _folder: Option<TempDir>,
    }

    impl Bed {
        async fn all() -> Vec<Self> {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", folder.path().join("keys.db").display());
            let options = SqlOptions::new().timeout(Duration::from_secs(1));
            let database = crate::sqlite::connect(&url, &options).await.unwrap();
            let mut beds = vec![Bed { name: "sqlite", database, _folder: Some(folder) }];
            if let Some(server) = PrivatePostgres::shared() {
                let options = SqlOptions::new().timeout(Duration::from_secs(1));
                let database = crate::postgres::connect(&server.create_database(), &options).await.unwrap();
                beds.push(Bed { name: "postgres", database, _folder: None });
            }
            for bed in &beds {
                let mut change = bed.begin().await;
                change.run("CREATE TABLE t (n BIGINT PRIMARY KEY); INSERT INTO t VALUES (1)".to_owned()).await.unwrap();
                change.commit().await.unwrap();
            }
            beds
        }

        async fn begin(&self) -> Change {
            self.database.begin().await.unwrap()
        }

        /// Returns all numbers in the table.
        async fn numbers(&self) -> Vec<i64> {
            let query = self.database.names.query("SELECT n FROM t ORDER BY n");
            let rows = self.database.fetch(query).await.unwrap();
            rows.iter().map(|row| row.get("n").unwrap()).collect()
        }

        /// A statement that fails and makes SQLite roll back by itself.
        fn failing(&self) -> &'static str {
            match self.name {
                "sqlite" => "INSERT OR ROLLBACK INTO t VALUES (1)",
                _ => "INSERT INTO t VALUES (1)",
            }
        }

        /// A statement that outlasts the time limit.
        fn slow(&self) -> &'static str {
            match self.name {
                "sqlite" => {
                    "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 6000000) \
                     SELECT max(n) FROM c"
                }
                _ => "SET LOCAL statement_timeout = 0; SELECT pg_sleep(3)",
            }
        }
    }

    fn insert(bed: &Bed, n: i64) -> Query<'_> {
        bed.database.names.query("INSERT INTO t VALUES ($1)").bind(n)
    }

    #[tokio::test]
    async fn given_a_statement_that_failed_when_more_follow_then_none_is_done_and_nothing_is_committed() {
        for bed in Bed::all().await {
            for ending in ["commit", "rollback", "drop"] {
                let mut change = bed.begin().await;
                change.execute(insert(&bed, 2)).await.unwrap();
                change.run(bed.failing().to_owned()).await.unwrap_err();
                // On SQLite this would commit at once, because there is no transaction any more.
                assert!(matches!(change.execute(insert(&bed, 3)).await, Err(Failure::Over)), "{}", bed.name);
                assert!(matches!(change.fetch(bed.database.names.query("SELECT n FROM t")).await, Err(Failure::Over)));
                match ending {
                    "commit" => assert!(matches!(change.commit().await, Err(Failure::Over)), "{}", bed.name),
                    "rollback" => change.rollback().await,
                    _ => drop(change),
                }
                let mut next = bed.begin().await;
                next.execute(insert(&bed, 4)).await.unwrap();
                next.rollback().await;
                assert_eq!(bed.numbers().await, [1], "{}: {ending}", bed.name);
            }
        }
    }

    #[tokio::test]
    async fn given_a_commit_that_the_database_refuses_when_changed_again_then_the_connection_is_a_sound_one() {
        for bed in Bed::all().await {
            let mut change = bed.begin().await;
            let deferred = match bed.name {
                "sqlite" => "CREATE TABLE d (n BIGINT REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)",
                _ => "CREATE TABLE d (n BIGINT REFERENCES t (n) INITIALLY DEFERRED)",
            };
            change.run(deferred.to_owned()).await.unwrap();
            change.commit().await.unwrap();
            for _ in 0..3 {
                let mut change = bed.begin().await;
                change.execute(insert(&bed, 2)).await.unwrap();
                change.run("INSERT INTO d VALUES (9)".to_owned()).await.unwrap();
                assert!(matches!(change.commit().await, Err(Failure::Database(_))), "{}", bed.name);
                assert_eq!(bed.numbers().await, [1], "{}", bed.name);
            }
            let mut change = bed.begin().await;
            change.execute(insert(&bed, 2)).await.unwrap();
            change.commit().await.unwrap();
            assert_eq!(bed.numbers().await, [1, 2], "{}", bed.name);
        }
    }

    #[tokio::test]
    async fn given_a_statement_that_is_given_up_when_changed_again_then_another_connection_is_had() {
        for bed in Bed::all().await {
            for (n, is_cancelled) in [(2, false), (3, true)] {
                let mut change = bed.begin().await;
                change.execute(insert(&bed, n)).await.unwrap();
                let slow = change.run(bed.slow().to_owned());
                match is_cancelled {
                    false => assert!(matches!(slow.await, Err(Failure::Late(_))), "{}", bed.name),
                    true => assert!(timeout(Duration::from_millis(20), slow).await.is_err(), "{}", bed.name),
                }
                assert!(matches!(change.execute(insert(&bed, 4)).await, Err(Failure::Over)), "{}", bed.name);
                assert!(matches!(change.commit().await, Err(Failure::Over)), "{}", bed.name);
                let next = loop {
                    match bed.database.begin().await {
                        Ok(next) => break next,
                        // The thread that runs it has the only permit.
                        Err(Failure::Late(_)) if bed.name == "sqlite" => {}
                        Err(failure) => panic!("{}: {failure}", bed.name),
                    }
                };
                next.commit().await.unwrap();
                assert_eq!(bed.numbers().await, [1], "{}", bed.name);
            }
        }
    }

    #[tokio::test]
    async fn given_a_read_of_a_file_that_is_given_up_when_its_thread_is_still_at_it_then_its_turn_is_not_another_s() {
        let bed = Bed::all().await.remove(0);
        let turns = bed.database.lanes.free(Lane::Read);
        for _ in 0..turns {
            let slow = bed.database.names.query(bed.slow());
            assert!(bed.database.fetch(slow).await.is_err_and(|error| error.is_unavailable()));
        }
        assert_eq!(bed.database.lanes.free(Lane::Read), 0);
        bed.database.look_up(bed.database.names.query("SELECT 1")).await.unwrap();
        while bed.database.lanes.free(Lane::Read) < turns {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(bed.numbers().await, [1]);
    }

    #[tokio::test]
    async fn given_a_runtime_that_ends_when_changes_are_under_way_then_they_are_undone() {
        for bed in Bed::all().await {
            let (mut idle, mut begun) = (Vec::new(), Vec::new());
            begun.push(bed.begin().await);
            begun[0].execute(insert(&bed, 2)).await.unwrap();
            let turn = Arc::new(Arc::new(tokio::sync::Semaphore::new(1)).acquire_owned().await.unwrap());
            idle.push(bed.database.connect(Lane::Read, &turn).await.unwrap());
            // On a thread without a runtime.
            std::thread::spawn(move || drop((idle, begun))).join().unwrap();
            bed.begin().await.commit().await.unwrap();
            assert_eq!(bed.numbers().await, [1], "{}", bed.name);
        }
    }
}
