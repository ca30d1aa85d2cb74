//! What a simulation was about, so that nobody takes an idle one for a good one.

use std::{fmt, ops::AddAssign};

/// Counts over one or many simulations.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// From the answer to the commit to the receipt, in nanoseconds of true time.
    pub receipts: Vec<u64>,
    /// Receipts that name nodes that were waited out.
    pub waited_out: u64,
    /// Changes whose commit had an unknown outcome.
    pub unknown: u64,
    /// Requests that were answered from the cache, or by a load.
    pub hits: u64,
    pub loads: u64,
    /// Requests that waited for a renewal and were then answered.
    pub regained: u64,
    /// Requests that were refused because the state of affairs wasn't known (503).
    pub unavailable: u64,
    pub renewals: u64,
    /// Renewals that did not count, as the server lacked the row.
    pub uncounted: u64,
    pub joins: u64,
    /// How often a node lost its place in the history.
    pub lost_places: u64,
    /// Answers to loads that were too old.
    pub stale_answers: u64,
    pub swept: u64,
    pub failovers: u64,
    pub restores: u64,
    pub events: u64,
    /// Statements that the database executed.
    pub statements: u64,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Report) {
        self.receipts.extend(other.receipts);
        self.waited_out += other.waited_out;
        self.unknown += other.unknown;
        self.hits += other.hits;
        self.loads += other.loads;
        self.regained += other.regained;
        self.unavailable += other.unavailable;
        self.renewals += other.renewals;
        self.uncounted += other.uncounted;
        self.joins += other.joins;
        self.lost_places += other.lost_places;
        self.stale_answers += other.stale_answers;
        self.swept += other.swept;
        self.failovers += other.failovers;
        self.restores += other.restores;
        self.events += other.events;
        self.statements += other.statements;
    }
}

impl Report {
    /// Returns the time within which so many of a thousand receipts came, in milliseconds.
    #[must_use]
    pub fn receipts_at(&self, permille: usize) -> f64 {
        let mut receipts = self.receipts.clone();
        receipts.sort_unstable();
        receipts.get((receipts.len().max(1) - 1) * permille / 1000).map_or(0.0, |nanos| *nanos as f64 / 1e6)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut receipts = self.receipts.clone();
        receipts.sort_unstable();
        let at = |permille: usize| match receipts.len() {
            0 => 0,
            count => receipts[(count - 1) * permille / 1000] / 1_000_000,
        };
        let Report { waited_out, unknown, hits, loads, regained, unavailable, renewals, uncounted, .. } = self;
        let Report { joins, lost_places, stale_answers, swept, failovers, restores, events, .. } = self;
        writeln!(
            f,
            "receipts: {} in {} ms at the median, {} ms at 90 %, {} ms at 99 %, {} ms at most; {waited_out} name nodes that were \
             waited out; {unknown} commits of unknown outcome",
            receipts.len(),
            at(500),
            at(900),
            at(990),
            at(1000),
        )?;
        writeln!(
            f,
            "requests: {hits} from the cache, {loads} by a load, {regained} of them after a renewal; {unavailable} unavailable"
        )?;
        write!(
            f,
            "renewals: {renewals}, {uncounted} uncounted, {joins} joins, {lost_places} lost places; {stale_answers} stale answers, \
             {swept} rows swept, {failovers} failovers, {restores} restores; {events} events"
        )
    }
}
