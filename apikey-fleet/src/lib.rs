//! How several processes on one database agree that a key is revoked, without messages between them.
//!
//! Each process (a *node*) holds a lease: until the lease ends, it may answer from its cache. It renews the lease by writing
//! a row of its own and then reading which changes were committed. Whoever commits a change looks at the rows, and waits for
//! each node until that node has applied the change, has left, or can hold no lease any more. Then it has a receipt: no node
//! answers by what was true before.
//!
//! This crate is the protocol alone. It has no clock, no socket, no thread and no dependency: readings of a clock and the
//! store's answers go in, statements and effects come out. The same code runs under a driver, under an exhaustive search of
//! its states, and in a simulation.
//!
//! ```
//! use apikey_fleet::{Effect, Lease, Mark, Moment, Node, NodeId, Nonce, OwnRow, Revision, Settings, Snapshot, Statement};
//!
//! let mut node = Node::new(Settings::new(), NodeId::new(1));
//! // The first statement of a renewal writes the node's row.
//! let Statement::Beat { beat, .. } = node.begin(Moment::from_nanos(0), Revision::ZERO) else { unreachable!() };
//! // The second one, sent once the first was answered, reads what has changed.
//! assert!(matches!(node.beaten(), Some(Statement::Read { since: None, .. })));
//! let snapshot = Snapshot::<()> {
//!     head: Mark { revision: Revision::new(7), nonce: Nonce::new(0xfeed) },
//!     own: Some(OwnRow { beat, applied: Revision::ZERO }),
//!     writable: true,
//!     changes: Vec::new(),
//! };
//! let effects = node.read(snapshot, || NodeId::new(2)).unwrap();
//! // The node empties its cache, holds a lease, lets requests go on that waited for one, and says that it has joined.
//! assert_eq!(effects[0], Effect::Flush { joined: Some(Revision::new(7)) });
//! assert!(matches!(effects[1], Effect::Hold(lease) if lease.covers(Moment::from_nanos(9_499_999_999))));
//! assert!(matches!(effects[2], Effect::Release { .. }));
//! assert!(matches!(effects[3], Effect::Ask(Statement::Acknowledge { .. })));
//! ```
//!
//! # The parts
//!
//! - [`Node`] renews: [`begin`](Node::begin), [`beaten`](Node::beaten), [`read`](Node::read). [`Schedule`] says when.
//! - [`Lease`] is asked by every request, after the clock was read and before the cache is. A request without one becomes an
//!   [`Arrival`] and waits for a renewal that began after it came.
//! - [`Frontier`] stands beside the cache, under the same lock. A [`Load`] takes its floor from it, and refuses an answer that
//!   a server gave which has fallen behind.
//! - [`Wait`] leads from a committed change to its [`Receipt`].
//! - [`Sighting`] finds rows of nodes that ended without leaving.
//!
//! # What the store must do
//!
//! It is one linearizable primary; another server takes over only if it has every acknowledged commit. Each change takes the
//! next [`Revision`] and a new random [`Nonce`] as the last lock of its transaction, and is committed durably. The log of changes
//! may be pruned at its old end at any time; a node that needs what is gone joins anew. It begins with an empty change at
//! [`Revision::ZERO`].
//! [`Statement`] says what each statement does. A database that is restored from a backup stays closed for the longest lease
//! of any node.
//!
//! # What clocks must do
//!
//! A node's clock and the clock of whoever waits for it may differ in rate by a quarter ([`Settings::drift`]). They must not
//! stand still while the machine sleeps: `CLOCK_BOOTTIME` on Linux. Wall clocks play no part.

mod frontier;
mod history;
mod lease;
mod moment;
mod node;
mod receipt;
mod row;
mod schedule;
mod settings;
mod sighting;
mod statement;

pub use crate::{
    frontier::{Frontier, Load},
    history::{Change, Mark, Nonce, Revision},
    lease::{Arrival, Lease},
    moment::Moment,
    node::{Effect, Node, Uncounted},
    receipt::{Progress, Receipt, Wait},
    row::{Beat, NodeId, NodeRow, OwnRow},
    schedule::Schedule,
    settings::{InvalidLease, Settings},
    sighting::{Sighting, Sweep},
    statement::{Snapshot, Statement},
};
