//! The rows by which nodes know of each other.

use std::time::Duration;

use crate::Revision;

/// The name of a node between its joining and its leaving: 128 random bits.
///
/// A process draws one when it starts and one whenever it has lost its place in the history of changes. Two nodes of one id
/// would speak for each other, so an id is never configured and never kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u128);

impl NodeId {
    /// The id with these bits.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        NodeId(bits)
    }

    /// Returns the bits.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

/// Counts the renewals that a node has begun.
///
/// It only grows, and is signed because columns are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Beat(i64);

impl Beat {
    /// The beat with this number.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Beat(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Beat(self.0.saturating_add(1))
    }
}

/// A node's row, as whoever waits or sweeps reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeRow {
    /// Whose it is.
    pub id: NodeId,
    /// How long a lease may last. It never changes for an id.
    pub lease: Duration,
    /// Up to where the node has acknowledged changes; [`Revision::ZERO`] if it hasn't yet.
    pub applied: Revision,
    /// The latest renewal that the node has begun.
    pub beat: Beat,
}

/// What a node reads of its own row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnRow {
    /// The latest renewal that was written.
    pub beat: Beat,
    /// Up to where this node's acknowledgements were written.
    pub applied: Revision,
}
