//! Exponential backoff with jitter, for stores that fail.

use std::time::Duration;

use crate::chance;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// A delay that grows until it is reset.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Returns the delay after another failure: between half and all of a span that doubles, up to a minute.
    pub(crate) fn next(&mut self) -> Duration {
        let span = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        span.mul_f64(1.0 - chance::part() / 2.0)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_failures_when_asked_then_waits_double_up_to_a_minute_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::default();
        for n in 0..40 {
            let span = (FIRST * 2_u32.pow(n.min(7))).min(LONGEST);
            let wait = backoff.next();
            assert!((span / 2..=span).contains(&wait), "{n}: {wait:?} of {span:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
