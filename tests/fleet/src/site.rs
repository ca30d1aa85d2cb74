//! One process of the fleet: the machine, and around it what a driver, a cache with one key, and one request do.

use std::{collections::VecDeque, time::Duration};

use apikey_fleet::{
    Arrival, Effect, Frontier, Lease, Load, Moment, Node, NodeId, Revision, Settings, Snapshot, Statement,
};

use crate::{
    scope::{Mutant, Scope},
    store::{Revokes, Server},
};

/// Leases last two seconds, the shortest there are. A node uses a second and a half of it, others wait for two and a half.
const LEASE: Duration = Settings::SHORTEST;
/// For a lease that becomes shorter.
const LONGER_LEASE: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Site {
    /// `None` once it has left.
    pub(crate) node: Option<Node>,
    /// How many ids were drawn.
    drawn: u8,
    /// Sent, and not executed.
    pub(crate) asked: Option<Statement>,
    /// Not done yet, in order.
    pub(crate) effects: VecDeque<Effect<Revokes>>,
    /// Given up, and perhaps executed later.
    pub(crate) late: Option<Statement>,
    pub(crate) lease: Lease,
    pub(crate) frontier: Frontier,
    /// Whether the cache has the key as a good one.
    pub(crate) is_cached: bool,
    pub(crate) loading: Loading,
    pub(crate) request: Request,
    /// How many seconds its clock has missed.
    pub(crate) missed: u8,
    pub(crate) is_restarted: bool,
    /// For mutants: the machine before the renewal began.
    pub(crate) before: Option<Box<Node>>,
    /// For mutants: an answer whose renewal has yet to take its time.
    pub(crate) held: Held,
    /// For mutants: what is left to do to leave while renewals go on.
    pub(crate) farewell: Option<Statement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Loading {
    None,
    Asked {
        load: Load,
        is_lost: bool,
    },
    /// The store said that the key is good.
    Answered {
        is_lost: bool,
    },
}

/// A request that comes after the receipt. If it is let in, the protocol is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Request {
    None,
    /// For a mutant: it has looked the key up before all else.
    Looked {
        is_cached: bool,
        read: Option<Moment>,
    },
    /// It has read the clock.
    Read(Moment),
    /// It may use the cache.
    Passed,
    /// It has found nothing in the cache.
    Missed,
    /// There was no lease.
    Arrived(Arrival),
    /// It waits for a renewal.
    Waiting(Arrival),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Held {
    Nothing,
    Beaten,
    Snapshot(Snapshot<Revokes>),
    /// The statement writes a row only now, after its snapshot.
    Joining(Statement, Snapshot<Revokes>),
}

pub(crate) fn second(seconds: u8) -> Moment {
    Moment::from_nanos(u64::from(seconds) * 1_000_000_000)
}

fn id(index: usize, drawn: u8) -> NodeId {
    NodeId::new(index as u128 * 16 + u128::from(drawn))
}

/// Which site an id is of.
pub(crate) fn index_of(id: NodeId) -> usize {
    (id.get() / 16) as usize
}

impl Site {
    pub(crate) fn new(scope: &Scope, index: usize) -> Self {
        let lease = if scope.is(Mutant::LeaseShrinks) { LONGER_LEASE } else { LEASE };
        let settings = Settings::new().lease(lease).expect("a valid lease");
        Site {
            node: Some(Node::new(settings, id(index, 0))),
            drawn: 1,
            asked: None,
            effects: VecDeque::new(),
            late: None,
            lease: Lease::NONE,
            frontier: Frontier::default(),
            is_cached: false,
            loading: Loading::None,
            request: Request::None,
            missed: 0,
            is_restarted: false,
            before: None,
            held: Held::Nothing,
            farewell: None,
        }
    }

    pub(crate) fn begin(&mut self, scope: &Scope, now: Moment) {
        let Some(node) = &mut self.node else { return };
        if scope.is(Mutant::BeginsAfterBeat) || scope.is(Mutant::BeginsAfterRead) {
            self.before = Some(Box::new(node.clone()));
        }
        let floor = if scope.is(Mutant::FloorUnknown) { Revision::ZERO } else { self.frontier.floor() };
        let mut statement = node.begin(now, floor);
        if let Statement::Beat { lease, .. } = &mut statement
            && self.is_restarted
            && scope.is(Mutant::LeaseShrinks)
        {
            *lease = LEASE;
        }
        self.asked = Some(statement);
    }

    /// The row was written, and the answer is there.
    pub(crate) fn beaten(&mut self, scope: &Scope) {
        self.asked = None;
        if scope.is(Mutant::BeginsAfterBeat) {
            self.held = Held::Beaten;
        } else if let Some(node) = &mut self.node {
            self.asked = node.beaten();
        }
    }

    /// The snapshot was read, and is there.
    pub(crate) fn answered(&mut self, scope: &Scope, index: usize, snapshot: Snapshot<Revokes>) {
        self.asked = None;
        if scope.is(Mutant::BeginsAfterRead) {
            self.held = Held::Snapshot(snapshot);
        } else {
            self.take(scope, index, snapshot);
        }
    }

    /// For mutants: lets the renewal begin now, after its statements.
    pub(crate) fn begin_late(&mut self, scope: &Scope, index: usize, now: Moment) {
        let Some(mut node) = self.before.take() else { return };
        let _ = node.begin(now, self.frontier.floor());
        let read = node.beaten();
        self.node = Some(*node);
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Snapshot(snapshot) => self.take(scope, index, snapshot),
            _ => self.asked = read,
        }
    }

    /// For a mutant: the row is there, with what was read before.
    pub(crate) fn join_late(&mut self, scope: &Scope, index: usize, snapshot: Snapshot<Revokes>) {
        self.held = Held::Nothing;
        let _ = self.node.as_mut().map(Node::beaten);
        self.take(scope, index, snapshot);
    }

    fn take(&mut self, scope: &Scope, index: usize, snapshot: Snapshot<Revokes>) {
        let Some(node) = &mut self.node else { return };
        let next = id(index, self.drawn);
        let (known, had_joined) = (node.id(), node.applied().is_some());
        let Ok(effects) = node.read(snapshot, || next) else { return };
        self.drawn += u8::from(node.id() != known);
        self.effects = effects.into();
        if let Some(Effect::Flush { joined: Some(to) }) = self.effects.front().cloned()
            && had_joined
            && scope.is(Mutant::LapseKeepsCache)
        {
            self.effects[0] = Effect::Apply { changes: Vec::new(), to };
        }
        if scope.is(Mutant::LeaseBeforeChanges) && self.effects.len() > 2 {
            self.effects.swap(0, 1);
        }
        if scope.is(Mutant::AcknowledgesFirst) && self.effects.len() > 3 {
            self.effects.rotate_right(1);
        }
        self.skip();
    }

    /// A statement failed, or its outcome is unknown.
    pub(crate) fn give_up(&mut self) {
        self.asked = None;
        self.before = None;
        self.held = Held::Nothing;
        if let Some(node) = &mut self.node {
            node.give_up();
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.asked.is_none() && self.effects.is_empty() && self.held == Held::Nothing
    }

    /// Does the next effect, unless that is a statement.
    pub(crate) fn perform(&mut self, scope: &Scope) {
        match self.effects.pop_front() {
            Some(Effect::Withdraw) => self.lease = Lease::NONE,
            Some(Effect::Flush { joined }) => {
                if joined.is_none() || !scope.is(Mutant::JoinKeepsCache) {
                    self.end();
                }
                match joined {
                    Some(revision) => self.frontier.join(revision),
                    None => self.frontier.forget(),
                }
            }
            Some(Effect::Apply { changes, to }) => {
                if changes.iter().any(|change| change.targets) {
                    self.end();
                }
                self.frontier.raise(to);
            }
            Some(Effect::Hold(lease)) => {
                let is_shorter = self.is_restarted && scope.is(Mutant::LeaseShrinks);
                let less = if is_shorter { (LONGER_LEASE - LEASE).as_nanos() as u64 } else { 0 };
                self.lease = Lease::from_bits(lease.to_bits() - less);
            }
            Some(Effect::Release { began }) => {
                if let Request::Waiting(arrival) = self.request
                    && (arrival.is_released_by(began) || scope.is(Mutant::OlderRenewalReleases))
                {
                    self.request = Request::Passed;
                }
            }
            Some(Effect::Ask(_)) | None => unreachable!("statements are the store's"),
        }
        self.skip();
    }

    /// Skips effects that change nothing: what happens between them and the next one may as well happen before.
    pub(crate) fn skip(&mut self) {
        while self.effects.front().is_some_and(|effect| match effect {
            Effect::Apply { changes, to } => {
                let mut raised = self.frontier;
                raised.raise(*to);
                changes.iter().all(|change| !change.targets) && raised == self.frontier
            }
            Effect::Release { .. } => !matches!(self.request, Request::Waiting(_)),
            Effect::Withdraw => self.lease == Lease::NONE,
            _ => false,
        }) {
            self.effects.pop_front();
        }
    }

    /// Ends the key in the cache, and loads under way.
    pub(crate) fn end(&mut self) {
        self.is_cached = false;
        if let Loading::Asked { is_lost, .. } | Loading::Answered { is_lost } = &mut self.loading {
            *is_lost = true;
        }
    }

    /// A change of this process was committed, as `revision` if that is known.
    pub(crate) fn commit(&mut self, scope: &Scope, revision: Option<u8>) {
        if scope.is(Mutant::OwnNodeUntold) {
            return;
        }
        self.end();
        if let Some(revision) = revision.filter(|_| !scope.is(Mutant::OwnFloorStays)) {
            self.frontier.raise(Revision::new(revision.into()));
        }
        self.skip();
    }

    pub(crate) fn begin_load(&mut self, scope: &Scope) {
        let mut joined = Frontier::default();
        joined.join(Revision::ZERO);
        let unjoined = || joined.begin_load().filter(|_| scope.is(Mutant::LoadsBeforeJoin));
        if let Some(load) = self.frontier.begin_load().or_else(unjoined) {
            self.loading = Loading::Asked { load, is_lost: false };
        }
    }

    /// Whether the answer of a server that has this revision is good enough for a load that begins now.
    pub(crate) fn may_load_at(&self, revision: u8) -> bool {
        self.frontier.begin_load().is_some_and(|load| load.accepts(Revision::new(revision.into())))
    }

    pub(crate) fn restart(&mut self, scope: &Scope, index: usize) {
        self.is_restarted = true;
        if scope.is(Mutant::LeaseShrinks) {
            return;
        }
        let settings = Settings::new().lease(LEASE).expect("a valid lease");
        self.give_up();
        self.effects.clear();
        self.node = Some(Node::new(settings, id(index, self.drawn)));
        self.drawn += 1;
        self.lease = Lease::NONE;
        self.frontier.forget();
        self.end();
    }

    pub(crate) fn leave(&mut self, scope: &Scope) {
        let Some(node) = self.node.take() else { return };
        let mut effects: VecDeque<_> = node.clone().leave().into();
        if scope.is(Mutant::RenewalOutlivesLeave) {
            self.lease = Lease::NONE;
            self.node = Some(node);
            self.farewell = effects.iter().find_map(|effect| match effect {
                Effect::Ask(statement) => Some(*statement),
                _ => None,
            });
            return;
        }
        if scope.is(Mutant::LeavesWhileServing) {
            effects.pop_front();
        }
        self.give_up();
        self.effects = effects;
        self.skip();
    }

    /// What is read at `server`, by a statement of the machine.
    pub(crate) fn snapshot(&self, scope: &Scope, server: &Server, primary: &Server) -> Option<Snapshot<Revokes>> {
        let (Some(Statement::Read { id, since }), Some(node)) = (self.asked, &self.node) else { return None };
        let mut snapshot = match node.applied() {
            Some(applied) if scope.is(Mutant::GapIgnored) => server.read_without_gaps(id, Some(applied)),
            _ => server.read(id, since),
        };
        if let Some(applied) = node.applied().filter(|_| scope.is(Mutant::NonceIgnored)) {
            let marks = snapshot.changes.iter_mut().map(|change| &mut change.mark).chain([&mut snapshot.head]);
            marks.filter(|mark| mark.revision == applied.revision).for_each(|mark| *mark = applied);
        }
        if scope.is(Mutant::ChangesFromOldPrimary) {
            snapshot.own = primary.read(id, None).own;
        }
        Some(snapshot)
    }
}
