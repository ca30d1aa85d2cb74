//! Its history of changes, and the rows of nodes.

use std::time::Duration;

use apikey_fleet::{Beat, Mark, NodeId, NodeRow, Nonce, Revision, Sweep};
use apikey_manager::{FleetStore, KeyStore, MemoryStore, SeenNode, StoreError, StoreState};
use async_trait::async_trait;

use crate::{broken::Broken, fault::Fault};

impl Broken {
    fn inner_fleet(&self) -> &dyn FleetStore {
        self.inner.fleet()
    }

    async fn row(&self, id: NodeId) -> Option<NodeRow> {
        self.inner_fleet().nodes().await.unwrap().1.into_iter().find(|row| row.id == id)
    }
}

#[async_trait]
impl FleetStore for Broken {
    async fn beat(&self, id: NodeId, lease: Duration, beat: Beat, replaces: Option<NodeId>) -> Result<(), StoreError> {
        let replaces = replaces.filter(|_| !self.is(Fault::KeepsReplacedNodes));
        if self.is(Fault::BeatsFallBack) && self.row(id).await.is_some_and(|row| row.beat > beat) {
            self.inner_fleet().leave(id).await?;
        }
        self.inner_fleet().beat(id, lease, beat, replaces).await
    }

    async fn snapshot(&self, id: NodeId, since: Option<Revision>) -> Result<StoreState, StoreError> {
        let mut state = self.inner_fleet().snapshot(id, since).await?;
        let snapshot = &mut state.snapshot;
        match self.fault {
            Fault::HistoryForgetsInvalidations => {
                snapshot.changes.iter_mut().for_each(|change| change.targets.truncate(50));
            }
            Fault::HistoryHasGaps => snapshot.changes.retain(|change| !change.targets.is_empty()),
            Fault::NoncesRepeat => snapshot.changes.iter_mut().for_each(|change| change.mark.nonce = Nonce::new(1)),
            Fault::HistoryBeginsLate => drop(snapshot.changes.drain(..1.min(snapshot.changes.len()))),
            Fault::HeadLags => {
                snapshot.head.revision = Revision::new(snapshot.head.revision.get().saturating_sub(1));
            }
            _ => {}
        }
        Ok(state)
    }

    async fn acknowledge(&self, id: NodeId, applied: Mark) -> Result<(), StoreError> {
        match self.fault {
            Fault::AcknowledgesAnyHistory => {
                let head = self.inner_fleet().snapshot(id, None).await?.snapshot.head;
                self.inner_fleet().acknowledge(id, head).await
            }
            Fault::AcknowledgementsFallBack => {
                if let Some(row) = self.row(id).await {
                    self.inner_fleet().leave(id).await?;
                    self.inner_fleet().beat(id, row.lease, row.beat, None).await?;
                }
                self.inner_fleet().acknowledge(id, applied).await
            }
            _ => self.inner_fleet().acknowledge(id, applied).await,
        }
    }

    async fn leave(&self, id: NodeId) -> Result<(), StoreError> {
        self.inner_fleet().leave(id).await
    }

    async fn nodes(&self) -> Result<(Revision, Vec<NodeRow>), StoreError> {
        self.inner_fleet().nodes().await
    }

    async fn roster(&self) -> Result<(Revision, Vec<SeenNode>), StoreError> {
        let (head, mut nodes) = self.inner_fleet().roster().await?;
        match self.fault {
            Fault::RosterMixesNodes => {
                let mut silent: Vec<Duration> = nodes.iter().map(|seen| seen.silent).collect();
                silent.reverse();
                nodes.iter_mut().zip(silent).for_each(|(seen, silent)| seen.silent = silent);
            }
            Fault::RosterCountsEveryChange => {
                nodes.iter_mut().for_each(|seen| seen.behind = head.get() - seen.row.applied.get());
            }
            _ => {}
        }
        Ok((head, nodes))
    }

    async fn sweep(&self, sweep: Sweep) -> Result<bool, StoreError> {
        if self.is(Fault::SweepsTheLiving) {
            let is_there = self.row(sweep.id).await.is_some();
            self.inner_fleet().leave(sweep.id).await?;
            return Ok(is_there);
        }
        self.inner_fleet().sweep(sweep).await
    }

    fn is_shared(&self) -> bool {
        self.inner_fleet().is_shared()
    }

    async fn changed(&self, known: Revision) {
        match self.fault {
            Fault::HintsAtNothing => std::future::pending().await,
            _ => self.inner_fleet().changed(known).await,
        }
    }

    fn detached(&self) -> Box<dyn FleetStore> {
        match self.fault {
            Fault::DetachedIsAnother => MemoryStore::new().fleet().detached(),
            _ => self.inner_fleet().detached(),
        }
    }
}
