//! What goes wrong, at random.

use apikey_fleet::Effect;

use super::{Event, SECOND, Simulation, calls::What};

impl Simulation {
    /// Something happens to a process.
    pub(super) fn fault(&mut self) {
        let process = self.random.below(self.plan.nodes as u64) as usize;
        let leases = 3 * self.longest_lease();
        let span = self.random.below(leases);
        let site = &mut self.processes[process];
        match self.random.below(100) {
            0..40 => site.stalled_until = self.now + span,
            40..75 => site.cut_until = self.now + span,
            75..88 => {
                site.end();
                self.after(leases, process, Event::Start);
            }
            _ => self.leave(process),
        }
        let pause = 2 * self.trouble / self.plan.nodes as u64;
        let at = self.now + self.random.below(pause);
        self.at(at, None, Event::Fault);
    }

    /// Something happens to the database.
    pub(super) fn database_fault(&mut self) {
        let span = self.random.below(3 * self.longest_lease());
        match self.random.below(100) {
            0..45 => {
                let kept = self.random.below(4);
                self.primary.prune(kept);
            }
            45..65 => self.slow_until = self.now + span / 3,
            65..90 => {
                self.report.failovers += 1;
                self.old = Some((self.primary.clone(), self.now + span));
                self.closed_until = self.closed_until.max(self.now + self.random.below(SECOND));
            }
            _ if self.backup.is_none() => {
                self.backup = Some(self.primary.clone());
                let at = self.now + self.random.below(3 * SECOND);
                self.at(at, None, Event::Close);
            }
            _ => {}
        }
        let at = self.now + self.random.below(8 * SECOND);
        self.at(at, None, Event::DatabaseFault);
    }

    fn leave(&mut self, process: usize) {
        let site = &mut self.processes[process];
        let Some(node) = site.node.take() else { return };
        let effects = node.leave::<()>();
        site.end();
        for effect in effects {
            match effect {
                Effect::Ask(statement) => drop(self.send(process, What::Renewal(statement), 0)),
                // It has ended.
                _ => self.processes[process].lease = apikey_fleet::Lease::NONE,
            }
        }
        self.after(2 * SECOND, process, Event::Start);
    }

    /// The database is closed to be restored, for the longest lease.
    pub(super) fn close(&mut self) {
        self.closed_until = u64::MAX;
        let at = self.now + self.longest_lease();
        self.at(at, None, Event::Reopen);
    }

    /// The database is as it was when the backup was taken.
    pub(super) fn reopen(&mut self) {
        let Some(backup) = self.backup.take() else { return };
        self.report.restores += 1;
        self.era += 1;
        self.closed_until = 0;
        self.old = None;
        let kept = backup.newest();
        self.lost.push((kept, self.versions));
        for (receipt, version) in self.receipts.iter_mut().zip(&backup.keys) {
            *receipt = (*receipt).min(*version);
        }
        self.primary = backup;
    }
}
