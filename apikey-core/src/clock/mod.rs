//! The clocks that verified keys are judged by: the monotonic clock for the cache, the wall clock for expiry.
//!
//! Cached answers live by [`Tick`]s alone, so a wall clock that jumps neither revives nor ends them. The wall clock is
//! read once, when an answer is loaded, to convert expiry dates to ticks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

#[cfg(feature = "test-util")]
mod manual;
mod timestamp;

#[cfg(feature = "test-util")]
pub use self::manual::ManualClock;
pub use self::timestamp::{Timestamp, TimestampError};

/// How far the coarse clock may lag, in nanoseconds. Linux updates it at least every 10 ms; this is twice that, because
/// an update may be late.
#[cfg(target_os = "linux")]
const LAG: u64 = 20_000_000;

/// The largest step back that the wall clock hides, in nanoseconds: five minutes. Corrections by a time server or by a
/// database that answered slowly, at most as slowly as a lease lasts, are smaller; a larger step means that the clock was
/// wrong before.
const HIDDEN_STEP: i64 = 300_000_000_000;

/// A point on a [`Clock`]'s monotonic scale, in nanoseconds.
///
/// Ticks of different clocks can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    /// Later than every reading; it means "no end".
    pub const NEVER: Tick = Tick(u64::MAX);

    /// The first reading of any clock. Smaller values have other meanings: they mark dead and stale entries.
    pub(crate) const FIRST: Tick = Tick(1_000_000_000);

    /// Returns this point plus `duration`, at most [`NEVER`](Tick::NEVER).
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Tick {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Tick(self.0.saturating_add(nanos))
    }

    /// Returns the time from `earlier` to this point, or zero if `earlier` is later.
    #[must_use]
    pub fn saturating_since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Tick(nanos)
    }

    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }
}

/// The source of time of an [`Authenticator`](crate::Authenticator).
///
/// By default it reads the system's clocks. The feature `test-util` adds a `ManualClock`, which tests move by hand.
///
/// ```
/// let clock = apikey_core::Clock::system();
/// assert!(clock.now() <= clock.now());
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System(System),
    #[cfg(feature = "test-util")]
    Manual(ManualClock),
}

impl Clock {
    /// Returns the operating system's monotonic clock and wall clock.
    #[must_use]
    pub fn system() -> Self {
        Clock(Kind::System(System { monotonic: Monotonic::begin(), origin: Arc::default(), latest: Arc::default() }))
    }

    #[cfg(feature = "test-util")]
    pub(crate) fn manual(clock: ManualClock) -> Self {
        Clock(Kind::Manual(clock))
    }

    /// Returns the monotonic reading.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Tick {
        match &self.0 {
            Kind::System(system) => system.monotonic.now(),
            #[cfg(feature = "test-util")]
            Kind::Manual(clock) => clock.now(),
        }
    }

    /// Returns a point that is near and not earlier than [`now`](Clock::now): what is judged by it ends slightly early,
    /// never late. With a coarse clock, it costs a fifth of a reading.
    ///
    /// The coarse clock stands still while a hypervisor suspends the processor that updates it, so promises to other
    /// machines must not rely on it.
    #[inline]
    pub(crate) fn at_latest(&self) -> Tick {
        match &self.0 {
            Kind::System(system) => system.monotonic.at_latest(),
            #[cfg(feature = "test-util")]
            Kind::Manual(clock) => clock.now(),
        }
    }

    /// Registers `driven` for every time the clock is moved by hand. Returns `false` if the clock moves by itself.
    #[cfg_attr(not(feature = "test-util"), expect(unused_variables, reason = "used only with a manual clock"))]
    pub(crate) fn drives(&self, driven: &Arc<impl Driven>) -> bool {
        match &self.0 {
            Kind::System(_) => false,
            #[cfg(feature = "test-util")]
            Kind::Manual(clock) => {
                let driven: Arc<dyn Driven> = driven.clone();
                clock.drive(&driven);
                true
            }
        }
    }

    /// Sets the wall clock by a server's. `wall` was read there after this clock's reading `asked`, and before this call.
    /// From then on the wall clock is this reading and the monotonic time since, whatever becomes of the system's.
    ///
    /// The wall clock is rather ahead of the server's, by at most the time that the question took: keys end early, never
    /// late. A clock that agrees so far is not moved. [`wall`](Clock::wall) hides small steps back. A clock that is moved
    /// by hand ignores this.
    pub fn set_by_server(&self, wall: Timestamp, asked: Tick) {
        match &self.0 {
            Kind::System(system) => system.set_by_server(wall, asked),
            #[cfg(feature = "test-util")]
            Kind::Manual(_) => {}
        }
    }

    /// Returns the wall clock's reading. If the clock is set back by at most five minutes, its readings stand still until it
    /// has caught up, so that what one process did in turn has times in this order. What the system's clock showed before a
    /// server's time was known doesn't count.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        self.system_time().into()
    }

    /// Returns the time left until `moment` by the wall clock, to its full precision, or zero once `moment` has passed.
    pub(crate) fn until(&self, moment: Timestamp) -> Duration {
        SystemTime::from(moment).duration_since(self.system_time()).unwrap_or_default()
    }

    fn system_time(&self) -> SystemTime {
        match &self.0 {
            Kind::System(system) => system.wall(),
            #[cfg(feature = "test-util")]
            Kind::Manual(clock) => clock.system_time(),
        }
    }
}

/// Something that checks the time whenever a clock is moved by hand.
pub(crate) trait Driven: Send + Sync + 'static {
    /// Called after the clock has moved.
    #[cfg_attr(not(feature = "test-util"), expect(dead_code, reason = "used only with a manual clock"))]
    fn turn(&self);
}

#[derive(Clone, Debug)]
struct System {
    monotonic: Monotonic,
    /// The wall time at tick zero, in nanoseconds since the Unix epoch; zero while the system's wall clock is used.
    origin: Arc<AtomicI64>,
    /// The latest reading of the wall clock, in nanoseconds since the Unix epoch.
    latest: Arc<AtomicI64>,
}

impl System {
    fn wall(&self) -> SystemTime {
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let read = match self.origin.load(Ordering::Relaxed) {
            0 => nanos(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            origin => origin.saturating_add(nanos(self.monotonic.now().saturating_since(Tick(0)))),
        };
        let latest = self.latest.fetch_max(read, Ordering::Relaxed);
        let shown = if latest.saturating_sub(read) > HIDDEN_STEP {
            self.latest.store(read, Ordering::Relaxed);
            read
        } else {
            read.max(latest)
        };
        SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(shown).unwrap_or_default())
    }

    fn set_by_server(&self, wall: Timestamp, asked: Tick) {
        let nanos = |tick: Tick| i64::try_from(tick.0).unwrap_or(i64::MAX);
        let wall = wall.as_millis().saturating_mul(1_000_000);
        // The server's reading has whole milliseconds.
        let earliest = wall.saturating_sub(nanos(self.monotonic.now()));
        let latest = wall.saturating_add(1_000_000).saturating_sub(nanos(asked));
        if !(earliest..=latest).contains(&self.origin.load(Ordering::Relaxed)) {
            let before = self.origin.swap(latest, Ordering::Relaxed);
            if before == 0 {
                // The system's clock is of no account from now on. If it was ahead, keys would end early until it is caught up.
                self.latest.store(0, Ordering::Relaxed);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Monotonic {
    #[cfg(target_os = "linux")]
    coarse_origin: coarsetime::Instant,
    origin: Instant,
}

impl Monotonic {
    fn begin() -> Self {
        // Read in this order, so that the coarse clock is behind the other by its lag at most.
        Monotonic {
            #[cfg(target_os = "linux")]
            coarse_origin: coarsetime::Instant::now_without_cache_update(),
            origin: Instant::now(),
        }
    }

    #[inline]
    fn now(self) -> Tick {
        Tick::FIRST.saturating_add(self.origin.elapsed())
    }

    #[cfg(target_os = "linux")]
    #[inline]
    fn at_latest(self) -> Tick {
        // Not `elapsed`, which writes to memory that all threads share.
        let coarse = coarsetime::Instant::now_without_cache_update().duration_since(self.coarse_origin);
        Tick(Tick::FIRST.0.saturating_add(coarse.as_nanos()).saturating_add(LAG))
    }

    #[cfg(not(target_os = "linux"))]
    #[inline]
    fn at_latest(self) -> Tick {
        self.now()
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
    fn given_the_system_clock_when_read_at_latest_then_the_reading_is_ahead_but_not_far() {
        let clock = Clock::system();
        let readings: Vec<_> = (0..1_000).map(|_| (clock.now(), clock.at_latest(), clock.now())).collect();
        let far = Duration::from_secs(1);
        assert!(readings.iter().all(|(_, latest, after)| latest.saturating_since(*after) < far));
        // All readings are, unless the machine pauses in between.
        assert!(readings.iter().any(|(before, latest, _)| latest >= before));
    }

    #[test]
    fn given_a_servers_time_when_set_then_the_wall_clock_follows_it_and_is_never_behind() {
        let clock = Clock::system();
        let hour = Duration::from_secs(3_600);
        let asked = clock.now();
        let server = clock.wall() + hour;
        clock.set_by_server(server, asked);
        let (wall, limit) = (clock.wall(), server + Duration::from_secs(60));
        assert!((server..limit).contains(&wall), "{wall} of {server}");
        assert!(clock.clone().wall() >= wall, "clones share it");
        // A time that agrees, as far as can be told, moves nothing.
        let Kind::System(system) = &clock.0 else { unreachable!() };
        let origin = system.origin.load(Ordering::Relaxed);
        clock.set_by_server(clock.wall(), Tick(0));
        assert_eq!(system.origin.load(Ordering::Relaxed), origin);
        // A failover may set it back.
        clock.set_by_server(server.saturating_sub(2 * hour), clock.now());
        assert!(clock.wall() < server);
    }

    #[test]
    fn given_a_server_that_answered_slowly_when_it_answers_again_then_the_wall_clock_does_not_step_back() {
        let clock = Clock::system();
        let server = clock.wall();
        // The first question took two minutes, so the clock was set ahead by as much; the next took none.
        clock.set_by_server(server + Duration::from_secs(120), clock.now());
        let ahead = clock.wall();
        clock.set_by_server(server, clock.now());
        let held = clock.wall();
        assert!(ahead <= held && held < ahead + Duration::from_secs(5), "{ahead} {held}");
        assert!(held <= clock.wall());
        // It was wrong by hours, and goes on from where it should be.
        clock.set_by_server(server + Duration::from_secs(7_200), clock.now());
        assert!(clock.wall() > ahead);
        clock.set_by_server(server, clock.now());
        let (first, second) = (clock.wall(), clock.wall());
        assert!(first <= second && second < ahead, "{first} {second}");
    }

    #[test]
    fn given_a_system_clock_that_is_ahead_when_set_by_a_server_then_the_servers_time_is_shown_at_once() {
        let clock = Clock::system();
        let server = clock.wall().saturating_sub(Duration::from_secs(30));
        clock.set_by_server(server, clock.now());
        let shown = clock.wall();
        assert!(server <= shown && shown < server + Duration::from_secs(20), "{shown} of {server}");
    }

    #[test]
    fn given_a_later_point_when_asked_how_long_since_then_zero() {
        let later = Tick::FIRST.saturating_add(Duration::from_secs(5));
        assert_eq!(Tick::FIRST.saturating_since(later), Duration::ZERO);
        assert_eq!(later.saturating_since(Tick::FIRST), Duration::from_secs(5));
    }
}
