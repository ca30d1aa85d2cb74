//! Waits for what the service writes a moment later.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

/// Longer than writing takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads until what is read is as expected, which a read on a busy machine may precede: it waits for pending writes for a
/// second at most.
pub(crate) fn eventually<T: PartialEq + Debug>(expected: &T, read: impl Fn() -> T) {
    let begun = Instant::now();
    loop {
        let found = read();
        if found == *expected {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{found:?}, not {expected:?}");
        thread::sleep(Duration::from_millis(50));
    }
}
