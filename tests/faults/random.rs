//! Numbers that a seed determines: splitmix64.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::sleep;

/// The seed of this run: `APIKEY_SEED`, or the time.
pub(crate) fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    env::var("APIKEY_SEED").map_or_else(|_| now(), |seed| seed.parse().expect("APIKEY_SEED is a number"))
}

/// Whoever draws from it shares its order, so faults have one that the load does not draw from.
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(AtomicU64::new(seed))
    }

    /// Returns one whose numbers don't depend on who else draws from this one later.
    pub(crate) fn fork(&self) -> Self {
        Random::new(self.next())
    }

    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(STEP, Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Waits for a random time, in milliseconds.
    pub(crate) async fn between(&self, least: usize, most: usize) {
        sleep(Duration::from_millis((least + self.below(most - least)) as u64)).await;
    }

    pub(crate) fn pick<T: Copy>(&self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
