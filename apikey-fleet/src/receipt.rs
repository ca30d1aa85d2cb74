//! From a committed change to the certainty that every node follows it.

use crate::{Moment, NodeId, NodeRow, Revision, Settings};

/// What whoever committed a change waits for.
///
/// It begins when the answer to the commit is there. If the outcome of a commit is unknown there is nothing to wait for: end in
/// the own cache what the change ends, and report an error. Whoever repeats a change that has already been made commits it
/// once more and waits like the first, since the first one may have failed before its receipt.
///
/// ```
/// use std::time::Duration;
/// use apikey_fleet::{Beat, Moment, NodeId, NodeRow, Progress, Revision, Wait};
///
/// let second = |seconds: u64| Moment::from_nanos(seconds * 1_000_000_000);
/// let row = |id, applied| NodeRow {
///     id: NodeId::new(id),
///     lease: Duration::from_secs(10),
///     applied: Revision::new(applied),
///     beat: Beat::new(1),
/// };
/// let mut wait = Wait::new(Revision::new(7), second(100), None);
/// assert!(!wait.answer(Revision::new(6), &[]), "a server that doesn't know the change");
/// assert!(wait.answer(Revision::new(7), &[row(1, 7), row(2, 6), row(3, 6)]));
/// assert!(wait.awaited().eq([NodeId::new(2), NodeId::new(3)]));
/// // Node 1 has acknowledged. The others are asked for again until they have, or until their leases have ended.
/// assert_eq!(wait.progress(second(100)), Progress::Waiting { until: Moment::from_nanos(112_500_000_000) });
/// assert!(wait.answer(Revision::new(7), &[row(1, 7), row(2, 7), row(3, 6)]));
/// let Progress::Done(receipt) = wait.progress(Moment::from_nanos(112_500_000_000)) else { unreachable!() };
/// assert_eq!((receipt.nodes, receipt.waited_out), (3, vec![NodeId::new(3)]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wait {
    revision: Revision,
    since: Moment,
    own: Option<NodeId>,
    nodes: usize,
    /// Whom to wait for, and until when at most; `None` before the first answer.
    awaited: Option<Vec<(NodeId, Moment)>>,
}

/// How far a [`Wait`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The rows have not been read yet.
    Unread,
    /// Some nodes have neither acknowledged nor left. Read the rows again soon, and look again at this moment at the latest.
    Waiting {
        /// When the next lease has ended.
        until: Moment,
    },
    /// No node answers by what was true before the change.
    Done(Receipt),
}

/// No request that arrives from now on, at any node, is answered by what was true before the change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The change's revision.
    pub at: Revision,
    /// How many nodes there were.
    pub nodes: usize,
    /// Nodes whose leases have ended without a sign of life. They let no request in, but what they were answering goes on
    /// until they wake.
    pub waited_out: Vec<NodeId>,
}

impl Wait {
    /// Begins to wait for `revision`.
    ///
    /// `now` is read after the answer to the commit. `own` is the id of the node in this process, whose cache has already ended
    /// what the change ends, and whose frontier was raised.
    #[must_use]
    pub const fn new(revision: Revision, now: Moment, own: Option<NodeId>) -> Self {
        Wait { revision, since: now, own, nodes: 0, awaited: None }
    }

    /// Takes the rows of all nodes, read in one statement that began after the answer to the commit, and the latest revision
    /// that the server had in the same statement.
    ///
    /// Returns `false` if the server doesn't know the change yet. Ask again.
    pub fn answer(&mut self, head: Revision, rows: &[NodeRow]) -> bool {
        if head < self.revision {
            return false;
        }
        let lags = |row: &NodeRow| row.applied < self.revision && Some(row.id) != self.own;
        match &mut self.awaited {
            None => {
                let end = |row: &NodeRow| (row.id, self.since.saturating_add(Settings::drift(row.lease)));
                self.awaited = Some(rows.iter().filter(|row| lags(row)).map(end).collect());
                self.nodes = rows.len();
            }
            // A node that came later read the change when it joined.
            Some(awaited) => awaited.retain(|(id, _)| rows.iter().any(|row| row.id == *id && lags(row))),
        }
        true
    }

    /// Returns the nodes that are waited for; none before the first answer.
    pub fn awaited(&self) -> impl Iterator<Item = NodeId> {
        self.awaited.iter().flatten().map(|(id, _)| *id)
    }

    /// Returns how far the wait is. `now` is a reading of the same clock as before.
    #[must_use]
    pub fn progress(&self, now: Moment) -> Progress {
        let Some(awaited) = &self.awaited else { return Progress::Unread };
        match awaited.iter().map(|(_, end)| *end).filter(|end| now < *end).min() {
            Some(until) => Progress::Waiting { until },
            None => Progress::Done(Receipt {
                at: self.revision,
                nodes: self.nodes,
                waited_out: awaited.iter().map(|(id, _)| *id).collect(),
            }),
        }
    }
}
