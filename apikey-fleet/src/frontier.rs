//! How much of the history the cache reflects, and which answers of the store may still be used.

use crate::Revision;

/// The newest revision that this process knows of. It stands beside the cache, under the cache's lock.
///
/// ```
/// use apikey_fleet::{Frontier, Revision};
///
/// let mut frontier = Frontier::default();
/// assert!(frontier.begin_load().is_none(), "nothing may be loaded before the node has joined");
/// frontier.join(Revision::new(7));
/// let load = frontier.begin_load().unwrap();
/// assert!(load.accepts(Revision::new(7)));
/// assert!(!load.accepts(Revision::new(6)), "the answer of a server that has fallen behind");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frontier {
    joined: bool,
    floor: Revision,
}

impl Frontier {
    /// The node has joined at `revision`, for the first time or once more, and the cache is empty.
    pub fn join(&mut self, revision: Revision) {
        self.joined = true;
        self.raise(revision);
    }

    /// The node has lost its place in the history. What it knew of revisions counts no more.
    pub fn forget(&mut self) {
        *self = Frontier::default();
    }

    /// The cache reflects every change up to `revision`, or a change of this very process that has this revision.
    ///
    /// Call it in the critical section that ends what the change ends.
    pub fn raise(&mut self, revision: Revision) {
        self.floor = self.floor.max(revision);
    }

    /// Returns the newest revision that this process knows of. [`Node::begin`](crate::Node::begin) asks for it.
    #[must_use]
    pub const fn floor(&self) -> Revision {
        self.floor
    }

    /// Returns what a load needs that begins now, or `None` while the node has not joined.
    ///
    /// The order is: the cache's version, then this, then the question to the store.
    #[must_use]
    pub fn begin_load(&self) -> Option<Load> {
        self.joined.then_some(Load { floor: self.floor })
    }
}

/// A question to the store about one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    floor: Revision,
}

impl Load {
    /// Returns `true` if an answer read at `revision` may be used, whether it is a key or the lack of one.
    ///
    /// An older answer comes from a server that has been deposed or that lags. It is an error of the store, not a refusal.
    #[must_use]
    pub fn accepts(self, revision: Revision) -> bool {
        revision >= self.floor
    }
}
