//! Tests whether the time of hashing a key and comparing its digest reveals the result of the comparison.
//!
//! `cargo bench -p apikey-benches --bench timing` (add `-- quick` for a rough result, `-- check` to fail on a
//! difference)
//!
//! The method is dudect's (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017). Each measurement
//! belongs to a random class, so that noise affects all classes alike. Welch's t-test says whether two classes have
//! different means. Slow outliers are cut off at percentiles of all measurements together, never of one class, and the
//! worst cut counts. |t| of 4.5 or more is evidence of a difference; a smaller value is not a proof of its absence.
//!
//! The classes are what a store may contain when a key is looked up:
//!
//! - `unknown`: random bytes, unrelated to the presented key's digest
//! - `first`, `last`: the key's digest except for the first or the last byte
//! - `revoked`: the key's digest, so that only the record's status causes the refusal
//!
//! A comparison that stops at the first difference is measured as well. If the test doesn't detect that one, it is
//! blind, and `check` fails.

use std::{cell::RefCell, hint::black_box, process::ExitCode, time::Instant};

use apikey_benches::keys::{self, Order};
use tower_apikey::{DigestAlgorithm, KeyDigest, KeyHasher, Pepper, PlaintextKey};

const CLASSES: [&str; 4] = ["unknown", "first", "last", "revoked"];
const THRESHOLD: f64 = 4.5;
/// Measurements that are prepared together: few enough for the nearest caches.
const BATCH: usize = 256;
/// The share of the fastest measurements that each cut keeps.
const KEPT: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];

fn main() -> ExitCode {
    let has = |name: &str| std::env::args().any(|arg| arg == name);
    let samples = if has("quick") { 100_000 } else { 1_000_000 };
    println!("|t| of each pair of classes, the worst of {} cuts; {samples} measurements a class", KEPT.len());
    let pepper = Pepper::new(1, &[7; 32]).expect("32 bytes are enough");
    let hashers = [("SHA-256", KeyHasher::sha256()), ("HMAC-SHA-256", KeyHasher::hmac_sha256(pepper))];
    let mut is_even = true;
    for (name, hasher) in &hashers {
        let measured = measure(hasher, samples, |key, stored| hasher.digest(key) == *stored);
        is_even &= report(name, &measured) < THRESHOLD;
    }
    let hasher = &hashers[0].1;
    let measured = measure(hasher, samples, |key, stored| stops_early(&hasher.digest(key), stored));
    let is_sighted = report("SHA-256, a comparison that stops early", &measured) >= THRESHOLD;
    if has("check") && !(is_even && is_sighted) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn stops_early(one: &KeyDigest, other: &KeyDigest) -> bool {
    one.as_bytes().iter().zip(other.as_bytes()).all(|(a, b)| black_box(a) == black_box(b))
}

struct Sample {
    key: usize,
    class: usize,
    stored: KeyDigest,
}

/// Returns the times of each class in nanoseconds, about `samples` of each.
fn measure(
    hasher: &KeyHasher,
    samples: usize,
    matches: impl Fn(&PlaintextKey, &KeyDigest) -> bool,
) -> [Vec<f64>; CLASSES.len()] {
    let keys: Vec<PlaintextKey> = keys::generate(64).iter().map(|key| key.parse().expect("a key")).collect();
    let digests: Vec<KeyDigest> = keys.iter().map(|key| hasher.digest(key)).collect();
    let order = RefCell::new(Order::new(42));
    let below = |bound| order.borrow_mut().below(bound);
    let mut times = [const { Vec::new() }; CLASSES.len()];
    for round in 0..samples * CLASSES.len() / BATCH {
        let batch: Vec<Sample> = (0..BATCH)
            .map(|_| {
                let (key, class) = (below(keys.len()), below(CLASSES.len()));
                // Drawn for every class, so that the preparation is the same for all.
                let random = std::array::from_fn(|_| below(256) as u8);
                Sample { key, class, stored: stored(&digests[key], class, random) }
            })
            .collect();
        for Sample { key, class, stored } in &batch {
            let start = Instant::now();
            let matched = black_box(matches(black_box(&keys[*key]), black_box(stored)));
            let took = start.elapsed();
            assert_eq!(matched, CLASSES[*class] == "revoked");
            // The first rounds warm up.
            if round > 16 {
                times[*class].push(took.as_nanos() as f64);
            }
        }
    }
    times
}

/// Returns the store's digest in place of `digest`.
fn stored(digest: &KeyDigest, class: usize, random: [u8; 32]) -> KeyDigest {
    let mut bytes = *digest.as_bytes();
    match CLASSES[class] {
        "unknown" => bytes = random,
        "first" => bytes[0] ^= random[0] | 1,
        "last" => bytes[31] ^= random[31] | 1,
        _ => {}
    }
    match digest.algorithm() {
        DigestAlgorithm::HmacSha256 { pepper } => KeyDigest::hmac_sha256_from_bytes(pepper, bytes),
        _ => KeyDigest::sha256_from_bytes(bytes),
    }
}

/// Prints |t| of each pair, and returns the greatest.
fn report(name: &str, times: &[Vec<f64>; CLASSES.len()]) -> f64 {
    let mut pooled: Vec<f64> = times.iter().flatten().copied().collect();
    pooled.sort_by(f64::total_cmp);
    let cuts = KEPT.map(|kept| pooled[((pooled.len() - 1) as f64 * kept) as usize]);
    println!("\n{name}: median {} ns with the clock's own time", pooled[pooled.len() / 2]);
    let mut greatest: f64 = 0.0;
    for (at, (one, times_of_one)) in CLASSES.iter().zip(times).enumerate() {
        for (other, times_of_other) in CLASSES.iter().zip(times).skip(at + 1) {
            let by_cut = cuts.map(|cut| {
                let [one, other] = [times_of_one, times_of_other].map(|times| Moments::up_to(cut, times));
                one.welch_t(&other).abs()
            });
            let worst = by_cut.into_iter().fold(0.0, f64::max);
            println!("{one:>9} / {other:<9} {worst:7.2}   {}", by_cut.map(|t| format!("{t:7.2}")).join(""));
            greatest = greatest.max(worst);
        }
    }
    println!(
        "greatest |t| {greatest:.2}: {}",
        if greatest < THRESHOLD { "no difference is seen" } else { "they differ" }
    );
    greatest
}

struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn up_to(cut: f64, values: &[f64]) -> Self {
        let values = values.iter().filter(|value| **value <= cut);
        let count = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / count;
        let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Moments { count, mean, variance }
    }

    fn welch_t(&self, other: &Self) -> f64 {
        (self.mean - other.mean) / (self.variance / self.count + other.variance / other.count).sqrt()
    }
}
