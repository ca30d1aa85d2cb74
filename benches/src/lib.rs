//! Shared by the benchmarks: keys, the layer and the peers under test, and rounds that interleave them.
//!
//! Machines are noisy, and noise comes in waves, so contenders are not measured one after another. Each round gives
//! every contender a short turn on the same requests, in another order each time. The results are the median over
//! rounds and the ratio of medians.

pub mod contenders;
pub mod keys;
pub mod rounds;
