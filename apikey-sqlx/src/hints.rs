//! Hints that something has changed, so that a process need not wait for its next renewal. Nothing depends on them.
//!
//! SQLite is asked for its revision every few milliseconds, which costs less than a thousandth of a processor.
//! PostgreSQL notifies, unless a pooler or a proxy loses the notifications; then it is asked, too. A session that a pooler
//! lends must not listen: the notifications would reach whoever has it next.

use std::time::Duration;

use apikey_fleet::Revision;

use crate::database::{Database, Pools};
#[cfg(feature = "postgres")]
use crate::{ear::Ear, sessions::Sessions};

#[cfg(feature = "sqlite")]
const FILE_ASKED_EVERY: Duration = Duration::from_millis(20);
#[cfg(feature = "postgres")]
const SERVER_ASKED_EVERY: Duration = Duration::from_millis(250);
/// One for all schemas of a database: a hint too many does no harm.
#[cfg(feature = "postgres")]
const CHANNEL: &str = "apikey_change";
#[cfg(feature = "postgres")]
const HEARD_WITHIN: Duration = Duration::from_millis(500);

pub(crate) async fn changed(database: &Database, known: Revision) {
    match &database.pools {
        #[cfg(feature = "sqlite")]
        Pools::Sqlite { .. } => poll(database, known, FILE_ASKED_EVERY).await,
        #[cfg(feature = "postgres")]
        Pools::Postgres { sessions: Sessions::Lent, .. } => poll(database, known, SERVER_ASKED_EVERY).await,
        #[cfg(feature = "postgres")]
        Pools::Postgres { pool, .. } => {
            let mut ear = database.ear.lock().await;
            if matches!(*ear, Ear::Untested) {
                *ear = listen(database, pool).await;
            }
            match &mut *ear {
                // What was committed before this began to listen is not heard.
                Ear::Hears(_) if differs(database, known).await => {}
                Ear::Hears(listener) => {
                    if !matches!(listener.try_recv().await, Ok(Some(_))) {
                        *ear = Ear::Untested;
                    }
                }
                _ => poll(database, known, SERVER_ASKED_EVERY).await,
            }
        }
    }
}

async fn poll(database: &Database, known: Revision, every: Duration) {
    while !differs(database, known).await {
        tokio::time::sleep(every).await;
    }
}

async fn differs(database: &Database, known: Revision) -> bool {
    let rows = database.look_up(database.names.query("SELECT revision FROM @fleet")).await.unwrap_or_default();
    rows.first().and_then(|row| row.get::<u64>("revision").ok()).is_some_and(|revision| revision != known.get())
}

/// Tells other processes of a committed change.
pub(crate) async fn tell(database: &Database) {
    match &database.pools {
        #[cfg(feature = "sqlite")]
        Pools::Sqlite { .. } => {}
        #[cfg(feature = "postgres")]
        Pools::Postgres { .. } => {
            // Its failure delays them until their next renewals.
            let _ = database.look_up(database.names.query("SELECT pg_notify($1, '')").bind(CHANNEL)).await;
        }
    }
}

/// Listens, and finds out whether a notification arrives.
#[cfg(feature = "postgres")]
async fn listen(database: &Database, pool: &sqlx::PgPool) -> Ear {
    let tested = async {
        let mut listener = sqlx::postgres::PgListener::connect_with(pool).await.ok()?;
        listener.listen(CHANNEL).await.ok()?;
        tell(database).await;
        listener.recv().await.ok()?;
        Some(listener)
    };
    match tokio::time::timeout(HEARD_WITHIN, tested).await {
        Ok(Some(listener)) => Ear::Hears(listener),
        // A server that could not be reached is tried again.
        Ok(None) => Ear::Untested,
        Err(_) => {
            tracing::info!(target: "apikey", "no notification arrives, so the server is asked for changes instead");
            Ear::Deaf
        }
    }
}
