//! What several processes on one database tell each other through it: which keys have changed, and who has heard of it.
//!
//! `apikey-fleet` has the protocol. A store executes its statements.

use std::{fmt, time::Duration};

use apikey_core::{Authenticator, KeyDigest, KeyId, OrganizationId, Timestamp};
use apikey_fleet::{Beat, Mark, NodeId, NodeRow, Revision, Snapshot, Sweep};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// What a change means for keys that processes have cached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Invalidation {
    /// The key is rejected, and its requests end.
    Key(KeyId),
    /// One secret of the key is rejected, and its requests end.
    Secret(KeyId, KeyDigest),
    /// The end of one secret has moved, also for requests under way.
    End(KeyId, KeyDigest, Option<Timestamp>),
    /// The key is loaded again.
    Changed(KeyId),
    /// Every key of the organization is loaded again. It stands for many targets.
    Organization(OrganizationId),
    /// Refused keys may be valid now.
    Refused,
}

/// The answer to [`FleetStore::snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreState {
    /// The history, and the node's own row.
    pub snapshot: Snapshot<Vec<Invalidation>>,
    /// The store's clock at that moment.
    pub time: Timestamp,
}

/// A node as an operator sees it, in [`FleetStore::roster`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenNode {
    /// Its row.
    pub row: NodeRow,
    /// The number of changes that it has not acknowledged, of those that somebody waits for.
    pub behind: u64,
    /// How long ago its latest beat was written, by the store's clock. It decides nothing: clocks may be set.
    pub silent: Duration,
}

impl Invalidation {
    /// Ends in the cache what this ends, except for an organization's keys, which the caller has to doubt.
    pub(crate) fn apply_to(&self, authenticator: &Authenticator) {
        match self {
            Invalidation::Key(key) => authenticator.revoke(key),
            Invalidation::Secret(key, digest) => authenticator.revoke_secret(key, digest),
            Invalidation::Changed(key) => authenticator.refresh(key),
            Invalidation::End(key, digest, ends_at) => authenticator.end_at(key, Some(digest), *ends_at),
            Invalidation::Refused => authenticator.forget_refused(),
            Invalidation::Organization(_) => {}
        }
    }
}

impl StoreState {
    /// Creates the answer.
    #[must_use]
    pub fn new(snapshot: Snapshot<Vec<Invalidation>>, time: Timestamp) -> Self {
        StoreState { snapshot, time }
    }
}

impl SeenNode {
    /// Creates the answer.
    #[must_use]
    pub fn new(row: NodeRow, behind: u64, silent: Duration) -> Self {
        SeenNode { row, behind, silent }
    }
}

/// The part of a store that processes agree through.
///
/// Each method is one statement or one transaction. [`Statement`](apikey_fleet::Statement) says what each must do.
///
/// # Errors
///
/// Every method fails with a [`StoreError`] when the store can't answer or doesn't know whether it has.
#[async_trait]
pub trait FleetStore: fmt::Debug + Send + Sync + 'static {
    /// Writes a node's row and commits it durably; see [`Statement::Beat`](apikey_fleet::Statement::Beat).
    async fn beat(&self, id: NodeId, lease: Duration, beat: Beat, replaces: Option<NodeId>) -> Result<(), StoreError>;

    /// Reads the history from `since` on and the row of `id`, all as of one moment and from one server; see
    /// [`Statement::Read`](apikey_fleet::Statement::Read).
    async fn snapshot(&self, id: NodeId, since: Option<Revision>) -> Result<StoreState, StoreError>;

    /// Raises what a node has applied; see [`Statement::Acknowledge`](apikey_fleet::Statement::Acknowledge). A mark of
    /// another history changes nothing.
    async fn acknowledge(&self, id: NodeId, applied: Mark) -> Result<(), StoreError>;

    /// Deletes a node's row, if there is one.
    async fn leave(&self, id: NodeId) -> Result<(), StoreError>;

    /// Returns the latest revision and the rows of all nodes, as of one moment.
    async fn nodes(&self) -> Result<(Revision, Vec<NodeRow>), StoreError>;

    /// Returns the latest revision and all nodes for an operator, as of one moment. It is a read like a list, which neither
    /// lookups nor changes wait for.
    async fn roster(&self) -> Result<(Revision, Vec<SeenNode>), StoreError>;

    /// Deletes the row of a node if it still has the beat that was seen. Returns `false` if it has not.
    async fn sweep(&self, sweep: Sweep) -> Result<bool, StoreError>;

    /// Returns `true` if other processes can open the same store. A manager then keeps in step with them.
    fn is_shared(&self) -> bool;

    /// Waits until the latest revision seems to be another than `known`. It is a hint that a renewal will find something:
    /// it may complete for nothing, and be late. If the store fails, it waits on.
    ///
    /// It may be dropped and called again at any time.
    async fn changed(&self, known: Revision);

    /// Returns the same store on connections of its own, which are opened by the runtime that polls them.
    ///
    /// A process renews on a thread of its own, so that a stalled runtime costs no lease.
    fn detached(&self) -> Box<dyn FleetStore>;
}
