//! Divides the connections: lookups, changes and reads have a share each, so that none waits for another.
//!
//! Callers choose the cost of a read, such as a year of usage or a search. Requests with a key, and revocations, must
//! not queue behind reads.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Lookups of presented keys, and health checks.
    LookUp,
    /// Changes, and writes of usage.
    Change,
    /// Lists, sums and searches, including those of the sweep.
    Read,
}

/// The permits of each lane, first come, first served.
#[derive(Debug)]
pub(crate) struct Lanes {
    look_ups: Arc<Semaphore>,
    changes: Arc<Semaphore>,
    reads: Arc<Semaphore>,
}

impl Lanes {
    /// Divides `connections`: a third for lookups, a fifth for reads, the rest for changes. With fewer than three,
    /// each lane has one permit, and lanes may wait for each other.
    #[cfg(feature = "postgres")]
    pub(crate) fn of_server(connections: u32) -> Self {
        let (look_ups, reads) = ((connections / 3).max(1), (connections / 5).max(1));
        Lanes::new(look_ups, connections.saturating_sub(look_ups + reads).max(1), reads)
    }

    /// Divides one connection for changes and `readers`: a third of them for reads, the others for lookups.
    #[cfg(feature = "sqlite")]
    pub(crate) fn of_file(readers: u32) -> Self {
        let reads = (readers / 3).max(1);
        Lanes::new(readers.saturating_sub(reads).max(1), 1, reads)
    }

    fn new(look_ups: u32, changes: u32, reads: u32) -> Self {
        let lane = |connections: u32| Arc::new(Semaphore::new(connections as usize));
        Lanes { look_ups: lane(look_ups), changes: lane(changes), reads: lane(reads) }
    }

    /// Waits for a permit of `lane`. Never returns `None`, because lanes are never closed.
    pub(crate) async fn take(&self, lane: Lane) -> Option<OwnedSemaphorePermit> {
        Arc::clone(self.of(lane)).acquire_owned().await.ok()
    }

    #[cfg(test)]
    pub(crate) fn free(&self, lane: Lane) -> usize {
        self.of(lane).available_permits()
    }

    fn of(&self, lane: Lane) -> &Arc<Semaphore> {
        match lane {
            Lane::LookUp => &self.look_ups,
            Lane::Change => &self.changes,
            Lane::Read => &self.reads,
        }
    }
}

#[cfg(test)]
#[cfg(all(unix, feature = "sqlite", feature = "postgres"))]
mod tests {
    use std::path::Path;

    use apikey_testkit::PrivatePostgres;
    use tokio::task::yield_now;

    use super::*;
    use crate::{connection::Connection, database::Database, options::SqlOptions};

    fn sizes(lanes: &Lanes) -> [usize; 3] {
        [Lane::LookUp, Lane::Change, Lane::Read].map(|lane| lanes.free(lane))
    }

    #[test]
    fn given_numbers_of_connections_when_divided_then_each_lane_has_some_and_together_no_more() {
        let divided = [(1, [1, 1, 1]), (3, [1, 1, 1]), (4, [1, 2, 1]), (10, [3, 5, 2]), (12, [4, 6, 2])];
        for (connections, expected) in divided {
            assert_eq!(sizes(&Lanes::of_server(connections)), expected, "{connections}");
        }
        for (readers, expected) in [(1, [1, 1, 1]), (3, [2, 1, 1]), (6, [4, 1, 2])] {
            assert_eq!(sizes(&Lanes::of_file(readers)), expected, "{readers}");
        }
        for connections in 3..100 {
            assert_eq!(sizes(&Lanes::of_server(connections)).iter().sum::<usize>(), connections as usize);
        }
    }

    /// Takes all permits of a lane, and adds a waiter for one more.
    async fn fill(database: &Arc<Database>, lane: Lane) -> (Vec<Connection>, Vec<tokio::task::JoinHandle<()>>) {
        let mut had = Vec::new();
        while let Ok(turn) = Arc::clone(database.lanes.of(lane)).try_acquire_owned() {
            had.push(database.connect(lane, &Arc::new(turn)).await.unwrap());
        }
        let wait = |_| {
            let database = Arc::clone(database);
            tokio::spawn(async move {
                match lane {
                    Lane::LookUp => drop(database.look_up(database.names.query("SELECT 1")).await.unwrap()),
                    Lane::Change => database.begin().await.unwrap().rollback().await,
                    Lane::Read => drop(database.fetch(database.names.query("SELECT 1")).await.unwrap()),
                }
            })
        };
        let waiting: Vec<_> = (0..50).map(wait).collect();
        yield_now().await;
        (had, waiting)
    }

    async fn databases(folder: &Path) -> Vec<(&'static str, Database)> {
        let url = format!("sqlite:{}", folder.join("keys.db").display());
        let mut databases = vec![("sqlite", crate::sqlite::connect(&url, &SqlOptions::new()).await.unwrap())];
        if let Some(server) = PrivatePostgres::shared() {
            let url = server.create_database();
            let own = crate::postgres::connect(&url, &SqlOptions::new().max_connections(3)).await.unwrap();
            databases.push(("postgres", own));
            let pool = sqlx::postgres::PgPoolOptions::new().max_connections(10).connect(&url).await.unwrap();
            databases.push(("the pool of a service", crate::postgres::open(pool, &SqlOptions::new()).await.unwrap()));
        }
        databases
    }

    #[tokio::test]
    async fn given_one_lane_that_is_full_when_others_are_asked_then_they_do_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        for (name, database) in databases(folder.path()).await {
            let database = Arc::new(database);
            for full in [Lane::LookUp, Lane::Change, Lane::Read] {
                let (had, waiting) = fill(&database, full).await;
                for _ in 0..20 {
                    if full != Lane::LookUp {
                        database.look_up(database.names.query("SELECT 1")).await.unwrap();
                    }
                    if full != Lane::Change {
                        database.begin().await.unwrap().commit().await.unwrap();
                    }
                    if full != Lane::Read {
                        database.fetch(database.names.query("SELECT 1")).await.unwrap();
                    }
                }
                assert!(waiting.iter().all(|waiting| !waiting.is_finished()), "{name}: {full:?}");
                drop(had);
                for waited in waiting {
                    waited.await.unwrap();
                }
            }
        }
    }
}
