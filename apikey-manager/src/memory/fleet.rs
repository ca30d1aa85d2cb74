//! The history of changes, and the nodes that follow it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use apikey_core::Timestamp;
use apikey_fleet::{Beat, Change, Mark, NodeId, NodeRow, Nonce, OwnRow, Revision, Snapshot, Sweep};
use async_trait::async_trait;
use tokio::time::Instant;

use super::MemoryStore;
use crate::store::{FleetStore, Invalidation, SeenNode, StoreError, StoreState};

/// The most changes that are kept. A node that is further behind joins anew.
const MOST_CHANGES: usize = 4_096;

pub(super) struct History {
    /// The latest changes, oldest first.
    changes: VecDeque<Change<Vec<Invalidation>>>,
    /// Each with the time of its latest beat.
    nodes: BTreeMap<NodeId, (NodeRow, Instant)>,
}

impl Default for History {
    fn default() -> Self {
        let mut history = History { changes: VecDeque::new(), nodes: BTreeMap::new() };
        history.add(0, Vec::new());
        history
    }
}

impl History {
    pub(super) fn add(&mut self, revision: u64, targets: Vec<Invalidation>) {
        let mark = Mark { revision: Revision::new(revision), nonce: nonce() };
        self.changes.push_back(Change { mark, awaited: !targets.is_empty(), targets });
        while self.changes.len() > MOST_CHANGES {
            self.changes.pop_front();
        }
    }

    fn head(&self) -> Mark {
        let beginning = Mark { revision: Revision::ZERO, nonce: Nonce::new(0) };
        self.changes.back().map_or(beginning, |change| change.mark)
    }

    fn since(&self, revision: Option<Revision>) -> Vec<Change<Vec<Invalidation>>> {
        let Some(revision) = revision else { return Vec::new() };
        self.changes.iter().filter(|change| change.mark.revision >= revision).cloned().collect()
    }
}

/// A store in memory has one history, which nothing else can resemble: without randomness, nonces are only distinct.
fn nonce() -> Nonce {
    let mut bytes = [0; 16];
    let _ = getrandom::fill(&mut bytes);
    Nonce::new(u128::from_be_bytes(bytes))
}

#[async_trait]
impl FleetStore for MemoryStore {
    async fn beat(&self, id: NodeId, lease: Duration, beat: Beat, replaces: Option<NodeId>) -> Result<(), StoreError> {
        let nodes = &mut self.write().history.nodes;
        let now = Instant::now();
        let (row, beaten) = nodes.entry(id).or_insert((NodeRow { id, lease, applied: Revision::ZERO, beat }, now));
        if row.beat < beat {
            (row.beat, *beaten) = (beat, now);
        }
        if let Some(replaced) = replaces {
            nodes.remove(&replaced);
        }
        Ok(())
    }

    async fn snapshot(&self, id: NodeId, since: Option<Revision>) -> Result<StoreState, StoreError> {
        let history = &self.read().history;
        let own = history.nodes.get(&id).map(|(row, _)| OwnRow { beat: row.beat, applied: row.applied });
        let snapshot = Snapshot { head: history.head(), own, writable: true, changes: history.since(since) };
        Ok(StoreState::new(snapshot, Timestamp::now()))
    }

    async fn acknowledge(&self, id: NodeId, applied: Mark) -> Result<(), StoreError> {
        let history = &mut self.write().history;
        let is_ours = history.changes.iter().any(|change| change.mark == applied) || history.head() == applied;
        if let Some((row, _)) = history.nodes.get_mut(&id).filter(|_| is_ours) {
            row.applied = row.applied.max(applied.revision);
        }
        Ok(())
    }

    async fn leave(&self, id: NodeId) -> Result<(), StoreError> {
        self.write().history.nodes.remove(&id);
        Ok(())
    }

    async fn nodes(&self) -> Result<(Revision, Vec<NodeRow>), StoreError> {
        let history = &self.read().history;
        Ok((history.head().revision, history.nodes.values().map(|(row, _)| *row).collect()))
    }

    async fn roster(&self) -> Result<(Revision, Vec<SeenNode>), StoreError> {
        let history = &self.read().history;
        let behind = |row: &NodeRow| {
            let is_owed = |change: &&Change<_>| change.awaited && change.mark.revision > row.applied;
            history.changes.iter().filter(is_owed).count() as u64
        };
        let seen = |(row, beaten): &(NodeRow, Instant)| SeenNode::new(*row, behind(row), beaten.elapsed());
        Ok((history.head().revision, history.nodes.values().map(seen).collect()))
    }

    async fn sweep(&self, Sweep { id, beat }: Sweep) -> Result<bool, StoreError> {
        let nodes = &mut self.write().history.nodes;
        let is_seen = nodes.get(&id).is_some_and(|(row, _)| row.beat == beat);
        if is_seen {
            nodes.remove(&id);
        }
        Ok(is_seen)
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn changed(&self, known: Revision) {
        while self.read().history.head().revision == known {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn detached(&self) -> Box<dyn FleetStore> {
        Box::new(self.clone())
    }
}
