//! The store as the checker models it: one primary, and perhaps a deposed one that still answers reads.

use std::time::Duration;

use apikey_fleet::{Beat, Change, Mark, NodeId, NodeRow, Nonce, OwnRow, Revision, Snapshot, Statement, Sweep};

use crate::scope::{Mutant, Scope};

/// What a change does: whether it revokes the one key there is.
pub(crate) type Revokes = bool;

/// One server's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) log: Log,
    /// In the order of their ids.
    pub(crate) rows: Vec<NodeRow>,
}

/// The changes of a server. Revisions are small, so sets of them are words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Log {
    /// The latest revision.
    pub(crate) head: u8,
    /// Which revisions are committed.
    committed: u8,
    /// Which of them revoke the key.
    revokes: u8,
    /// Which of them lets it in again, or zero.
    enables: u8,
    /// Up to where the log is pruned.
    pruned: u8,
    /// Which histories there were before: restoring begins another.
    history: u8,
}

impl Log {
    const NEW: Self = Log { head: 0, committed: 1, revokes: 0, enables: 0, pruned: 0, history: 0 };

    pub(crate) fn is_revoked(&self) -> bool {
        self.revokes != 0 && self.enables == 0
    }

    pub(crate) fn enable(&mut self) {
        self.commit(self.head + 1, false);
        self.enables = self.head;
    }

    pub(crate) fn is_restored(&self) -> bool {
        self.history != 0
    }

    pub(crate) fn is_prunable(&self) -> bool {
        self.pruned != self.head
    }

    pub(crate) fn prune(&mut self) {
        self.pruned = self.head;
    }

    pub(crate) fn commit(&mut self, revision: u8, revokes: Revokes) {
        self.head = self.head.max(revision);
        self.committed |= 1 << revision;
        self.revokes |= u8::from(revokes) << revision;
    }

    fn mark(&self, revision: u8) -> Mark {
        // The backup has the nonce of the state it was taken of.
        let history = if revision == 0 { 0 } else { self.history };
        Mark { revision: Revision::new(revision.into()), nonce: Nonce::new(u128::from(history * 16 + revision)) }
    }

    fn has(&self, mark: Mark) -> bool {
        let is_it = |revision: u8| self.mark(revision) == mark;
        is_it(self.head) || (0..self.head).any(|revision| self.is_listed(revision) && is_it(revision))
    }

    fn is_listed(&self, revision: u8) -> bool {
        self.committed & 1 << revision != 0 && (revision > self.pruned || self.pruned == 0)
    }
}

impl Server {
    pub(crate) fn new(is_revoked: bool) -> Self {
        Server { log: Log { revokes: is_revoked.into(), ..Log::NEW }, rows: Vec::new() }
    }

    /// Goes back to before the first change, and begins another history.
    pub(crate) fn restore(&mut self) {
        self.log = Log { history: 1, revokes: self.log.revokes & 1, ..Log::NEW };
        self.rows.iter_mut().for_each(|row| row.applied = Revision::ZERO);
    }

    pub(crate) fn row(&self, id: NodeId) -> Option<&NodeRow> {
        self.rows.iter().find(|row| row.id == id)
    }

    fn row_mut(&mut self, id: NodeId) -> Option<&mut NodeRow> {
        self.rows.iter_mut().find(|row| row.id == id)
    }

    pub(crate) fn delete(&mut self, id: NodeId) {
        self.rows.retain(|row| row.id != id);
    }

    pub(crate) fn sweep(&mut self, scope: &Scope, sweep: Sweep) {
        self.rows.retain(|row| row.id != sweep.id || (row.beat != sweep.beat && !scope.is(Mutant::SweepIgnoresBeat)));
    }

    /// Executes what writes.
    pub(crate) fn write(&mut self, scope: &Scope, statement: Statement) {
        match statement {
            Statement::Beat { id, lease, beat, replaces } => {
                if let Some(id) = replaces {
                    self.delete(id);
                }
                self.beat(scope, id, lease, beat);
            }
            Statement::Acknowledge { id, applied } => {
                if self.log.has(applied) && !scope.is(Mutant::NeverAcknowledges) {
                    self.acknowledge(id, applied.revision);
                }
            }
            Statement::Leave { id } => self.delete(id),
            Statement::Read { .. } => unreachable!("it does not write"),
        }
    }

    /// Raises what a node has applied, whatever its history.
    pub(crate) fn acknowledge(&mut self, id: NodeId, revision: Revision) {
        if let Some(row) = self.row_mut(id) {
            row.applied = row.applied.max(revision);
        }
    }

    fn beat(&mut self, scope: &Scope, id: NodeId, lease: Duration, beat: Beat) {
        match self.row_mut(id) {
            Some(row) => {
                row.lease = lease;
                row.beat = if scope.is(Mutant::BeatGoesBack) { beat } else { row.beat.max(beat) };
            }
            None => {
                self.rows.push(NodeRow { id, lease, applied: Revision::ZERO, beat });
                self.rows.sort_unstable_by_key(|row| row.id);
            }
        }
    }

    /// Answers [`Statement::Read`].
    pub(crate) fn read(&self, id: NodeId, since: Option<Revision>) -> Snapshot<Revokes> {
        let own = self.row(id).map(|row| OwnRow { beat: row.beat, applied: row.applied });
        let listed = |revision: &u8| {
            since.is_some_and(|since| since.get() <= u64::from(*revision)) && self.log.is_listed(*revision)
        };
        let change = |revision: u8| {
            let revokes = self.log.revokes & 1 << revision != 0;
            Change { mark: self.log.mark(revision), awaited: revokes, targets: revokes }
        };
        // Even a deposed primary takes itself for one.
        let changes = (0..=self.log.head).filter(listed).map(change).collect();
        Snapshot { head: self.log.mark(self.log.head), own, writable: true, changes }
    }

    /// The snapshot in a store where gaps don't show: changes that can't be read are taken for empty ones.
    pub(crate) fn read_without_gaps(&self, id: NodeId, applied: Option<Mark>) -> Snapshot<Revokes> {
        let mut snapshot = self.read(id, applied.map(|mark| mark.revision));
        let Some(applied) = applied.filter(|applied| applied.revision <= snapshot.head.revision) else {
            return snapshot;
        };
        let known = std::mem::take(&mut snapshot.changes);
        let numbers = applied.revision.get()..=snapshot.head.revision.get();
        snapshot.changes = numbers
            .map(|number| {
                let mark = Mark { revision: Revision::new(number), nonce: Nonce::new(0) };
                let blank = Change { mark, awaited: false, targets: false };
                known.iter().find(|change| change.mark.revision == mark.revision).copied().unwrap_or(blank)
            })
            .collect();
        snapshot.changes[0].mark = applied;
        if applied.revision == snapshot.head.revision {
            snapshot.head = applied;
        } else if let Some(last) = snapshot.changes.last_mut() {
            last.mark = snapshot.head;
        }
        snapshot
    }
}
