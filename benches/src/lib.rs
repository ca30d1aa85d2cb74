//! What the benchmarks share: keys, the layer and the peers under test, and rounds that interleave them.
//!
//! Machines are noisy, and noise comes in waves. So contenders are not measured one after another: each round gives every
//! contender a short turn on the same requests, in another order each time, and what is reported is the median over
//! rounds and the ratio of medians.

pub mod contenders;
pub mod keys;
pub mod rounds;
