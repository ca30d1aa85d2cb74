//! Changes of keys, from the commit to the receipt.

use apikey_fleet::{Progress, Wait};

use super::{
    Event, Key, MILLISECOND, SECOND, Simulation, Version,
    calls::{Answer, What},
};

const ATTEMPTS: u32 = 3;

/// A change that some process makes.
#[derive(Debug)]
pub(super) struct ChangeUnderWay {
    key: Key,
    /// Nobody waits for some changes.
    is_awaited: bool,
    attempts: u32,
    /// The statement under way.
    call: u64,
    version: Version,
    wait: Option<Wait>,
    committed_at: u64,
    era: u32,
}

impl Simulation {
    pub(super) fn change_begins(&mut self) {
        let process = self.random.below(self.plan.nodes as u64) as usize;
        let key = self.random.below(self.receipts.len() as u64) as usize;
        if self.processes[process].node.is_some() {
            let is_awaited = self.random.permille(700);
            let (call, version, wait, committed_at) = (0, 0, None, 0);
            let change =
                ChangeUnderWay { key, is_awaited, attempts: 0, call, version, wait, committed_at, era: self.era };
            self.changes.push(change);
            self.after(MILLISECOND, process, Event::Commit(self.changes.len() - 1));
        }
        let at = self.now + self.random.below(SECOND);
        self.at(at, None, Event::ChangeBegins);
    }

    /// Tries to commit, for the first time or once more. Another attempt is a change of its own.
    pub(super) fn commit(&mut self, process: usize, change: usize) {
        self.changes[change].attempts += 1;
        self.changes[change].era = self.era;
        let call = self.send(process, What::Commit(change), 3 * SECOND);
        self.changes[change].call = call;
    }

    pub(super) fn execute_commit(&mut self, change: usize) -> Answer {
        self.versions += 1;
        let ChangeUnderWay { key, is_awaited, .. } = self.changes[change];
        let nonce = self.random.wide();
        Answer::Committed(self.primary.commit(key, self.versions, is_awaited, nonce), self.versions)
    }

    pub(super) fn commit_answered(&mut self, process: usize, change: usize, call: u64, answer: Answer) {
        if self.changes[change].call != call {
            return;
        }
        self.changes[change].call = 0;
        let key = self.changes[change].key;
        let site = &mut self.processes[process];
        site.end_key(key);
        let Answer::Committed(revision, version) = answer else {
            self.report.unknown += 1;
            if self.changes[change].attempts < ATTEMPTS {
                self.after(2 * SECOND, process, Event::Commit(change));
            }
            return;
        };
        site.frontier.raise(revision);
        site.stale_since = None;
        let (own, now) = (site.node.as_ref().map(|node| node.id()), site.clock(self.now));
        // Nobody is told of a change that nobody waits for.
        let told = if self.changes[change].is_awaited { self.plan.nodes } else { 0 };
        for process in 0..told {
            if self.random.permille(self.plan.hints) {
                self.after(3 * MILLISECOND, process, Event::Hint);
            }
        }
        let under_way = &mut self.changes[change];
        (under_way.version, under_way.committed_at) = (version, self.now);
        if self.plan.waits_for_nobody {
            self.receive(change, 0);
        } else if under_way.is_awaited {
            under_way.wait = Some(Wait::new(revision, now, own));
            self.look(process, change);
        }
    }

    /// Looks whether the wait is over, and reads the rows of nodes if it isn't.
    pub(super) fn look(&mut self, process: usize, change: usize) {
        let now = self.processes[process].clock(self.now);
        let Some(wait) = &self.changes[change].wait else { return };
        match wait.progress(now) {
            Progress::Done(receipt) => self.receive(change, receipt.waited_out.len()),
            Progress::Unread | Progress::Waiting { .. } => {
                let call = self.send(process, What::Rows(Some(change)), SECOND / 4);
                self.changes[change].call = call;
            }
        }
    }

    pub(super) fn rows_answered(&mut self, process: usize, change: usize, call: u64, answer: Answer) {
        let under_way = &mut self.changes[change];
        if under_way.call != call {
            return;
        }
        under_way.call = 0;
        let Some(wait) = &mut under_way.wait else { return };
        if let Answer::Rows(head, rows) = answer {
            wait.answer(head, &rows);
        }
        match wait.progress(self.processes[process].clock(self.now)) {
            Progress::Done(receipt) => self.receive(change, receipt.waited_out.len()),
            _ => self.after(30 * MILLISECOND, process, Event::Look(change)),
        }
    }

    /// From now on every request at every node may rely on the change.
    fn receive(&mut self, change: usize, waited_out: usize) {
        let ChangeUnderWay { key, version, committed_at, era, .. } = self.changes[change];
        self.changes[change].wait = None;
        if era != self.era {
            return;
        }
        self.report.receipts.push(self.now - committed_at);
        self.report.waited_out += u64::from(waited_out > 0);
        self.receipts[key] = self.receipts[key].max(version);
        // Now is when it is most likely to go wrong.
        for _ in 0..5 {
            let process = self.random.below(self.plan.nodes as u64) as usize;
            self.request(process, key);
        }
    }
}
