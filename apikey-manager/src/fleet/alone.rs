//! A process that says that it is the only one on its database, so that it needs no lease.
//!
//! Its row has a lease of zero. A process that joins looks for such a row after it has written its own, and this one
//! looks for others after it has written this: one of the two sees the other and serves nothing.
//!
//! It need not ask again. But from time to time it looks whether its row is still there, since a database that was restored
//! lacks the row, or changes that this process knows of.

use std::{collections::HashMap, sync::Arc, time::Duration};

use apikey_core::WeakAuthenticator;
use apikey_fleet::{Beat, NodeId, NodeRow, Sighting, Sweep};
use tokio::{runtime::Handle, time::timeout};

use super::{
    clock,
    node::{has_row, node_id},
    recheck::Recheck,
    state::State,
};
use crate::store::{FleetStore, KeyStore, StoreError};

const TRIES_EVERY: Duration = Duration::from_secs(1);
const LOOKS_EVERY: Duration = Duration::from_secs(60);
/// It renews nothing.
const BEAT: Beat = Beat::new(1);

pub(super) fn is_alone(row: &NodeRow) -> bool {
    row.lease.is_zero()
}

/// What the task serves.
pub(super) struct Served {
    pub(super) state: Arc<State>,
    pub(super) store: Arc<dyn KeyStore>,
    pub(super) recheck: Recheck,
    pub(super) authenticator: WeakAuthenticator,
    pub(super) runtime: Handle,
}

/// Opens the state once no other process is there.
pub(super) fn spawn(served: Served) {
    let runtime = served.runtime.clone();
    runtime.spawn(async move { served.run().await });
}

impl Served {
    async fn run(self) {
        let (state, fleet) = (&self.state, self.store.fleet());
        let (mut own, mut sightings) = (None, HashMap::new());
        while !state.is_stopped() {
            let began = clock::now();
            match claim(fleet, &mut own, &mut sightings).await {
                Ok(Some(id)) => {
                    state.open_for_ever();
                    self.watch(id).await;
                    if !state.is_stopped() {
                        self.close();
                    }
                    // Also where the row seems to be gone, and another server has it.
                    let _ = fleet.leave(id).await;
                    own = None;
                    continue;
                }
                Ok(None) => {
                    let why = "other processes are on the database, and this one is to be alone";
                    tracing::error!(target: "apikey", why, "no request is accepted");
                    state.fail(began, why.to_owned());
                }
                Err(error) => state.fail(began, error.described()),
            }
            // Requests wait for the next try. They don't cause one.
            let _ = timeout(TRIES_EVERY, state.stopped()).await;
        }
        if let Some(id) = own {
            let _ = fleet.leave(id).await;
        }
        state.leave();
    }

    /// Waits until this process is to leave, or knows more than the database. A database that doesn't answer changes nothing.
    async fn watch(&self, own: NodeId) {
        while timeout(LOOKS_EVERY, self.state.stopped()).await.is_err() {
            let known = self.state.floor().newest();
            if let Ok((head, rows)) = self.store.fleet().nodes().await
                && (head < known || !has_row(&rows, own, BEAT))
            {
                return;
            }
        }
    }

    fn close(&self) {
        self.state.withdraw();
        self.state.floor().forget();
        if let Some(authenticator) = self.authenticator.upgrade() {
            self.recheck.add(authenticator.doubt(None));
        }
        tracing::warn!(
            target: "apikey",
            "the database has been restored, or lacks this process's row, and all keys are looked up again"
        );
    }
}

/// Returns the id of this process's row, or `None` if there are others. A row of the same kind was left by a process that was
/// killed, and so was that of a process which can hold no lease any more. If that one was only stopped, it finds this row when
/// it wakes.
async fn claim(
    fleet: &dyn FleetStore,
    own: &mut Option<NodeId>,
    sightings: &mut HashMap<NodeId, Sighting>,
) -> Result<Option<NodeId>, StoreError> {
    // Members' changes would have no receipts while the row is there, so it is not written in vain.
    let (_, rows) = fleet.nodes().await?;
    if has_others(fleet, &rows, sightings).await? {
        // An earlier try may have written it.
        if let Some(id) = own.take() {
            fleet.leave(id).await?;
        }
        return Ok(None);
    }
    let id = match *own {
        Some(id) => id,
        None => *own.insert(node_id()?),
    };
    fleet.beat(id, Duration::ZERO, BEAT, None).await?;
    // Whoever has joined before this row was written is seen now.
    let (_, rows) = fleet.nodes().await?;
    if !has_row(&rows, id, BEAT) {
        return Err(StoreError::unavailable("the server does not have the row that was just written"));
    }
    if has_others(fleet, &rows, sightings).await? {
        fleet.leave(id).await?;
        return Ok(None);
    }
    for row in rows.iter().filter(|row| row.id != id) {
        fleet.sweep(Sweep { id: row.id, beat: row.beat }).await?;
    }
    Ok(Some(id))
}

/// Deletes rows of processes that can hold no lease any more, and returns `true` if there are others that are not alone.
async fn has_others(
    fleet: &dyn FleetStore,
    rows: &[NodeRow],
    sightings: &mut HashMap<NodeId, Sighting>,
) -> Result<bool, StoreError> {
    let (now, mut has_others) = (clock::now(), false);
    for row in rows.iter().filter(|row| !is_alone(row)) {
        let sighting = sightings.entry(row.id).or_insert_with(|| Sighting::new(row, now));
        let is_gone = match sighting.look(row, now) {
            Some(sweep) => fleet.sweep(sweep).await?,
            None => false,
        };
        has_others |= !is_gone;
    }
    Ok(has_others)
}

#[cfg(test)]
mod tests {
    use apikey_core::Authenticator;
    use apikey_fleet::Revision;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::{MemoryStore, fleet::elsewhere::Elsewhere, floor::Floor, resolver::StoreResolver};

    /// Starts a process that is to be alone.
    fn start(store: &MemoryStore) -> (Arc<State>, Authenticator) {
        let store: Arc<dyn KeyStore> = Arc::new(store.clone());
        let (floor, runtime) = (Arc::<Floor>::default(), Handle::current());
        let resolver = Arc::new(StoreResolver::new(Arc::clone(&store), Arc::clone(&floor), runtime.clone()));
        let authenticator = Authenticator::builder(Arc::clone(&resolver)).build().unwrap();
        let state = State::new(floor);
        let recheck = Recheck::new(resolver, authenticator.downgrade(), runtime.clone());
        let (served_state, served) = (Arc::clone(&state), authenticator.downgrade());
        spawn(Served { state: served_state, store, recheck, authenticator: served, runtime });
        (state, authenticator)
    }

    async fn ids(store: &MemoryStore) -> Vec<NodeId> {
        store.nodes().await.unwrap().1.iter().map(|row| row.id).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_member_when_requests_come_then_tries_to_be_alone_are_a_second_apart() {
        let store = MemoryStore::new();
        let member = NodeId::new(7);
        store.beat(member, Duration::from_secs(300), Beat::new(1), None).await.unwrap();
        let (state, _authenticator) = start(&store);
        let begun = Instant::now();
        for _ in 0..5 {
            assert!(!state.regain().await);
        }
        assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
        store.leave(member).await.unwrap();
        assert!(state.regain().await);
        state.stop();
        state.has_left().await;
        assert!(ids(&store).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_restored_database_when_it_lacks_the_row_or_a_change_then_a_process_that_is_alone_begins_anew() {
        let store = MemoryStore::new();
        let (state, _authenticator) = start(&store);
        assert!(state.regain().await);
        let first = ids(&store).await;
        sleep(3 * LOOKS_EVERY).await;
        assert_eq!(ids(&store).await, first, "nothing has happened");

        store.leave(first[0]).await.unwrap();
        sleep(LOOKS_EVERY + TRIES_EVERY).await;
        let second = ids(&store).await;
        assert!(second.len() == 1 && second != first);

        state.floor().raise(Revision::new(9));
        sleep(LOOKS_EVERY + TRIES_EVERY).await;
        let third = ids(&store).await;
        assert!(third.len() == 1 && third != second);
        assert_eq!(state.floor().newest(), Revision::ZERO, "lookups are answered again");
        assert!(state.is_open(clock::now()) && state.floor().begin_load().is_some());
        state.stop();
        state.has_left().await;
    }

    #[tokio::test]
    async fn given_another_server_that_tells_of_rows_when_claimed_then_nothing_is_known() {
        let fleet = Elsewhere { written: MemoryStore::new(), read: MemoryStore::new() };
        let claimed = claim(&fleet, &mut None, &mut HashMap::new()).await;
        assert!(claimed.unwrap_err().described().contains("just written"));
    }
}
