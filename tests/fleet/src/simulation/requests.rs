//! Requests with a key, from their arrival to their answer.

use std::collections::btree_map::Entry;

use super::{
    Event, Key, MILLISECOND, SECOND, Simulation,
    calls::{Answer, What},
    process::{LoadUnderWay, Request},
};

/// How often a request looks again when a change has overtaken its load.
const ATTEMPTS: u32 = 3;

impl Simulation {
    pub(super) fn request_comes(&mut self) {
        let process = self.random.below(self.plan.nodes as u64) as usize;
        let key = self.random.below(self.receipts.len() as u64) as usize;
        self.request(process, key);
        let pause = SECOND / 4 / self.plan.nodes as u64;
        let at = self.now + self.random.between(pause / 2, pause * 3 / 2);
        self.at(at, None, Event::RequestComes);
    }

    /// A request comes, and reads the clock. A stopped process takes it when it goes on.
    pub(super) fn request(&mut self, process: usize, key: Key) {
        let site = &self.processes[process];
        if site.node.is_none() || self.now < site.stalled_until {
            return;
        }
        let arrival = site.clock(self.now);
        let request = Request { key, arrival, needs: self.receipts[key], era: self.era, attempts: 0 };
        self.think(process, Event::Gate(request));
    }

    /// Lets a request's thread get to its next step, sometimes late.
    fn think(&mut self, process: usize, event: Event) {
        let is_late = !self.plan.is_calm && self.random.permille(10);
        let most = if is_late { self.longest_lease() } else { MILLISECOND / 10 };
        self.after(most, process, event);
    }

    pub(super) fn gate(&mut self, process: usize, request: Request) {
        let site = &mut self.processes[process];
        if site.lease.covers(request.arrival) {
            self.think(process, Event::LookUp(request));
        } else {
            self.regain(process, request);
        }
    }

    fn regain(&mut self, process: usize, request: Request) {
        let site = &mut self.processes[process];
        site.waiting.push(request);
        site.schedule.want(apikey_fleet::Arrival::at(request.arrival));
        self.arm(process);
    }

    pub(super) fn look_up(&mut self, process: usize, request: Request) {
        let site = &mut self.processes[process];
        if let Some(version) = site.cache.get(&request.key).copied() {
            self.report.hits += 1;
            return self.check(&request, version);
        }
        match site.loads.entry(request.key) {
            Entry::Occupied(mut load) => load.get_mut().waiting.push(request),
            Entry::Vacant(place) => match site.frontier.begin_load() {
                // The node has lost its place since the request passed the gate.
                None => self.regain(process, request),
                Some(load) => {
                    let (leases, waiting) = (site.leases, vec![request]);
                    place.insert(LoadUnderWay { load, call: 0, leases, is_lost: false, waiting });
                    let call = self.send(process, What::Load(request.key), SECOND);
                    self.processes[process].loads.entry(request.key).and_modify(|load| load.call = call);
                }
            },
        }
    }

    pub(super) fn load_answered(&mut self, process: usize, key: Key, call: u64, answer: Answer) {
        let site = &mut self.processes[process];
        if site.loads.get(&key).is_none_or(|load| load.call != call) {
            return;
        }
        let Some(under_way) = site.loads.remove(&key) else { return };
        let Answer::Loaded { revision, version, is_primary } = answer else {
            self.report.unavailable += under_way.waiting.len() as u64;
            return;
        };
        if !under_way.load.accepts(revision) && !self.plan.ignores_floor {
            self.report.stale_answers += 1;
            self.report.unavailable += under_way.waiting.len() as u64;
            // A change may be lost with the primary. The renewal that finds this may be under way already, so the next one does.
            if is_primary && under_way.leases > *site.stale_since.get_or_insert(site.leases) + 2 {
                self.violation = Some(format!("process {process} renews its lease, and can look no key up"));
            }
            return;
        }
        if is_primary {
            site.stale_since = None;
        }
        if !under_way.is_lost {
            site.cache.insert(key, version);
        }
        for mut request in under_way.waiting {
            request.attempts += 1;
            if !under_way.is_lost {
                self.report.loads += 1;
                self.check(&request, version);
            } else if request.attempts < ATTEMPTS {
                self.think(process, Event::LookUp(request));
            } else {
                self.report.unavailable += 1;
            }
        }
    }
}
