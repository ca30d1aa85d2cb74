//! A clock that only moves when told to.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use crate::clock::{Clock, Tick};

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
pub struct ManualClock(Arc<Mutex<Reading>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    tick: Tick,
    wall: SystemTime,
}

impl ManualClock {
    /// A clock whose wall time is 2030-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        ManualClock(Arc::new(Mutex::new(Reading {
            tick: Tick::FIRST,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000),
        })))
    }

    /// Lets `duration` pass.
    pub fn advance(&self, duration: Duration) {
        let mut reading = self.reading();
        reading.tick = reading.tick.saturating_add(duration);
        reading.wall += duration;
    }

    /// Sets the wall clock alone, as an operator or a time server may; no time passes.
    pub fn set_wall(&self, wall: SystemTime) {
        self.reading().wall = wall;
    }

    /// The monotonic reading.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.reading().tick
    }

    /// The wall clock's reading.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.reading().wall
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
