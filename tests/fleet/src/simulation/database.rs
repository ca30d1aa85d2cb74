//! The simulated database: keys, the log of changes, and rows of nodes.

use std::collections::BTreeMap;

use apikey_fleet::{Change, Mark, NodeId, NodeRow, Nonce, OwnRow, Revision, Snapshot, Statement};

/// Which of a few keys.
pub(super) type Key = usize;

/// A state of a key. Each change of any key has a greater one, also across histories.
pub(super) type Version = u64;

#[derive(Clone, Debug)]
pub(super) struct Database {
    pub(super) head: Mark,
    /// By revision, from the first that isn't pruned.
    log: BTreeMap<u64, Change<Key>>,
    pub(super) rows: BTreeMap<NodeId, NodeRow>,
    pub(super) keys: Vec<Version>,
}

impl Database {
    pub(super) fn new(keys: usize, nonce: u128) -> Self {
        let head = Mark { revision: Revision::ZERO, nonce: Nonce::new(nonce) };
        // The log has an entry for the state before any change, so that who joins there finds it again.
        let log = BTreeMap::from([(0, Change { mark: head, awaited: false, targets: 0 })]);
        Database { head, log, rows: BTreeMap::new(), keys: vec![0; keys] }
    }

    /// Commits a change of a key.
    pub(super) fn commit(&mut self, key: Key, version: Version, awaited: bool, nonce: u128) -> Revision {
        let revision = Revision::new(self.head.revision.get() + 1);
        self.head = Mark { revision, nonce: Nonce::new(nonce) };
        self.log.insert(revision.get(), Change { mark: self.head, awaited, targets: key });
        self.keys[key] = version;
        revision
    }

    /// The latest version of any key.
    pub(super) fn newest(&self) -> Version {
        self.keys.iter().copied().max().unwrap_or(0)
    }

    pub(super) fn prune(&mut self, kept: u64) {
        self.log = self.log.split_off(&(self.head.revision.get().saturating_sub(kept)));
    }

    pub(super) fn write(&mut self, statement: Statement) {
        match statement {
            Statement::Beat { id, lease, beat, replaces } => {
                if let Some(id) = replaces {
                    self.rows.remove(&id);
                }
                let new = NodeRow { id, lease, applied: Revision::ZERO, beat };
                let row = self.rows.entry(id).or_insert(new);
                row.beat = row.beat.max(beat);
            }
            Statement::Acknowledge { id, applied } => {
                let logged = self.log.get(&applied.revision.get()).map(|change| change.mark);
                if logged == Some(applied) || self.head == applied {
                    self.rows.entry(id).and_modify(|row| row.applied = row.applied.max(applied.revision));
                }
            }
            Statement::Leave { id } => drop(self.rows.remove(&id)),
            Statement::Read { .. } => unreachable!("it does not write"),
        }
    }

    pub(super) fn read(&self, id: NodeId, since: Option<Revision>) -> Snapshot<Key> {
        let own = self.rows.get(&id).map(|row| OwnRow { beat: row.beat, applied: row.applied });
        let changes = since.map(|since| self.log.range(since.get()..).map(|(_, change)| *change).collect());
        Snapshot { head: self.head, own, writable: true, changes: changes.unwrap_or_default() }
    }
}
