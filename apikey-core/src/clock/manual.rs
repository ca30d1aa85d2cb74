//! A clock that only moves when told to.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use super::{Clock, Driven, Tick, Timestamp};

/// A [`Clock`] that stands still until it is moved.
///
/// ```
/// use std::time::Duration;
/// use apikey_core::{Authenticator, ManualClock, StaticKeys};
///
/// # let keys = StaticKeys::parse(&format!("ci sha256:{}", "00".repeat(32)))?;
/// let clock = ManualClock::new();
/// let authenticator = Authenticator::builder(keys).clock(clock.clone()).build()?;
/// clock.advance(Duration::from_secs(3_600)); // every key that expires within the hour has expired
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub struct ManualClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    reading: Mutex<Reading>,
    /// What checks for expired keys whenever the clock is moved.
    driven: Mutex<Vec<Weak<dyn Driven>>>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    tick: Tick,
    // Finer than a timestamp, so that small steps add up.
    wall: SystemTime,
}

impl ManualClock {
    /// Creates a clock whose wall time is 2030-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        let reading = Reading { tick: Tick::FIRST, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000) };
        ManualClock(Arc::new(Shared { reading: Mutex::new(reading), driven: Mutex::default() }))
    }

    /// Advances both clocks by `duration`. Tasks that wait for the end of a key that expires meanwhile are woken before
    /// this returns.
    pub fn advance(&self, duration: Duration) {
        {
            let mut reading = self.reading();
            reading.tick = reading.tick.saturating_add(duration);
            reading.wall += duration;
        }
        let driven = self.driven().clone();
        driven.iter().filter_map(Weak::upgrade).for_each(|driven| driven.turn());
    }

    /// Sets the wall clock alone, as an operator or a time server may. The monotonic clock stands still.
    pub fn set_wall(&self, wall: impl Into<Timestamp>) {
        self.reading().wall = wall.into().into();
    }

    /// Returns the monotonic reading.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.reading().tick
    }

    /// Returns the wall clock's reading.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        self.reading().wall.into()
    }

    pub(crate) fn system_time(&self) -> SystemTime {
        self.reading().wall
    }

    pub(super) fn drive(&self, new: &Arc<dyn Driven>) {
        let mut driven = self.driven();
        driven.retain(|driven| driven.strong_count() > 0);
        driven.push(Arc::downgrade(new));
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn driven(&self) -> MutexGuard<'_, Vec<Weak<dyn Driven>>> {
        self.0.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock::new()
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Clock::manual(clock)
    }
}
