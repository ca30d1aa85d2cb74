//! Who may have a connection: look-ups, changes and reads have a part each, so that none of them waits for another.
//!
//! Reads cost what their caller asks for, a year of usage or a search; a request that presents a key, and the revocation
//! of one, must not stand in line with them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What requests wait for: which keys were presented, and whether the database answers.
    LookUp,
    /// Changes, and what is counted.
    Change,
    /// Lists, sums and searches, for people and for the sweep.
    Read,
}

/// How many of each may have a connection at once. Whoever came first is served first.
#[derive(Debug)]
pub(crate) struct Lanes {
    look_ups: Arc<Semaphore>,
    changes: Arc<Semaphore>,
    reads: Arc<Semaphore>,
}

impl Lanes {
    /// Lanes for `connections` that any of them may have: two fifths for look-ups, a fifth for reads, the rest for
    /// changes. Of fewer than three connections each lane has one, and waits for the others where it must.
    #[cfg(feature = "postgres")]
    pub(crate) fn of_server(connections: u32) -> Self {
        let (look_ups, reads) = ((2 * connections / 5).max(1), (connections / 5).max(1));
        Lanes::new(look_ups, connections.saturating_sub(look_ups + reads).max(1), reads)
    }

    /// Lanes for one connection that changes a file, and `readers` that read it: a third of them for reads, the others for
    /// look-ups.
    #[cfg(feature = "sqlite")]
    pub(crate) fn of_file(readers: u32) -> Self {
        let reads = (readers / 3).max(1);
        Lanes::new(readers.saturating_sub(reads).max(1), 1, reads)
    }

    fn new(look_ups: u32, changes: u32, reads: u32) -> Self {
        let lane = |connections: u32| Arc::new(Semaphore::new(connections as usize));
        Lanes { look_ups: lane(look_ups), changes: lane(changes), reads: lane(reads) }
    }

    /// Waits for a turn in `lane`.
    pub(crate) async fn take(&self, lane: Lane) -> Option<OwnedSemaphorePermit> {
        let lane = match lane {
            Lane::LookUp => &self.look_ups,
            Lane::Change => &self.changes,
            Lane::Read => &self.reads,
        };
        Arc::clone(lane).acquire_owned().await.ok()
    }
}
