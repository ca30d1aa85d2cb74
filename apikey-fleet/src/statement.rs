//! What a node asks of the store, and what the store answers to the one question that matters.

use std::time::Duration;

use crate::{Beat, Change, Mark, NodeId, OwnRow, Revision};

/// A statement for the store. The list is closed: a driver executes every one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statement {
    /// Writes the node's row and commits it durably, like a change of a key.
    ///
    /// A row that exists keeps its `applied`, and its beat becomes the greater of its own and `beat`: a statement may be
    /// executed long after it was given up. A row that doesn't exist begins with `applied` zero. The row of `replaces` is
    /// deleted in the same transaction.
    Beat {
        /// Whose row it is.
        id: NodeId,
        /// How long a lease may last.
        lease: Duration,
        /// Which renewal this is.
        beat: Beat,
        /// The id that this process had before, under which it holds no lease any more.
        replaces: Option<NodeId>,
    },
    /// Reads a [`Snapshot`] in one statement, begun after the answer to [`Statement::Beat`].
    Read {
        /// Whose row to read.
        id: NodeId,
        /// The changes from this one on, itself included. Without it, none are needed.
        since: Option<Revision>,
    },
    /// Raises `applied` of the node's row to this revision, if the change at this revision still has this nonce.
    ///
    /// It needs no durable commit and no answer: it states what remains true, and is repeated until it is read back.
    Acknowledge {
        /// Whose row it is.
        id: NodeId,
        /// What was applied.
        applied: Mark,
    },
    /// Deletes the node's row.
    Leave {
        /// Whose row it is.
        id: NodeId,
    },
}

/// The answer to [`Statement::Read`]: everything as of one moment, from one server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot<T> {
    /// The latest change.
    pub head: Mark,
    /// The node's own row, if there is one.
    pub own: Option<OwnRow>,
    /// Whether the server accepts writes. One that is read-only or recovering is not the primary.
    pub writable: bool,
    /// The changes asked for, in order.
    pub changes: Vec<Change<T>>,
}
