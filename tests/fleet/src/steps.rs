//! Every step that a state allows.

use std::fmt;

use apikey_fleet::{Arrival, Effect, Lease, Sighting, Statement};

use crate::{
    revoker::{ATTEMPTS, Revoker},
    scope::{Fault, Mutant, Scope},
    site::{Held, Loading, Request},
    store::Server,
    world::{Other, World},
};

/// What happened, and at which node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label(&'static str, Option<usize>);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(index) => write!(f, "{}: {}", ["A", "B", "C"][index], self.0),
            None => f.write_str(self.0),
        }
    }
}

/// The steps from one state.
pub(crate) struct Steps<'a, const N: usize> {
    scope: &'a Scope,
    from: &'a World<N>,
    pub(crate) next: &'a mut Vec<(Label, World<N>)>,
    /// A step that lets a request in, after the receipt.
    pub(crate) let_in: Option<Label>,
}

impl<'a, const N: usize> Steps<'a, N> {
    pub(crate) fn of(scope: &'a Scope, from: &'a World<N>, next: &'a mut Vec<(Label, World<N>)>) -> Option<Label> {
        next.clear();
        let mut steps = Steps { scope, from, next, let_in: None };
        steps.time();
        steps.store();
        steps.revoker();
        steps.sweeper();
        for index in 0..N {
            steps.load(index);
            steps.renewal(index);
            steps.life(index);
            if from.has_receipt {
                steps.request(index);
            }
        }
        steps.let_in
    }

    fn go(&mut self, what: &'static str, index: impl Into<Option<usize>>, change: impl FnOnce(&mut World<N>)) {
        let mut world = self.from.clone();
        change(&mut world);
        world.normalize();
        self.next.push((Label(what, index.into()), world));
    }

    fn lets_in(&mut self, what: &'static str, index: usize) {
        self.let_in = Some(Label(what, Some(index)));
    }

    fn time(&mut self) {
        let World { now, sites, .. } = self.from;
        if *now < self.scope.seconds {
            self.go("a second passes", None, |world| world.now += 1);
            // Within the scope a clock loses at most one second against the fastest.
            for index in (0..N).filter(|index| sites[*index].missed == 0) {
                self.go("a second passes, which its clock misses", index, |world| {
                    world.now += 1;
                    world.sites[index].missed = 1;
                });
            }
        }
        if self.scope.is(Mutant::WallClock) {
            for index in (0..N).filter(|index| sites[*index].missed < 2 && *now >= 2) {
                self.go("its clock is set back by two seconds", index, |world| world.sites[index].missed += 2);
            }
        }
    }

    fn store(&mut self) {
        let (scope, from) = (self.scope, self.from);
        let log = from.primary.log;
        if scope.may(Fault::Other) {
            match from.other {
                Other::ToCome if scope.is(Mutant::SequenceAsRevision) => {
                    self.go("another change takes its number from a sequence", None, |world| {
                        world.sequence += 1;
                        world.other = Other::Numbered(world.sequence);
                    });
                }
                Other::ToCome => self.go("another change commits", None, |world| {
                    world.primary.log.commit(log.head + 1, false);
                    world.other = Other::Done;
                }),
                Other::Numbered(number) => self.go("the other change commits", None, |world| {
                    world.primary.log.commit(number, false);
                    world.other = Other::Done;
                }),
                Other::Done => {}
            }
        }
        if scope.may(Fault::Undone) {
            return self.undo();
        }
        if scope.may(Fault::Prune) && log.is_prunable() {
            self.go("the log is pruned", None, |world| world.primary.log.prune());
        }
        let is_restorable = !log.is_restored() && log.head > 0;
        if scope.may(Fault::RestoreKept) && scope.may(Fault::Own) && is_restorable {
            self.go(
                "the latest change is lost, and perhaps the receipt void; rows of nodes are kept",
                None,
                World::restore,
            );
        }
        // Only until the revocation: a deposed primary that knows of it does no harm.
        if log.is_revoked() || from.revoker != Revoker::Idle {
            return;
        }
        if scope.may(Fault::Failover) && from.old.is_none() {
            self.go("another server takes over; the old one answers reads", None, |world| {
                world.old = Some(world.primary.clone());
            });
        }
        if scope.may(Fault::RestoreKept) && !scope.may(Fault::Own) && is_restorable {
            self.go("the latest change is lost; rows of nodes are kept", None, World::restore);
        }
        if scope.may(Fault::Restore) && is_restorable {
            if (0..N).all(|index| self.has_no_lease(index)) {
                self.go("the database is restored, when all leases have ended", None, |world| {
                    world.restore();
                    world.sites.iter_mut().for_each(|site| site.late = None);
                });
            }
            if scope.is(Mutant::RestoredAtOnce) {
                self.go("the database is restored at once, without rows of nodes", None, |world| {
                    world.restore();
                    world.primary.rows.clear();
                    world.sites.iter_mut().for_each(|site| site.late = None);
                });
            }
        }
    }

    /// A change lets the key in, and is undone.
    fn undo(&mut self) {
        let (scope, from) = (self.scope, self.from);
        if from.other == Other::ToCome {
            self.go("a change lets the key in again", None, |world| {
                world.primary.log.enable();
                world.tell_own(scope, Some(world.primary.log.head));
                world.other = Other::Done;
            });
        } else if !from.primary.log.is_restored() && (0..N).all(|index| self.has_no_lease(index)) {
            self.go("the database is restored, when all leases have ended; the key is revoked", None, |world| {
                world.restore();
                for site in &mut world.sites {
                    (site.late, site.loading) = (None, Loading::None);
                }
                world.receive();
            });
        }
    }

    /// Whether a site has no lease, and no answer from which one would follow.
    fn has_no_lease(&self, index: usize) -> bool {
        let (site, now) = (&self.from.sites[index], self.from.clock(index));
        let is_over = |lease: Lease| !lease.covers(now);
        is_over(site.lease)
            && site.effects.iter().all(|effect| match effect {
                Effect::Hold(lease) => is_over(*lease),
                _ => true,
            })
    }

    fn revoker(&mut self) {
        let (scope, from) = (self.scope, self.from);
        let next = from.primary.log.head + 1;
        match &from.revoker {
            Revoker::Idle if scope.may(Fault::Undone) => {}
            Revoker::Idle if Revoker::begins(scope) => self.go("the revocation begins", None, |world| {
                world.sequence += 1;
                let number = if scope.is(Mutant::SequenceAsRevision) { world.sequence } else { next };
                world.revoker = Revoker::begin(scope, number, crate::site::second(world.now), &world.primary);
            }),
            Revoker::Idle | Revoker::Begun(_) => {
                self.go("the revocation commits", None, |world| world.commit_revocation(scope));
                if scope.may(Fault::Loss) {
                    self.go("the connection is lost with the revocation", None, |world| {
                        world.revoker = Revoker::Unknown { is_late: false };
                        world.tell_own(scope, None);
                    });
                    if scope.may(Fault::Late) {
                        self.go("the connection is lost; the revocation is yet to commit", None, |world| {
                            world.revoker = Revoker::Unknown { is_late: true };
                            world.tell_own(scope, None);
                        });
                    }
                }
            }
            Revoker::Committed { .. } => {
                self.go("the commit's answer is there", None, |world| world.know(scope));
                if scope.may(Fault::Loss) {
                    self.go("the commit's answer is lost", None, |world| {
                        world.revoker = Revoker::Unknown { is_late: false };
                        world.tell_own(scope, None);
                    });
                }
            }
            Revoker::Waiting { .. } => {
                self.go("the revoker reads the rows of nodes", None, |world| world.look(scope));
                if let Some(old) = &from.old {
                    self.go("the revoker reads the rows of nodes at the old primary", None, |world| {
                        let head = if scope.is(Mutant::RowsFromOldPrimary) { next - 1 } else { old.log.head };
                        world.look_at(scope, head, old);
                    });
                }
            }
            Revoker::Unknown { is_late } => self.unknown(*is_late),
            Revoker::Done => {}
        }
    }

    fn unknown(&mut self, is_late: bool) {
        let (scope, from) = (self.scope, self.from);
        let next = from.primary.log.head + 1;
        if scope.is(Mutant::UnknownCommitIsReceipt) {
            self.go("the revoker takes it for committed, and waits for the latest revision", None, |world| {
                world.revoker = Revoker::Committed { revision: next - 1, taken: None };
            });
        }
        if is_late {
            // The organization's lock makes another attempt wait for this.
            self.go("the late revocation commits", None, |world| {
                world.primary.log.commit(next, true);
                world.revoker = Revoker::Unknown { is_late: false };
            });
        } else if from.primary.log.is_revoked() && scope.is(Mutant::RepeatedRevokeReturns) {
            self.go("the revoker tries again, finds the key revoked, and returns", None, World::receive);
        } else if from.attempts < ATTEMPTS {
            self.go("the revoker tries again, and commits", None, |world| world.commit_revocation(scope));
        }
    }

    fn sweeper(&mut self) {
        if !self.scope.may(Fault::Sweep) {
            return;
        }
        let (scope, from) = (self.scope, self.from);
        let now = crate::site::second(from.now);
        for (position, row) in from.primary.rows.iter().enumerate() {
            match from.sightings.iter().position(|(id, _)| *id == row.id) {
                None => self.go("the sweeper sees a row", position, |world| {
                    world.sightings.push((row.id, Sighting::new(row, now)));
                    world.sightings.sort_unstable_by_key(|(id, _)| *id);
                }),
                Some(at) => self.go("the sweeper looks again", position, |world| {
                    world.sweep = world.sightings[at].1.look(row, now);
                }),
            }
        }
        if let Some(sweep) = from.sweep {
            self.go("the sweeper's statement is executed", None, |world| {
                world.primary.sweep(scope, sweep);
                world.sightings.retain(|(id, _)| *id != sweep.id);
                world.sweep = None;
            });
        }
    }

    fn load(&mut self, index: usize) {
        let (scope, from) = (self.scope, self.from);
        let site = &from.sites[index];
        match site.loading {
            Loading::None if !site.is_cached || site.request == Request::Missed => {
                self.go("a load begins", index, |world| world.sites[index].begin_load(scope));
            }
            Loading::None => {}
            Loading::Asked { load, is_lost } => {
                let servers = [
                    (&from.primary, "the load reads: good"),
                    (from.old.as_ref().unwrap_or(&from.primary), "the load reads at the old primary: good"),
                ];
                for (server, what) in servers.into_iter().take(1 + usize::from(from.old.is_some())) {
                    let accepts = load.accepts(apikey_fleet::Revision::new(server.log.head.into()));
                    if !server.log.is_revoked() && (accepts || scope.is(Mutant::LoadIgnoresFloor)) {
                        self.go(what, index, |world| world.sites[index].loading = Loading::Answered { is_lost });
                    } else {
                        self.go("the load reads: revoked, or an old state", index, |world| {
                            let site = &mut world.sites[index];
                            site.loading = Loading::None;
                            if site.request == Request::Missed {
                                site.request = Request::None;
                            }
                        });
                    }
                }
            }
            Loading::Answered { is_lost } => {
                let fills = !is_lost || scope.is(Mutant::FillsWithoutVersion);
                if fills && site.request == Request::Missed {
                    self.lets_in("the load's answer lets the request in", index);
                }
                self.go("the load ends", index, |world| {
                    world.sites[index].loading = Loading::None;
                    world.sites[index].is_cached |= fills;
                });
            }
        }
    }

    fn renewal(&mut self, index: usize) {
        let (scope, from) = (self.scope, self.from);
        let (site, now) = (&from.sites[index], from.clock(index));
        if let Held::Joining(statement, snapshot) = &site.held {
            self.go("its row is written, with what the snapshot has", index, |world| {
                world.write(scope, index, *statement);
                world.sites[index].join_late(scope, index, snapshot.clone());
            });
        } else if site.held != Held::Nothing {
            self.go("only now it takes the renewal's time", index, |world| {
                world.sites[index].begin_late(scope, index, now);
            });
        }
        if site.node.is_some() && site.is_idle() && site.farewell.is_none() {
            self.go("a renewal begins", index, |world| world.sites[index].begin(scope, now));
        }
        match site.asked {
            Some(statement @ Statement::Beat { .. }) => {
                if scope.is(Mutant::JoinInOneSnapshot) {
                    self.go("the statement that writes and reads takes its snapshot", index, |world| {
                        world.read_before_beat(index, statement);
                    });
                } else {
                    self.go("its row is written", index, |world| world.beat(scope, index, statement));
                }
                if scope.may(Fault::Loss) {
                    self.go("its row is written, and the answer lost", index, |world| {
                        world.write(scope, index, statement);
                        world.sites[index].give_up();
                    });
                    self.go("its connection is lost", index, |world| world.sites[index].give_up());
                }
                if scope.may(Fault::Late) && site.late.is_none() {
                    self.go("its connection is lost; its row is yet to be written", index, |world| {
                        world.sites[index].late = Some(statement);
                        world.sites[index].give_up();
                    });
                    self.go("its row is written, the answer lost, and the statement sent again", index, |world| {
                        world.sites[index].late = Some(statement);
                        world.write(scope, index, statement);
                        world.sites[index].give_up();
                    });
                }
            }
            Some(_) => {
                self.go("it reads the changes", index, |world| world.read(scope, index, false));
                if from.old.is_some() {
                    self.go("it reads the changes at the old primary", index, |world| world.read(scope, index, true));
                }
                if scope.may(Fault::Loss) {
                    self.go("its connection is lost", index, |world| world.sites[index].give_up());
                }
            }
            None => {}
        }
        match site.effects.front() {
            Some(Effect::Ask(statement)) => {
                let statement = *statement;
                let done = |world: &mut World<N>| drop(world.sites[index].effects.pop_front());
                self.go("its statement is executed", index, |world| {
                    world.write(scope, index, statement);
                    done(world);
                });
                if scope.may(Fault::Loss) && site.node.is_some() {
                    self.go("its acknowledgement is lost", index, done);
                }
                if scope.may(Fault::Late) && site.late.is_none() && site.node.is_some() {
                    self.go("its acknowledgement is yet to be executed", index, |world| {
                        done(world);
                        world.sites[index].late = Some(statement);
                    });
                }
            }
            Some(effect) => {
                let what = match effect {
                    Effect::Withdraw => "it withdraws its lease",
                    Effect::Flush { joined: Some(_) } => "it joins, with an empty cache",
                    Effect::Flush { joined: None } => "it has lost its place, and empties its cache",
                    Effect::Apply { .. } => "it applies changes",
                    Effect::Hold(_) => "it publishes a lease",
                    Effect::Release { .. } | Effect::Ask(_) => "it lets waiting requests go on",
                };
                self.go(what, index, |world| world.sites[index].perform(scope));
            }
            None => {}
        }
        if let Some(statement) = site.late {
            self.go("the store executes its late statement", index, |world| {
                world.sites[index].late = None;
                world.write(scope, index, statement);
            });
        }
    }

    fn life(&mut self, index: usize) {
        let (scope, from) = (self.scope, self.from);
        let site = &from.sites[index];
        if let Some(statement) = site.farewell {
            self.go("it deletes its row", index, |world| {
                world.sites[index].farewell = None;
                world.primary.write(scope, statement);
            });
        }
        let lives = site.node.is_some() && site.farewell.is_none();
        if scope.may(Fault::Leave) && lives {
            self.go("it leaves", index, |world| world.sites[index].leave(scope));
        }
        if scope.may(Fault::Restart) && lives && !site.is_restarted {
            self.go("it begins anew", index, |world| world.sites[index].restart(scope, index));
        }
    }

    fn request(&mut self, index: usize) {
        let (scope, from) = (self.scope, self.from);
        let (site, now) = (&from.sites[index], from.clock(index));
        let to = |steps: &mut Self, what, request| {
            steps.go(what, index, |world| world.sites[index].request = request);
        };
        match site.request {
            Request::None if scope.is(Mutant::EntryBeforeLease) => {
                let looked = Request::Looked { is_cached: site.is_cached, read: None };
                to(self, "a request looks into the cache", looked);
            }
            Request::Looked { is_cached, read: None } => {
                to(self, "the request reads the clock", Request::Looked { is_cached, read: Some(now) });
            }
            Request::Looked { is_cached, read: Some(read) } if site.lease.covers(read) => {
                if is_cached {
                    self.lets_in("the request finds a lease, and had found the key", index);
                }
                to(self, "the request finds a lease, but no key", Request::Missed);
            }
            Request::None => to(self, "a request reads the clock", Request::Read(now)),
            Request::Read(read) if site.lease.covers(read) => to(self, "the request finds a lease", Request::Passed),
            Request::Read(read) | Request::Looked { read: Some(read), .. } => {
                to(self, "the request finds no lease", Request::Arrived(Arrival::at(read)));
            }
            Request::Passed | Request::Missed if site.is_cached => {
                self.lets_in("the request finds the key in the cache", index);
            }
            Request::Passed => to(self, "the request finds nothing in the cache", Request::Missed),
            Request::Missed => {}
            Request::Arrived(arrival) => {
                if scope.is(Mutant::LooksUpWithoutLease) && from.old.is_some() {
                    self.lets_in("the request looks the key up at the old primary", index);
                }
                to(self, "the request waits for a renewal", Request::Waiting(arrival));
                if scope.is(Mutant::WaitingJoinsOlderLoad) {
                    to(self, "the request joins the load under way", Request::Missed);
                }
            }
            Request::Waiting(_) => to(self, "the request gives up", Request::None),
        }
    }
}

impl<const N: usize> World<N> {
    pub(crate) fn receive(&mut self) {
        self.revoker = Revoker::Done;
        self.has_receipt = true;
    }

    fn commit_revocation(&mut self, scope: &Scope) {
        let taken = match std::mem::replace(&mut self.revoker, Revoker::Idle) {
            Revoker::Begun(taken) => Some(taken),
            _ => None,
        };
        let number = taken.as_ref().map_or(self.primary.log.head + 1, |taken| taken.number);
        let revision = if scope.is(Mutant::SequenceAsRevision) { number } else { self.primary.log.head + 1 };
        self.attempts += 1;
        self.primary.log.commit(revision, true);
        self.revoker = Revoker::Committed { revision, taken };
    }

    /// The answer to the commit is there.
    pub(crate) fn know(&mut self, scope: &Scope) {
        let Revoker::Committed { revision, .. } = self.revoker else { return };
        self.tell_own(scope, Some(revision));
        let own = self.sites[0].node.as_ref().filter(|_| scope.may(Fault::Own)).map(|node| node.id());
        self.revoker.wait(scope, crate::site::second(self.now), own);
    }

    fn tell_own(&mut self, scope: &Scope, revision: Option<u8>) {
        if scope.may(Fault::Own) {
            self.sites[0].commit(scope, revision);
        }
    }

    pub(crate) fn look(&mut self, scope: &Scope) {
        let primary = std::mem::replace(&mut self.primary, Server::new(false));
        self.look_at(scope, primary.log.head, &primary);
        self.primary = primary;
    }

    fn look_at(&mut self, scope: &Scope, head: u8, server: &Server) {
        self.revoker.look(scope, head, &server.rows, crate::site::second(self.now));
        if self.revoker == Revoker::Done {
            self.receive();
        }
    }

    fn restore(&mut self) {
        self.primary.restore();
        self.revoker = Revoker::Idle;
        self.has_receipt = false;
        // Connections don't survive it.
        for site in &mut self.sites {
            if site.asked.is_some() {
                site.give_up();
            }
            site.request = Request::None;
        }
    }

    /// Executes a statement that writes.
    fn write(&mut self, scope: &Scope, index: usize, statement: Statement) {
        self.primary.write(scope, statement);
        let applied = self.sites[index].node.as_ref().and_then(|node| node.applied());
        if let (Statement::Beat { id, .. }, Some(applied)) = (statement, applied)
            && scope.is(Mutant::BeatAcknowledges)
        {
            self.primary.acknowledge(id, applied.revision);
        }
    }

    pub(crate) fn beat(&mut self, scope: &Scope, index: usize, statement: Statement) {
        self.write(scope, index, statement);
        self.sites[index].beaten(scope);
    }

    pub(crate) fn read(&mut self, scope: &Scope, index: usize, at_old: bool) {
        let server = self.old.as_ref().filter(|_| at_old).unwrap_or(&self.primary);
        if let Some(snapshot) = self.sites[index].snapshot(scope, server, &self.primary) {
            self.sites[index].answered(scope, index, snapshot);
        }
    }

    /// For a mutant: a statement whose snapshot is older than the row that it writes.
    fn read_before_beat(&mut self, index: usize, statement: Statement) {
        let site = &mut self.sites[index];
        let (Statement::Beat { id, beat, .. }, Some(node)) = (statement, &mut site.node) else { return };
        let since = node.applied().map(|mark| mark.revision);
        let mut snapshot = self.primary.read(id, since);
        snapshot.own = Some(apikey_fleet::OwnRow { beat, applied: apikey_fleet::Revision::ZERO });
        site.held = Held::Joining(statement, snapshot);
        site.asked = None;
    }
}
