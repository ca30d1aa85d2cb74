//! Random numbers that spread what many processes do. No secret depends on them.

use std::time::Duration;

/// Without randomness, this is zero: processes that started together stay together.
pub(crate) fn random() -> u32 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_or(0, |()| u32::from_be_bytes(bytes))
}

/// Returns a number from zero to one.
pub(crate) fn part() -> f64 {
    f64::from(random()) / f64::from(u32::MAX)
}

/// Takes up to a fifth away.
pub(crate) fn shortened(span: Duration) -> Duration {
    span - (span / 5).mul_f64(part())
}
