//! A process that says that it is the only one on its database, so that it needs no lease.
//!
//! Its row has a lease of zero. A process that joins looks for such a row after it has written its own, and this one
//! looks for others after it has written this: one of the two sees the other and serves nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use apikey_fleet::{Beat, NodeId, NodeRow, Sighting, Sweep};
use tokio::runtime::Handle;

use super::{clock, node::node_id, state::State};
use crate::store::{KeyStore, StoreError};

const TRIES_EVERY: Duration = Duration::from_secs(1);

pub(super) fn is_alone(row: &NodeRow) -> bool {
    row.lease.is_zero()
}

/// Opens the state once no other process is there.
pub(super) fn spawn(state: Arc<State>, store: Arc<dyn KeyStore>, runtime: &Handle) {
    runtime.spawn(async move {
        let (mut own, mut sightings) = (None, HashMap::new());
        while !state.is_stopped() {
            let began = clock::now();
            match claim(store.as_ref(), &mut own, &mut sightings).await {
                Ok(true) => {
                    state.open_for_ever();
                    break;
                }
                Ok(false) => {
                    let why = "other processes are on the database, and this one is to be alone";
                    tracing::error!(target: "apikey", why, "no request is accepted");
                    state.fail(began, why.to_owned());
                }
                Err(error) => state.fail(began, error.described()),
            }
            let _ = tokio::time::timeout(TRIES_EVERY, state.woken()).await;
        }
        while !state.is_stopped() {
            state.woken().await;
        }
        if let Some(id) = own {
            let _ = store.fleet().leave(id).await;
        }
        state.leave();
    });
}

/// Returns `false` if there are others. A row of the same kind was left by a process that was killed, and so was that of a
/// process which can hold no lease any more. If that one was only stopped, it finds this row when it wakes.
async fn claim(
    store: &dyn KeyStore,
    own: &mut Option<NodeId>,
    sightings: &mut HashMap<NodeId, Sighting>,
) -> Result<bool, StoreError> {
    let id = match *own {
        Some(id) => id,
        None => *own.insert(node_id()?),
    };
    let fleet = store.fleet();
    fleet.beat(id, Duration::ZERO, Beat::new(1), None).await?;
    let (_, rows) = fleet.nodes().await?;
    let now = clock::now();
    let mut has_others = false;
    for row in rows.iter().filter(|row| !is_alone(row)) {
        let sighting = sightings.entry(row.id).or_insert_with(|| Sighting::new(row, now));
        let is_gone = match sighting.look(row, now) {
            Some(sweep) => fleet.sweep(sweep).await?,
            None => false,
        };
        has_others |= !is_gone;
    }
    if has_others {
        fleet.leave(id).await?;
        return Ok(false);
    }
    for row in rows.iter().filter(|row| row.id != id) {
        fleet.sweep(Sweep { id: row.id, beat: row.beat }).await?;
    }
    Ok(true)
}
