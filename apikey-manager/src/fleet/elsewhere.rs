//! For tests: a store where another server than the one that was written to tells which rows there are.

use std::time::Duration;

use apikey_fleet::{Beat, Mark, NodeId, NodeRow, Revision, Sweep};
use async_trait::async_trait;

use crate::{
    MemoryStore,
    store::{FleetStore, SeenNode, StoreError, StoreState},
};

#[derive(Debug)]
pub(super) struct Elsewhere {
    pub(super) written: MemoryStore,
    pub(super) read: MemoryStore,
}

#[async_trait]
impl FleetStore for Elsewhere {
    async fn beat(&self, id: NodeId, lease: Duration, beat: Beat, replaces: Option<NodeId>) -> Result<(), StoreError> {
        self.written.beat(id, lease, beat, replaces).await
    }

    async fn snapshot(&self, id: NodeId, since: Option<Revision>) -> Result<StoreState, StoreError> {
        self.written.snapshot(id, since).await
    }

    async fn acknowledge(&self, id: NodeId, applied: Mark) -> Result<(), StoreError> {
        self.written.acknowledge(id, applied).await
    }

    async fn leave(&self, id: NodeId) -> Result<(), StoreError> {
        self.written.leave(id).await
    }

    async fn nodes(&self) -> Result<(Revision, Vec<NodeRow>), StoreError> {
        self.read.nodes().await
    }

    async fn roster(&self) -> Result<(Revision, Vec<SeenNode>), StoreError> {
        self.read.roster().await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<bool, StoreError> {
        self.written.sweep(sweep).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn changed(&self, known: Revision) {
        self.read.changed(known).await;
    }

    fn detached(&self) -> Box<dyn FleetStore> {
        Box::new(Elsewhere { written: self.written.clone(), read: self.read.clone() })
    }
}
