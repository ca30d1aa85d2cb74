//! The clock of leases. It goes on while the machine sleeps, which [`std::time::Instant`] does not everywhere.
//!
//! Linux has `CLOCK_BOOTTIME`, and macOS's `CLOCK_MONOTONIC` counts sleep, too. Elsewhere this is `Instant`: a process
//! that was suspended with its machine may believe in a lease for what was left of it.

use apikey_fleet::Moment;

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn now() -> Moment {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(target_vendor = "apple")]
    const CLOCK: ClockId = ClockId::Monotonic;
    #[cfg(not(target_vendor = "apple"))]
    const CLOCK: ClockId = ClockId::Boottime;
    let time = clock_gettime(CLOCK);
    let part = |part: i64| u64::try_from(part).unwrap_or_default();
    #[expect(clippy::useless_conversion, reason = "the width of the fields is the platform's")]
    let (seconds, nanos) = (part(time.tv_sec.into()), part(time.tv_nsec.into()));
    Moment::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn now() -> Moment {
    use std::{
        sync::LazyLock,
        time::{Duration, Instant},
    };
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // Zero would be no moment after any other.
    Moment::from_nanos(1).saturating_add(ORIGIN.elapsed().max(Duration::from_nanos(1)))
}
