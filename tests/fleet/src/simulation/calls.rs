//! Statements on their way to the database, and answers on their way back.

use apikey_fleet::{NodeRow, Revision, Snapshot, Statement, Sweep};

use super::{Event, Key, MILLISECOND, SECOND, Simulation, Version};

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: u64,
    process: (usize, u32),
    pub(super) what: What,
    /// Whether anybody waits for an answer.
    is_awaited: bool,
    era: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Renewal(Statement),
    Load(Key),
    /// The change with this index.
    Commit(usize),
    /// For the change with this index, or for a sweep.
    Rows(Option<usize>),
    Sweep(Sweep),
}

#[derive(Debug)]
pub(super) enum Answer {
    /// An error, or a time-out: nobody knows what happened.
    Failed,
    Written,
    Snapshot(Snapshot<Key>),
    Loaded {
        revision: Revision,
        version: Version,
        is_primary: bool,
    },
    Committed(Revision, Version),
    Rows(Revision, Vec<NodeRow>),
}

impl Simulation {
    /// In how many of a thousand cases a message is lost or late without any other fault.
    fn oddities(&self) -> u64 {
        if self.plan.is_calm { 0 } else { 5 }
    }

    fn latency(&mut self) -> u64 {
        let usual = self.random.between(MILLISECOND / 10, 2 * MILLISECOND);
        let is_slow = self.now < self.slow_until || self.random.permille(self.oddities());
        usual + if is_slow { self.random.below(2 * SECOND) } else { 0 }
    }

    /// Sends a statement, and returns the call's id.
    pub(super) fn send(&mut self, process: usize, what: What, patience: u64) -> u64 {
        self.numbers += 1;
        let life = self.processes[process].life;
        let call = Call { id: self.numbers, process: (process, life), what, is_awaited: patience > 0, era: self.era };
        let id = call.id;
        if patience > 0 {
            self.at(self.now + patience, Some((process, life)), Event::Timeout(call.clone()));
        }
        if self.now < self.processes[process].cut_until {
            if self.random.permille(300) {
                self.execute_later(&call);
            }
            self.fail(call);
        } else {
            let at = self.now + self.latency();
            self.at(at, None, Event::AtStore(call));
        }
        id
    }

    /// The statement is executed within three leases, when nobody waits for it any more.
    fn execute_later(&mut self, call: &Call) {
        let at = self.now + self.random.below(3 * self.longest_lease());
        self.at(at, None, Event::AtStore(Call { is_awaited: false, ..call.clone() }));
    }

    /// In half the cases the process is told. In the others it waits in vain.
    fn fail(&mut self, call: Call) {
        if call.is_awaited && self.random.permille(500) {
            let at = self.now + self.latency();
            self.at(at, Some(call.process), Event::Answer(call, Answer::Failed));
        }
    }

    pub(super) fn at_store(&mut self, call: Call) {
        if self.now < self.closed_until || call.era != self.era {
            return self.fail(call);
        }
        self.report.statements += 1;
        let is_read = matches!(call.what, What::Renewal(Statement::Read { .. }) | What::Load(_) | What::Rows(_));
        self.old = self.old.take().filter(|(_, until)| self.now < *until);
        let at_old = is_read && self.random.permille(300);
        let answer = match call.what {
            What::Commit(change) => self.execute_commit(change),
            What::Sweep(sweep) => {
                let dead = self.primary.rows.extract_if(.., |id, row| (*id, row.beat) == (sweep.id, sweep.beat));
                self.report.swept += dead.count() as u64;
                Answer::Written
            }
            _ => {
                let (server, is_primary) = match &mut self.old {
                    Some((old, _)) if at_old => (old, false),
                    _ => (&mut self.primary, true),
                };
                match call.what {
                    What::Renewal(Statement::Read { id, since }) => Answer::Snapshot(server.read(id, since)),
                    What::Renewal(statement) => {
                        server.write(statement);
                        Answer::Written
                    }
                    What::Load(key) => {
                        Answer::Loaded { revision: server.head.revision, version: server.keys[key], is_primary }
                    }
                    _ => Answer::Rows(server.head.revision, server.rows.values().copied().collect()),
                }
            }
        };
        let is_renewal = matches!(call.what, What::Renewal(Statement::Beat { .. } | Statement::Acknowledge { .. }));
        if is_renewal && call.is_awaited && self.random.permille(self.oddities()) {
            self.execute_later(&call);
        }
        if !call.is_awaited {
            return;
        }
        let process = call.process;
        if self.now < self.processes[process.0].cut_until || self.random.permille(self.oddities()) {
            self.fail(call);
        } else {
            let at = self.now + self.latency();
            self.at(at, Some(process), Event::Answer(call, answer));
        }
    }

    pub(super) fn answer(&mut self, process: usize, call: Call, answer: Answer) {
        match call.what {
            What::Renewal(_) => self.renewal_answered(process, call.id, answer),
            What::Load(key) => self.load_answered(process, key, call.id, answer),
            What::Commit(change) => self.commit_answered(process, change, call.id, answer),
            What::Rows(Some(change)) => self.rows_answered(process, change, call.id, answer),
            What::Rows(None) => self.rows_seen(process, answer),
            What::Sweep(_) => {}
        }
    }
}
