//! What a driver does around the machine.

use apikey_fleet::{Effect, NodeRow, Revision, Sighting};

use super::{
    Event, MILLISECOND, SECOND, Simulation,
    calls::{Answer, What},
};

impl Simulation {
    pub(super) fn start(&mut self, process: usize) {
        let id = self.id();
        self.processes[process].start(id, self.now);
        self.arm(process);
        // A few look after the rows of all.
        if process < 3 {
            self.after(SECOND, process, Event::SweepRound);
        }
    }

    /// Schedules the next renewal.
    pub(super) fn arm(&mut self, process: usize) {
        let site = &self.processes[process];
        let at = site.true_time(site.schedule.due()).max(self.now);
        self.at(at, Some((process, site.life)), Event::Due);
    }

    pub(super) fn hint(&mut self, process: usize) {
        let now = self.processes[process].clock(self.now);
        let random = self.random.wide() as u32;
        self.processes[process].schedule.hint(now, self.plan.nodes, random);
        self.arm(process);
    }

    pub(super) fn due(&mut self, process: usize) {
        let site = &mut self.processes[process];
        let now = site.clock(self.now);
        if site.call.is_some() || !site.effects.is_empty() || now < site.schedule.due() {
            return;
        }
        let Some(node) = &mut site.node else { return };
        let floor = if self.plan.hides_floor { Revision::ZERO } else { site.frontier.floor() };
        let statement = node.begin(now, floor);
        site.began = now;
        let patience = site.settings.usable().as_nanos() as u64;
        let waits = site.waiting.len();
        site.waiting.retain(|request| now.saturating_since(request.arrival) < site.settings.leased());
        self.report.unavailable += (waits - site.waiting.len()) as u64;
        let call = self.send(process, What::Renewal(statement), patience);
        self.processes[process].call = Some(call);
    }

    pub(super) fn renewal_answered(&mut self, process: usize, call: u64, answer: Answer) {
        let site = &mut self.processes[process];
        if site.call != Some(call) {
            return;
        }
        site.call = None;
        let (patience, now) = (site.settings.usable().as_nanos() as u64, site.clock(self.now));
        let Some(node) = &mut site.node else { return };
        let had_joined = node.applied().is_some();
        match answer {
            Answer::Written => {
                if let Some(statement) = node.beaten() {
                    let call = self.send(process, What::Renewal(statement), patience);
                    self.processes[process].call = Some(call);
                }
                return;
            }
            Answer::Snapshot(snapshot) => {
                let fresh = apikey_fleet::NodeId::new(self.random.wide());
                match node.read(snapshot, || fresh) {
                    Ok(effects) => {
                        self.report.lost_places += u64::from(had_joined && node.applied().is_none());
                        site.effects = effects.into();
                        return self.pause(process);
                    }
                    Err(_) => self.report.uncounted += 1,
                }
            }
            _ => node.give_up(),
        }
        let random = self.random.next() as u32;
        self.processes[process].schedule.failed(now, random);
        self.arm(process);
    }

    /// Lets the renewal's thread get to its next effect, sometimes late.
    fn pause(&mut self, process: usize) {
        let is_late = !self.plan.is_calm && self.random.permille(10);
        let most = if is_late { self.longest_lease() } else { MILLISECOND / 10 };
        self.after(most, process, Event::Effect);
    }

    pub(super) fn effect(&mut self, process: usize) {
        let site = &mut self.processes[process];
        let Some(effect) = site.effects.pop_front() else { return };
        match effect {
            Effect::Withdraw => site.lease = apikey_fleet::Lease::NONE,
            Effect::Flush { joined } => {
                site.flush();
                match joined {
                    Some(revision) => {
                        site.frontier.join(revision);
                        self.report.joins += 1;
                    }
                    None => {
                        site.frontier.forget();
                        site.stale_since = None;
                    }
                }
            }
            Effect::Apply { changes, to } => {
                changes.iter().for_each(|change| site.end_key(change.targets));
                site.frontier.raise(to);
            }
            Effect::Hold(lease) => {
                site.lease = lease;
                site.leases += 1;
                self.report.renewals += 1;
                // The driver then asks whether there is more.
                self.report.statements += 1;
            }
            Effect::Release { began } => {
                for request in site.release(began) {
                    self.report.regained += 1;
                    self.after(MILLISECOND / 10, process, Event::LookUp(request));
                }
            }
            Effect::Ask(statement) => drop(self.send(process, What::Renewal(statement), 0)),
        }
        let site = &mut self.processes[process];
        if !site.effects.is_empty() {
            return self.pause(process);
        }
        let now = site.clock(self.now);
        match site.node.as_ref().and_then(|node| node.applied()) {
            Some(_) => site.schedule.succeeded(site.began, self.random.next() as u32),
            None => site.schedule.restart(now),
        }
        self.arm(process);
    }

    pub(super) fn sweep_round(&mut self, process: usize) {
        self.send(process, What::Rows(None), SECOND);
        self.after(4 * SECOND, process, Event::SweepRound);
    }

    pub(super) fn rows_seen(&mut self, process: usize, answer: Answer) {
        let Answer::Rows(_, rows) = answer else { return };
        let site = &mut self.processes[process];
        let now = site.clock(self.now);
        site.sightings.retain(|id, _| rows.iter().any(|row| row.id == *id));
        let look = |row: &NodeRow| site.sightings.entry(row.id).or_insert(Sighting::new(row, now)).look(row, now);
        let sweeps: Vec<_> = rows.iter().filter_map(look).collect();
        for sweep in sweeps {
            self.send(process, What::Sweep(sweep), 0);
        }
    }
}
