//! The clocks a verified key is judged by: a monotonic one for "still good?", the wall clock for "expired?".
//!
//! A cached answer lives by [`Tick`]s alone, so a wall clock that jumps neither revives nor ends it. The wall clock is
//! read once, when an answer is loaded, to turn expiry dates into ticks.

use std::time::{Duration, Instant, SystemTime};

/// A point on a [`Clock`]'s monotonic scale, in nanoseconds.
///
/// Ticks of different clocks can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    /// Later than every reading: "no end".
    pub const NEVER: Tick = Tick(u64::MAX);

    /// The first reading of any clock. Smaller values are free to mean something else (an entry's dead and stale marks).
    pub(crate) const FIRST: Tick = Tick(1_000_000_000);

    /// This point and `duration` more, or [`NEVER`](Tick::NEVER) where the scale ends.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Tick {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Tick(self.0.saturating_add(nanos))
    }

    /// How long `earlier` was before this point; zero if it was not.
    #[must_use]
    pub fn saturating_since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }
}

/// Where an [`Authenticator`](crate::Authenticator) reads the time.
///
/// The system's clocks unless told otherwise; the feature `test-util` has a `ManualClock` that tests move by hand.
///
/// ```
/// let clock = apikey_core::Clock::system();
/// assert!(clock.now() <= clock.now());
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System {
        origin: Instant,
    },
    #[cfg(feature = "test-util")]
    Manual(crate::test_util::ManualClock),
}

impl Clock {
    /// The operating system's monotonic clock and wall clock.
    #[must_use]
    pub fn system() -> Self {
        Clock(Kind::System { origin: Instant::now() })
    }

    #[cfg(feature = "test-util")]
    pub(crate) fn manual(clock: crate::test_util::ManualClock) -> Self {
        Clock(Kind::Manual(clock))
    }

    /// The monotonic reading.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Tick {
        match &self.0 {
            Kind::System { origin } => Tick::FIRST.saturating_add(origin.elapsed()),
            #[cfg(feature = "test-util")]
            Kind::Manual(clock) => clock.now(),
        }
    }

    /// The wall clock's reading.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Kind::System { .. } => SystemTime::now(),
            #[cfg(feature = "test-util")]
            Kind::Manual(clock) => clock.wall(),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_duration_past_the_scale_when_added_then_it_saturates() {
        assert_eq!(Tick::FIRST.saturating_add(Duration::MAX), Tick::NEVER);
        assert_eq!(Tick::NEVER.saturating_add(Duration::from_secs(1)), Tick::NEVER);
    }

    #[test]
    fn given_a_later_point_when_asked_how_long_since_then_zero() {
        let later = Tick::FIRST.saturating_add(Duration::from_secs(5));
        assert_eq!(Tick::FIRST.saturating_since(later), Duration::ZERO);
        assert_eq!(later.saturating_since(Tick::FIRST), Duration::from_secs(5));
    }
}
