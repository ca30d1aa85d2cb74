//! The cost that counting usage adds to a hit, and the cost of taking the counts.
//!
//! `cargo bench -p apikey-benches --bench usage` (add `-- quick` for a rough result)

use std::time::Instant;

use apikey_benches::{
    contenders::ours_of,
    keys::{self, Order},
    rounds::{median, turn},
};

/// Requests in a turn. Few, so that preparing a turn doesn't evict the tables from the caches.
const BATCH: usize = 64;
/// Turns between two takings: some 100,000 requests, like a busy service in the default five seconds.
const TAKE_EVERY: usize = 1_500;

fn main() {
    // The first lookup of a key waits on tokio's timer.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let quick = std::env::args().any(|arg| arg == "quick");
    let (runs, turns) = if quick { (5, 1_500) } else { (15, 6_000) };
    println!("ns a call, medians of {runs} runs of {turns} turns of {BATCH} calls, keys drawn at random");
    println!("{:>9}{:>10}{:>10}{:>10}  taking, ns a key", "keys", "without", "with", "adds");
    let counts: &[usize] = if quick { &[1, 10_000] } else { &[1, 100, 10_000, 1_000_000] };
    for count in counts {
        one(*count, runs, turns);
    }
}

fn one(count: usize, runs: usize, turns: usize) {
    let keys = keys::generate(count);
    let capacity = count * 5 / 4 + 10;
    let plain = keys::authenticator_with(capacity, |builder| builder);
    let counting = keys::authenticator_with(capacity, |builder| builder.count_usage(true));
    let mut services = [ours_of(plain, &keys), ours_of(counting.clone(), &keys)];
    drop(counting.take_usage());
    let mut order = Order::new(count as u64);
    let mut results = [const { Vec::new() }; 3];
    let mut taking = Vec::new();
    for _ in 0..runs {
        let mut nanos = [0.0; 2];
        for number in 0..turns {
            let drawn: Vec<_> = (0..BATCH).map(|_| order.below(count)).collect();
            let requests = || drawn.iter().map(|n| keys::request(&keys[*n])).collect::<Vec<_>>();
            for place in 0..2 {
                let contender = (place + number) % 2;
                nanos[contender] += turn(&mut services[contender], requests()).as_nanos() as f64;
            }
            if (number + 1) % TAKE_EVERY == 0 {
                let start = Instant::now();
                let taken = counting.take_usage();
                taking.push(start.elapsed().as_nanos() as f64 / taken.len() as f64);
            }
        }
        let [without, with] = nanos.map(|nanos| nanos / (turns * BATCH) as f64);
        for (result, nanos) in results.iter_mut().zip([without, with, with - without]) {
            result.push(nanos);
        }
    }
    let medians = results.map(|mut result| format!("{:>10.1}", median(&mut result)));
    println!("{count:>9}{}  {:.0}", medians.join(""), median(&mut taking));
}
