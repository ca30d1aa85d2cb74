//! One node: how it joins, renews its lease, applies changes, loses its place and leaves.

use std::fmt;

use crate::{Beat, Change, Lease, Mark, Moment, NodeId, Revision, Settings, Snapshot, Statement, history};

/// The part of a node that renews. One thread owns it.
///
/// A renewal is two statements in a row, and it counts only as a whole:
///
/// 1. [`begin`](Node::begin) with a reading of the clock; execute the [`Statement::Beat`];
/// 2. [`beaten`](Node::beaten); execute the [`Statement::Read`];
/// 3. [`read`](Node::read); do what the [`Effect`]s say, in their order.
///
/// If anything fails or takes longer than [`Settings::patience`], close the connection and begin again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    settings: Settings,
    id: NodeId,
    /// The id before this one, until its row is known to be gone.
    replaces: Option<NodeId>,
    beat: Beat,
    /// Up to where the cache reflects the history; `None` before the node has joined.
    applied: Option<Mark>,
    /// The latest revision applied that somebody may wait for.
    awaited: Revision,
    /// Until when the renewals so far allow to use the cache.
    lease: Lease,
    renewal: Renewal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Renewal {
    None,
    /// The row is being written.
    Beating(Begun),
    /// The snapshot is being read.
    Reading(Begun),
}

/// What was read when a renewal began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Begun {
    at: Moment,
    /// The newest revision that the process knew of.
    floor: Revision,
}

/// What a renewal does, in this order. The list is closed: a driver does every one of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<T> {
    /// From now on there is no lease.
    Withdraw,
    /// Empties the cache of keys and refusals; no load that is under way may fill it. In the same critical section the
    /// [`Frontier`](crate::Frontier) [joins](crate::Frontier::join) at this revision, or [forgets](crate::Frontier::forget).
    Flush {
        /// Where the node has joined, for the first time or once more; `None` if it has lost its place.
        joined: Option<Revision>,
    },
    /// Ends in the cache what these changes end. In the same critical section the frontier is
    /// [raised](crate::Frontier::raise) to this revision.
    Apply {
        /// In order.
        changes: Vec<Change<T>>,
        /// The revision that the cache then reflects.
        to: Revision,
    },
    /// Publishes a lease in place of the one before.
    Hold(Lease),
    /// Lets requests go on that came [no later](crate::Arrival::is_released_by) than this.
    Release {
        /// When the renewal began.
        began: Moment,
    },
    /// Sends a statement. Its answer isn't needed.
    Ask(Statement),
}

/// Why a renewal doesn't count. Nothing has changed; begin another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Uncounted {
    /// The server doesn't accept writes.
    ReadOnly,
    /// The server doesn't have the row that was just written: a replica, a deposed primary, or another node has this id.
    NotOurRow,
    /// No answer was expected.
    NotAsked,
}

impl Node {
    /// A node that has not joined. `id` is random.
    #[must_use]
    pub const fn new(settings: Settings, id: NodeId) -> Self {
        Node {
            settings,
            id,
            replaces: None,
            beat: Beat::new(0),
            applied: None,
            awaited: Revision::ZERO,
            lease: Lease::NONE,
            renewal: Renewal::None,
        }
    }

    /// Returns the node's id. It changes when the node loses its place in the history.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Returns the latest renewal that was begun.
    #[must_use]
    pub const fn beat(&self) -> Beat {
        self.beat
    }

    /// Returns up to where the cache reflects the history, or `None` if the node has not joined.
    #[must_use]
    pub const fn applied(&self) -> Option<Mark> {
        self.applied
    }

    /// Begins a renewal. `now` and the frontier's [floor](crate::Frontier::floor) are read before this is called, and the
    /// statement is sent after it.
    ///
    /// A renewal that is under way is given up.
    pub fn begin(&mut self, now: Moment, floor: Revision) -> Statement {
        self.beat = self.beat.next();
        if !self.lease.covers(now) {
            self.lease = Lease::NONE;
        }
        self.renewal = Renewal::Beating(Begun { at: now, floor });
        Statement::Beat { id: self.id, lease: self.settings.leased(), beat: self.beat, replaces: self.replaces }
    }

    /// The row was written. Returns what to send next, or `None` if no renewal was that far.
    #[must_use]
    pub fn beaten(&mut self) -> Option<Statement> {
        let Renewal::Beating(began) = self.renewal else { return None };
        self.renewal = Renewal::Reading(began);
        Some(Statement::Read { id: self.id, since: self.applied.map(|mark| mark.revision) })
    }

    /// Gives a renewal up: a statement failed, or its outcome is unknown.
    pub fn give_up(&mut self) {
        self.renewal = Renewal::None;
    }

    /// The snapshot was read. Returns what to do, in this order.
    ///
    /// If the changes don't lead on from where this node is, or lack what its process knows of, it takes a new id, which
    /// `draw` draws, and has to join anew: begin the next renewal at once.
    ///
    /// # Errors
    ///
    /// The renewal doesn't count.
    pub fn read<T>(
        &mut self,
        snapshot: Snapshot<T>,
        draw: impl FnOnce() -> NodeId,
    ) -> Result<Vec<Effect<T>>, Uncounted> {
        let renewal = std::mem::replace(&mut self.renewal, Renewal::None);
        let Renewal::Reading(Begun { at: began, floor }) = renewal else { return Err(Uncounted::NotAsked) };
        if !snapshot.writable {
            return Err(Uncounted::ReadOnly);
        }
        let own = snapshot.own.filter(|own| own.beat == self.beat).ok_or(Uncounted::NotOurRow)?;
        let head = snapshot.head;
        // A change of this very process may have been undone before it was read here. Then the history seems to lead on, but no
        // answer to a load would be new enough.
        let is_undone = head.revision < floor;
        let leads_on = self.applied.is_none_or(|applied| history::leads_to(&snapshot.changes, applied, head));
        if is_undone || !leads_on {
            return Ok(self.lose_place(draw()));
        }
        let reflect = match self.applied {
            Some(applied) if self.lease != Lease::NONE => {
                let mut changes = snapshot.changes;
                changes.retain(|change| change.mark.revision > applied.revision);
                let awaited = changes.iter().rev().find(|change| change.awaited);
                self.awaited = awaited.map_or(self.awaited, |change| change.mark.revision);
                Effect::Apply { changes, to: head.revision }
            }
            // After a time without a lease, changes are not enough: a load may have read one that this node had not applied, and
            // the database may have been restored to before it.
            _ => {
                self.awaited = head.revision;
                Effect::Flush { joined: Some(head.revision) }
            }
        };
        self.applied = Some(head);
        self.replaces = None;
        self.lease = Lease::until(began.saturating_add(self.settings.usable()));
        // The lease comes after the changes that it vouches for, and the acknowledgement after both.
        let mut effects = vec![reflect, Effect::Hold(self.lease), Effect::Release { began }];
        if own.applied < self.awaited {
            effects.push(Effect::Ask(Statement::Acknowledge { id: self.id, applied: head }));
        }
        Ok(effects)
    }

    /// Leaves the fleet. Whoever executes the effects has made sure that no renewal is under way any more.
    #[must_use]
    pub fn leave<T>(self) -> Vec<Effect<T>> {
        let rows = [Some(self.id), self.replaces];
        let leave = rows.into_iter().flatten().map(|id| Effect::Ask(Statement::Leave { id }));
        std::iter::once(Effect::Withdraw).chain(leave).collect()
    }

    fn lose_place<T>(&mut self, id: NodeId) -> Vec<Effect<T>> {
        // Acknowledgements in another history must not count in this one, so the row goes with its id.
        self.replaces = Some(self.id);
        self.id = id;
        self.applied = None;
        self.awaited = Revision::ZERO;
        self.lease = Lease::NONE;
        vec![Effect::Withdraw, Effect::Flush { joined: None }]
    }
}

impl fmt::Display for Uncounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Uncounted::ReadOnly => "the server accepts no writes",
            Uncounted::NotOurRow => "the server does not have the row that was just written",
            Uncounted::NotAsked => "no answer was expected",
        })
    }
}

impl std::error::Error for Uncounted {}
