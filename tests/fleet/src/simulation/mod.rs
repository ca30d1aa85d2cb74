//! Whole fleets in virtual time: the real machine, a simulated database, clocks that drift, and faults at random.
//!
//! Where the exploration visits every state of a tiny world, this visits some states of a large one: many nodes, keys that
//! change back and forth, and time that is fine enough for a lease to end between any two steps.

mod calls;
mod changes;
mod database;
mod faults;
mod process;
mod random;
mod renewals;
mod report;
mod requests;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use apikey_fleet::{NodeId, Settings};

pub use self::report::Report;
use self::{
    calls::{Answer, Call},
    changes::ChangeUnderWay,
    database::{Database, Key, Version},
    process::{Process, Request},
    random::Random,
};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub nodes: usize,
    pub seconds: u64,
    /// Each node has a lease of so many milliseconds, from the first to the second.
    pub leases: (u64, u64),
    /// Of a thousand hints, so many arrive.
    pub hints: u64,
    /// Nothing goes wrong, but for hints that are lost.
    pub is_calm: bool,
    /// For tests of this simulation: answers of deposed primaries are used.
    pub ignores_floor: bool,
    /// For tests of this simulation: a renewal isn't told which changes its process knows of.
    pub hides_floor: bool,
    /// For tests of this simulation: receipts don't wait.
    pub waits_for_nobody: bool,
}

impl Plan {
    #[must_use]
    pub const fn of(nodes: usize) -> Self {
        Plan {
            nodes,
            seconds: 20,
            leases: (2_000, 4_000),
            hints: 700,
            is_calm: false,
            ignores_floor: false,
            hides_floor: false,
            waits_for_nobody: false,
        }
    }
}

/// Something that will happen to one process, or to none.
#[derive(Debug)]
enum Event {
    Due,
    Effect,
    AtStore(Call),
    Answer(Call, Answer),
    Timeout(Call),
    Gate(Request),
    LookUp(Request),
    RequestComes,
    ChangeBegins,
    Commit(usize),
    Look(usize),
    Hint,
    SweepRound,
    Fault,
    DatabaseFault,
    Start,
    Close,
    Reopen,
}

struct Scheduled {
    at: u64,
    /// Events of one time happen in the order in which they were scheduled.
    number: u64,
    /// The process, and its life.
    process: Option<(usize, u32)>,
    event: Event,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}

struct Simulation {
    plan: Plan,
    random: Random,
    /// True time, in nanoseconds.
    now: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    numbers: u64,
    processes: Vec<Process>,
    primary: Database,
    /// A deposed primary, and until when it answers.
    old: Option<(Database, u64)>,
    backup: Option<Database>,
    closed_until: u64,
    slow_until: u64,
    /// How long a process is left alone, on average.
    trouble: u64,
    changes: Vec<ChangeUnderWay>,
    versions: Version,
    /// What every request that comes now may rely on, by key.
    receipts: Vec<Version>,
    /// Versions that a restore has undone: those between the two.
    lost: Vec<(Version, Version)>,
    /// How often the database was restored.
    era: u32,
    report: Report,
    violation: Option<String>,
}

/// Simulates one fleet.
///
/// # Errors
///
/// A request was answered by what was true before a change, though it came after the change's receipt. Or a process renews its
/// lease, and takes every answer of the primary for a stale one.
pub fn simulate(plan: Plan, seed: u64) -> Result<Report, String> {
    let mut simulation = Simulation::new(plan, seed);
    let end = plan.seconds * SECOND;
    while let Some(Reverse(next)) = simulation.queue.pop() {
        if next.at > end {
            break;
        }
        simulation.now = next.at;
        simulation.report.events += 1;
        simulation.happen(next);
        if let Some(violation) = simulation.violation {
            return Err(format!("seed {seed}, {} ms: {violation}", simulation.now / MILLISECOND));
        }
    }
    Ok(simulation.report)
}

/// Simulates a fleet for each seed, on two threads.
///
/// # Errors
///
/// As [`simulate`], for the first seed in which it is found.
pub fn simulate_all(plan: Plan, seeds: Range<u64>) -> Result<Report, String> {
    let next = AtomicU64::new(seeds.start);
    let work = || -> Result<Report, String> {
        let mut all = Report::default();
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= seeds.end {
                return Ok(all);
            }
            all += simulate(plan, seed)?;
        }
    };
    thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        let mut all = Report::default();
        for worker in workers {
            all += worker.join().expect("no simulation panics")?;
        }
        Ok(all)
    })
}

impl Simulation {
    fn new(plan: Plan, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let keys = 6;
        let settings = |random: &mut Random| {
            Settings::new()
                .lease(Duration::from_millis(random.between(plan.leases.0, plan.leases.1)))
                .expect("a valid lease")
        };
        let processes = (0..plan.nodes).map(|_| {
            let settings = settings(&mut random);
            Process::new(settings, &mut random)
        });
        let processes = processes.collect();
        let trouble = [10, 30, 100, 1_000][random.below(4) as usize] * SECOND;
        let primary = Database::new(keys, random.wide());
        let mut simulation = Simulation {
            plan,
            random,
            now: 0,
            queue: BinaryHeap::new(),
            numbers: 0,
            processes,
            primary,
            old: None,
            backup: None,
            closed_until: 0,
            slow_until: 0,
            trouble,
            changes: Vec::new(),
            versions: 0,
            receipts: vec![0; keys],
            lost: Vec::new(),
            era: 0,
            report: Report::default(),
            violation: None,
        };
        for process in 0..plan.nodes {
            simulation.after(SECOND, process, Event::Start);
        }
        simulation.at(SECOND / 2, None, Event::RequestComes);
        simulation.at(SECOND / 2, None, Event::ChangeBegins);
        if !plan.is_calm {
            simulation.at(SECOND / 2, None, Event::Fault);
            simulation.at(SECOND / 2, None, Event::DatabaseFault);
        }
        simulation
    }

    fn at(&mut self, at: u64, process: Option<(usize, u32)>, event: Event) {
        self.numbers += 1;
        self.queue.push(Reverse(Scheduled { at, number: self.numbers, process, event }));
    }

    /// Schedules an event of a process for some time within the next `most` nanoseconds.
    fn after(&mut self, most: u64, process: usize, event: Event) {
        let at = self.now + self.random.below(most + 1);
        self.at(at, Some((process, self.processes[process].life)), event);
    }

    /// Draws an id for a node.
    fn id(&mut self) -> NodeId {
        NodeId::new(self.random.wide())
    }

    fn happen(&mut self, scheduled: Scheduled) {
        let Scheduled { process, event, .. } = scheduled;
        let Some((process, life)) = process else {
            return match event {
                Event::AtStore(call) => self.at_store(call),
                Event::RequestComes => self.request_comes(),
                Event::ChangeBegins => self.change_begins(),
                Event::Fault => self.fault(),
                Event::DatabaseFault => self.database_fault(),
                Event::Close => self.close(),
                Event::Reopen => self.reopen(),
                _ => unreachable!("it is a process's"),
            };
        };
        if self.processes[process].life != life {
            return;
        }
        let stalled_until = self.processes[process].stalled_until;
        if self.now < stalled_until {
            // In any order, when it goes on.
            let at = stalled_until + self.random.below(MILLISECOND);
            return self.at(at, Some((process, life)), event);
        }
        match event {
            Event::Due => self.due(process),
            Event::Effect => self.effect(process),
            Event::Answer(call, answer) => self.answer(process, call, answer),
            Event::Timeout(call) => self.answer(process, call, Answer::Failed),
            Event::Gate(request) => self.gate(process, request),
            Event::LookUp(request) => self.look_up(process, request),
            Event::Commit(change) => self.commit(process, change),
            Event::Look(change) => self.look(process, change),
            Event::Hint => self.hint(process),
            Event::SweepRound => self.sweep_round(process),
            Event::Start => self.start(process),
            _ => unreachable!("it is nobody's"),
        }
    }

    /// The longest lease of any process, with what others add to it.
    fn longest_lease(&self) -> u64 {
        let leases = self.processes.iter().map(|process| Settings::drift(process.settings.leased()));
        leases.max().map_or(0, |lease| lease.as_nanos() as u64)
    }

    /// Checks the one promise there is.
    fn check(&mut self, request: &Request, version: Version) {
        let is_lost = self.lost.iter().any(|(after, to)| *after < version && version <= *to);
        if request.era == self.era && (version < request.needs || is_lost) {
            let Request { key, needs, .. } = request;
            let what = if is_lost { "which a restore has undone" } else { "which is older" };
            self.violation = Some(format!("key {key} is to be at {needs}, and was answered at {version}, {what}"));
        }
    }
}
