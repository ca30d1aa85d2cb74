//! One process: the machine, and around it what a driver and a cache do.

use std::collections::{BTreeMap, VecDeque};

use apikey_fleet::{Arrival, Effect, Frontier, Lease, Load, Moment, Node, NodeId, Schedule, Settings, Sighting};

use super::{
    database::{Key, Version},
    random::Random,
};

#[derive(Debug)]
pub(super) struct Process {
    /// Which life this is: a process that was killed or has left begins another. `None` in between.
    pub(super) life: u32,
    pub(super) node: Option<Node>,
    pub(super) settings: Settings,
    pub(super) schedule: Schedule,
    /// The statement of the renewal that is under way.
    pub(super) call: Option<u64>,
    /// When that renewal began.
    pub(super) began: Moment,
    pub(super) effects: VecDeque<Effect<Key>>,
    pub(super) lease: Lease,
    pub(super) frontier: Frontier,
    pub(super) cache: BTreeMap<Key, Version>,
    pub(super) loads: BTreeMap<Key, LoadUnderWay>,
    /// Requests that wait for a renewal.
    pub(super) waiting: Vec<Request>,
    pub(super) sightings: BTreeMap<NodeId, Sighting>,
    /// How many leases it was given.
    pub(super) leases: u64,
    /// How many there were when the primary's answers became stale to it.
    pub(super) stale_since: Option<u64>,
    /// In true time.
    pub(super) stalled_until: u64,
    pub(super) cut_until: u64,
    /// How fast its clock goes, in millionths, and how far ahead it is.
    rate: u64,
    ahead: u64,
}

#[derive(Debug)]
pub(super) struct LoadUnderWay {
    pub(super) load: Load,
    pub(super) call: u64,
    /// How many leases the process was given before it began.
    pub(super) leases: u64,
    pub(super) is_lost: bool,
    pub(super) waiting: Vec<Request>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) key: Key,
    /// What the process's clock read when it came.
    pub(super) arrival: Moment,
    /// The oldest state by which it may be answered: when it came there was a receipt for it.
    pub(super) needs: Version,
    /// After how many restores of the database it came.
    pub(super) era: u32,
    pub(super) attempts: u32,
}

impl Process {
    pub(super) fn new(settings: Settings, random: &mut Random) -> Self {
        let rate = random.between(880_000, 1_120_000);
        let ahead = random.below(1_000_000_000_000);
        Process {
            life: 0,
            node: None,
            settings,
            schedule: Schedule::new(settings, Moment::from_nanos(0)),
            call: None,
            began: Moment::from_nanos(0),
            effects: VecDeque::new(),
            lease: Lease::NONE,
            frontier: Frontier::default(),
            cache: BTreeMap::new(),
            loads: BTreeMap::new(),
            waiting: Vec::new(),
            sightings: BTreeMap::new(),
            leases: 0,
            stale_since: None,
            stalled_until: 0,
            cut_until: 0,
            rate,
            ahead,
        }
    }

    /// The process's clock at a true time.
    pub(super) fn clock(&self, now: u64) -> Moment {
        Moment::from_nanos((u128::from(now + self.ahead) * u128::from(self.rate) / 1_000_000) as u64)
    }

    /// The true time at which the process's clock reads at least `moment`.
    pub(super) fn true_time(&self, moment: Moment) -> u64 {
        let ahead = u128::from(moment.as_nanos()) * 1_000_000 / u128::from(self.rate) + 1;
        (ahead as u64).saturating_sub(self.ahead)
    }

    /// Starts the process.
    pub(super) fn start(&mut self, id: NodeId, now: u64) {
        let clock = self.clock(now);
        self.end();
        self.node = Some(Node::new(self.settings, id));
        self.schedule = Schedule::new(self.settings, clock);
    }

    /// Ends the process, and all that it has in memory.
    pub(super) fn end(&mut self) {
        self.life += 1;
        self.node = None;
        self.call = None;
        self.effects.clear();
        self.lease = Lease::NONE;
        self.frontier = Frontier::default();
        self.cache.clear();
        self.loads.clear();
        self.waiting.clear();
        self.sightings.clear();
        self.stale_since = None;
        self.stalled_until = 0;
    }

    /// Ends a key in the cache, and loads of it.
    pub(super) fn end_key(&mut self, key: Key) {
        self.cache.remove(&key);
        self.loads.entry(key).and_modify(|load| load.is_lost = true);
    }

    /// Empties the cache.
    pub(super) fn flush(&mut self) {
        self.cache.clear();
        self.loads.values_mut().for_each(|load| load.is_lost = true);
    }

    /// Takes the requests that a renewal releases.
    pub(super) fn release(&mut self, began: Moment) -> Vec<Request> {
        self.waiting.extract_if(.., |request| Arrival::at(request.arrival).is_released_by(began)).collect()
    }
}
