//! Until when a cached answer may be believed, and what a request waits for that comes later.

use crate::Moment;

/// Until when this process may answer from its cache.
///
/// A request reads the clock first, then the lease, then the cache. A driver that publishes leases through an atomic stores
/// [`to_bits`](Lease::to_bits) with `Release` and loads it with `Acquire`, so that who sees a lease sees the cache as it was
/// when the lease was published, or newer.
///
/// ```
/// use apikey_fleet::{Lease, Moment};
///
/// let lease = Lease::until(Moment::from_nanos(500));
/// assert!(lease.covers(Moment::from_nanos(499)));
/// assert!(!lease.covers(Moment::from_nanos(500)));
/// assert!(!Lease::NONE.covers(Moment::from_nanos(0)));
/// assert_eq!(Lease::from_bits(lease.to_bits()), lease);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease(u64);

impl Lease {
    /// No lease: nothing is believed.
    pub const NONE: Self = Lease(0);

    /// A lease that ends at `end`.
    #[must_use]
    pub const fn until(end: Moment) -> Self {
        Lease(end.as_nanos())
    }

    /// Returns `true` if a request that read `now` before it asked may use the cache.
    #[must_use]
    pub const fn covers(self, now: Moment) -> bool {
        now.as_nanos() < self.0
    }

    /// Returns the lease as a word for an atomic.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The lease that [`to_bits`](Lease::to_bits) was called on.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Lease(bits)
    }
}

/// A request that came while there was no lease.
///
/// Only a renewal that began after it came says anything about what was committed before it came. It waits for one, and
/// then uses the cache or a [`Load`](crate::Load). A look-up in its place would be no remedy, since a server that was
/// deposed answers look-ups, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival(Moment);

impl Arrival {
    /// A request that read `now` when it came.
    #[must_use]
    pub const fn at(now: Moment) -> Self {
        Arrival(now)
    }

    /// Returns the reading of the clock.
    #[must_use]
    pub const fn moment(self) -> Moment {
        self.0
    }

    /// Returns `true` if a renewal that began at `began` lets this request go on.
    #[must_use]
    pub fn is_released_by(self, began: Moment) -> bool {
        began >= self.0
    }
}
