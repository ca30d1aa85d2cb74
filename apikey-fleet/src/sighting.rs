//! Rows of nodes that ended without leaving.

use crate::{Beat, Moment, NodeId, NodeRow, Settings};

/// How a row looked, and since when it has.
///
/// Rows of killed nodes delay every receipt, so some node looks at all rows from time to time and keeps a sighting of each.
///
/// ```
/// use std::time::Duration;
/// use apikey_fleet::{Beat, Moment, NodeId, NodeRow, Revision, Sighting, Sweep};
///
/// let second = |seconds: u64| Moment::from_nanos(seconds * 1_000_000_000);
/// let row = NodeRow { id: NodeId::new(1), lease: Duration::from_secs(8), applied: Revision::ZERO, beat: Beat::new(5) };
/// let mut sighting = Sighting::new(&row, second(0));
/// assert_eq!(sighting.look(&row, second(9)), None);
/// assert_eq!(sighting.look(&row, second(10)), Some(Sweep { id: row.id, beat: row.beat }));
/// let alive = NodeRow { beat: Beat::new(6), ..row };
/// assert_eq!(sighting.look(&alive, second(20)), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sighting {
    id: NodeId,
    beat: Beat,
    since: Moment,
}

/// A statement for the store: deletes the row of this id, if it still has this beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sweep {
    /// Whose row it is.
    pub id: NodeId,
    /// The beat that was seen.
    pub beat: Beat,
}

impl Sighting {
    /// The first look at a row.
    #[must_use]
    pub const fn new(row: &NodeRow, now: Moment) -> Self {
        Sighting { id: row.id, beat: row.beat, since: now }
    }

    /// Returns the beat that was seen.
    #[must_use]
    pub const fn beat(&self) -> Beat {
        self.beat
    }

    /// Looks again at the row of the same id. Returns what to do if its node can hold no lease any more.
    ///
    /// `now` is read after the row was.
    #[must_use]
    pub fn look(&mut self, row: &NodeRow, now: Moment) -> Option<Sweep> {
        if (row.id, row.beat) != (self.id, self.beat) {
            *self = Sighting::new(row, now);
        }
        (now >= self.since.saturating_add(Settings::drift(row.lease))).then_some(Sweep { id: self.id, beat: self.beat })
    }
}
