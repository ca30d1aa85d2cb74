//! When a node renews. The protocol is safe at any pace; this one is about load and latency.

use std::time::Duration;

use crate::{Arrival, Moment, Settings};

/// When the next renewal is due.
///
/// ```
/// use std::time::Duration;
/// use apikey_fleet::{Arrival, Moment, Schedule, Settings};
///
/// let mut schedule = Schedule::new(Settings::new(), Moment::from_nanos(0));
/// assert_eq!(schedule.due(), Moment::from_nanos(0), "a node joins at once");
/// schedule.succeeded(Moment::from_nanos(0), 0);
/// assert_eq!(schedule.due(), Moment::from_nanos(2_000_000_000), "a fifth of the lease");
/// let arrival = Moment::from_nanos(700);
/// schedule.want(Arrival::at(arrival));
/// assert_eq!(schedule.due(), arrival, "a request waits");
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    every: Duration,
    due: Moment,
    failures: u32,
    wanted: Option<Arrival>,
    /// The next renewal is due because of a hint.
    is_hinted: bool,
}

impl Schedule {
    const FIRST_PAUSE: Duration = Duration::from_millis(20);
    /// From so many nodes on, their renewals for one change are spread.
    const MANY: u32 = 300;
    /// For each of them, in microseconds.
    const SPREAD: u32 = 333;

    /// A schedule whose first renewal is due now.
    #[must_use]
    pub fn new(settings: Settings, now: Moment) -> Self {
        Schedule { every: settings.renewed_every(), due: now, failures: 0, wanted: None, is_hinted: false }
    }

    /// Returns when to begin the next renewal.
    #[must_use]
    pub fn due(&self) -> Moment {
        match self.wanted {
            // A store that fails is not asked more often because many requests wait.
            Some(arrival) if self.failures == 0 => self.due.min(arrival.moment()),
            _ => self.due,
        }
    }

    /// A request waits for a renewal that begins now or later.
    pub fn want(&mut self, arrival: Arrival) {
        self.wanted = self.wanted.max(Some(arrival));
    }

    /// A hint says that something has changed. It reaches all nodes at once, and each renews for it.
    ///
    /// Up to 299 `nodes` renew at once. More take a third of a second for a thousand of them, so that changes in a row cost
    /// each node one renewal and one acknowledgement, and the server of up to 6,000 nodes with the usual lease about 6,000 of each a second at
    /// most. `random` is any
    /// number, and spreads them.
    pub fn hint(&mut self, now: Moment, nodes: usize, random: u32) {
        // A renewal that one hint has made due is not made due sooner by the next one.
        if self.failures > 0 || std::mem::replace(&mut self.is_hinted, true) {
            return;
        }
        let spread = match u32::try_from(nodes) {
            Ok(nodes) if nodes >= Self::MANY => nodes.saturating_mul(Self::SPREAD),
            Ok(_) => 0,
            Err(_) => u32::MAX,
        };
        let spread = Duration::from_micros(spread.into()).min(self.every);
        let part = f64::from(random) / f64::from(u32::MAX);
        self.due = self.due.min(now.saturating_add(spread.mul_f64(part)));
    }

    /// The renewal that began at `began` counts. `random` is any number, and spreads the renewals of nodes that started together.
    pub fn succeeded(&mut self, began: Moment, random: u32) {
        self.failures = 0;
        self.is_hinted = false;
        self.due = began.saturating_add(shortened(self.every, random));
        self.wanted = self.wanted.filter(|arrival| !arrival.is_released_by(began));
    }

    /// The node has lost its place in the history and joins anew.
    pub fn restart(&mut self, now: Moment) {
        self.due = now;
    }

    /// A renewal failed. The pause before the next one doubles with each failure, up to the usual interval.
    pub fn failed(&mut self, now: Moment, random: u32) {
        let pause = Self::FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(self.every);
        self.failures = self.failures.saturating_add(1);
        self.is_hinted = false;
        self.due = now.saturating_add(shortened(pause, random));
    }
}

/// Takes up to a fifth away.
fn shortened(duration: Duration, random: u32) -> Duration {
    duration - (duration / 5).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_nanos(5_000_000_000);

    #[test]
    fn given_failures_when_they_go_on_then_pauses_grow_up_to_the_interval() {
        let mut schedule = Schedule::new(Settings::new(), NOW);
        let pauses = std::iter::repeat_with(|| {
            schedule.failed(NOW, 0);
            schedule.due().saturating_since(NOW).as_millis()
        });
        assert_eq!(pauses.take(9).collect::<Vec<_>>(), [20, 40, 80, 160, 320, 640, 1_280, 2_000, 2_000]);
    }

    #[test]
    fn given_a_failing_store_when_requests_wait_or_hints_come_then_it_is_not_asked_sooner() {
        let mut schedule = Schedule::new(Settings::new(), NOW);
        schedule.failed(NOW, 0);
        let due = schedule.due();
        schedule.want(Arrival::at(NOW));
        schedule.hint(NOW, 3, 0);
        assert_eq!(schedule.due(), due);
    }

    #[test]
    fn given_many_nodes_when_changes_come_in_a_row_then_their_renewals_are_spread_and_each_is_for_all() {
        let spread = |nodes, random| {
            let mut schedule = Schedule::new(Settings::new(), Moment::from_nanos(0));
            schedule.succeeded(NOW, 0);
            schedule.hint(NOW, nodes, random);
            let due = schedule.due();
            schedule.hint(NOW, nodes, 0);
            assert_eq!(schedule.due(), due, "the second hint is for the same renewal");
            due.saturating_since(NOW).as_millis()
        };
        assert_eq!([3, 299].map(|nodes| spread(nodes, u32::MAX)), [0, 0]);
        assert_eq!([300, 1_000].map(|nodes| spread(nodes, u32::MAX)), [99, 333]);
        assert_eq!([100_000, usize::MAX].map(|nodes| spread(nodes, u32::MAX)), [2_000, 2_000]);
        assert_eq!(spread(1_000, u32::MAX / 2), 166);
        // After the renewal, the next hint counts.
        let mut schedule = Schedule::new(Settings::new(), NOW);
        schedule.hint(NOW, 1_000, 0);
        schedule.succeeded(NOW, 0);
        schedule.hint(NOW, 1_000, 0);
        assert_eq!(schedule.due(), NOW);
    }

    #[test]
    fn given_a_waiting_request_when_an_older_renewal_succeeds_then_another_is_due_for_it() {
        let mut schedule = Schedule::new(Settings::new(), Moment::from_nanos(0));
        schedule.want(Arrival::at(NOW));
        schedule.succeeded(Moment::from_nanos(4_000_000_000), 0);
        assert_eq!(schedule.due(), NOW);
        schedule.succeeded(NOW, u32::MAX);
        assert_eq!(schedule.due().saturating_since(NOW), Duration::from_millis(1_600));
    }
}
