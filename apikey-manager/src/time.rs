//! Moments as stores keep them: whole milliseconds since the Unix epoch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch; negative before it, and at the end of the scale what lies beyond.
#[must_use]
pub fn to_millis(moment: SystemTime) -> i64 {
    let clamp = |millis: u128| i64::try_from(millis).unwrap_or(i64::MAX);
    match moment.duration_since(UNIX_EPOCH) {
        Ok(since) => clamp(since.as_millis()),
        Err(before) => -clamp(before.duration().as_millis()),
    }
}

/// The moment so many milliseconds after the epoch.
#[must_use]
pub fn from_millis(millis: i64) -> SystemTime {
    let span = Duration::from_millis(millis.unsigned_abs());
    let moment = if millis < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) };
    moment.unwrap_or(UNIX_EPOCH)
}

/// `moment` without what a store can't keep of it.
#[must_use]
pub fn truncated(moment: SystemTime) -> SystemTime {
    from_millis(to_millis(moment))
}
