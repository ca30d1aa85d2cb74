//! The layer's cost on a hit, beside the bare service, the floor, an ideal table and hand-written middleware.
//!
//! `cargo bench -p apikey-benches --bench read_path` (add `-- quick` for a rough result)

use std::{
    sync::{Arc, Barrier},
    time::Instant,
};

use apikey_benches::{
    contenders::{Bare, Floor, Ideal, Slot, ours, peer, peer_cache, validate},
    keys::{self, Order},
    rounds::{median, ready_now, turn},
};
use apikey_manager::{Actor, Fleet, KeyManager, KeyManagerBuilder, MemoryStore, NewKey, OrganizationId};
use tower::{Layer, Service};
use tower_apikey::{ApiKeyLayer, KeyFormat, Scope, ScopeSet};

/// Requests in a turn. Few, so that preparing a turn doesn't evict the tables from the caches.
const BATCH: usize = 64;

const NAMES: [&str; 6] = ["bare", "floor", "ideal", "ours", "peer", "validate"];

fn main() {
    let quick = std::env::args().any(|arg| arg == "quick");
    let (runs, turns) = if quick { (3, 100) } else { (7, 1_000) };
    println!("one thread: ns a call, medians of {runs} runs of {turns} turns of {BATCH} calls, keys drawn at random");
    println!("{:>9}  {}", "keys", NAMES.map(|name| format!("{name:>9}")).join(""));
    let counts: &[usize] = if quick { &[1, 10_000] } else { &[1, 100, 1_000, 10_000, 1_000_000] };
    for count in counts {
        one_thread(*count, runs, turns);
    }
    println!("\ntwo threads: calls in the same time, against one thread, medians of {runs} runs");
    for count in [1, 10_000] {
        two_threads(count, runs, turns * BATCH);
    }
    println!("\na process that holds a lease beside one that needs none: ns a call");
    for count in [1, 10_000] {
        lease(count, runs, turns);
    }
    println!();
    scope_check(runs);
}

/// The manager's own authenticators, so that usage is counted, too.
fn lease(count: usize, runs: usize, turns: usize) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let managed = |fleet: Option<Fleet>| {
        runtime.block_on(async {
            let format = KeyFormat::builder("bench").build().expect("a format");
            let builder = KeyManager::builder(MemoryStore::new())
                .format(format)
                .authenticator(move |builder| builder.cache_capacity(2 * count + 1_000));
            let builder = fleet.into_iter().fold(builder, KeyManagerBuilder::fleet);
            let manager = builder.build().expect("a manager");
            let host = Actor::host("bench", OrganizationId::new("bench").expect("an id")).expect("an actor");
            let mut service = ApiKeyLayer::new(manager.authenticator()).layer(Bare);
            let mut keys = Vec::with_capacity(count);
            for n in 0..count {
                let issued = manager.issue(&host, NewKey::new(format!("key {n}"))).await.expect("a key");
                keys.push(issued.secret().expose_secret().to_owned());
                service.call(keys::request(&keys[n])).await.expect("no error");
            }
            (manager, service, keys)
        })
    };
    let (mut plain, mut leased) = (managed(None), managed(Some(Fleet::new())));
    let mut order = Order::new(count as u64);
    let mut results = [const { Vec::new() }; 2];
    for _ in 0..runs {
        let mut nanos = [0.0; 2];
        for number in 0..turns {
            let drawn: Vec<_> = (0..BATCH).map(|_| order.below(count)).collect();
            for place in 0..2 {
                let contender = (place + number) % 2;
                let (_, service, keys) = if contender == 0 { &mut plain } else { &mut leased };
                let requests = drawn.iter().map(|n| keys::request(&keys[*n])).collect();
                nanos[contender] += turn(service, requests).as_nanos() as f64;
            }
        }
        for (result, nanos) in results.iter_mut().zip(nanos) {
            result.push(nanos / (turns * BATCH) as f64);
        }
    }
    let ratio = median(&mut results[1].iter().zip(&results[0]).map(|(a, b)| a / b).collect::<Vec<_>>());
    let [plain, leased] = results.map(|mut result| median(&mut result));
    println!("{count:>9}  without {plain:>5.0}  with {leased:>5.0}   with/without {ratio:.2}");
}

fn one_thread(count: usize, runs: usize, turns: usize) {
    let keys = keys::generate(count);
    let mut floor = Floor(Arc::new(0));
    let mut ideal = Ideal::new(&keys);
    let mut ours = ours(&keys);
    let mut peer = peer(peer_cache(&keys));
    let mut validate = validate(&keys[0]);
    let mut order = Order::new(count as u64);
    let mut results = [const { Vec::new() }; NAMES.len()];
    for _ in 0..runs {
        let mut nanos = [0.0; NAMES.len()];
        for number in 0..turns {
            let drawn: Vec<_> = (0..BATCH).map(|_| order.below(count)).collect();
            let requests = || drawn.iter().map(|n| keys::request(&keys[*n])).collect::<Vec<_>>();
            for place in 0..NAMES.len() {
                let contender = (place + number) % NAMES.len();
                let took = match contender {
                    0 => turn(&mut Bare, requests()),
                    1 => turn(&mut floor, requests()),
                    2 => turn(&mut ideal, drawn.iter().map(|n| (Slot(*n), keys::request(&keys[*n]))).collect()),
                    3 => turn(&mut ours, requests()),
                    4 => turn(&mut peer, requests()),
                    // It knows only one key.
                    _ => turn(&mut validate, drawn.iter().map(|_| keys::request(&keys[0])).collect()),
                };
                nanos[contender] += took.as_nanos() as f64;
            }
        }
        for (result, nanos) in results.iter_mut().zip(nanos) {
            result.push(nanos / (turns * BATCH) as f64);
        }
    }
    let ratio = |results: &[Vec<f64>; 6], over: usize, under: usize| {
        median(&mut results[over].iter().zip(&results[under]).map(|(a, b)| a / b).collect::<Vec<_>>())
    };
    let ratios = [4, 2, 1].map(|under| ratio(&results, 3, under));
    let medians = results.map(|mut result| format!("{:>9.0}", median(&mut result)));
    println!(
        "{count:>9}  {}   ours/peer {:.2}  ours/ideal {:.2}  ours/floor {:.2}",
        medians.join(""),
        ratios[0],
        ratios[1],
        ratios[2],
    );
}

fn two_threads(count: usize, runs: usize, calls: usize) {
    let keys = keys::generate(count);
    let peer = peer(peer_cache(&keys));
    let speed_ups = [
        ("bare", speed_up(&Bare, &keys, runs, calls)),
        // One counter of handles, which requests of one key have to share.
        ("floor", speed_up(&Floor(Arc::new(0)), &keys, runs, calls)),
        ("ours", speed_up(&ours(&keys), &keys, runs, calls)),
        ("peer", speed_up(&peer, &keys, runs, calls)),
    ];
    let bare = speed_ups[0].1;
    for (name, speed_up) in speed_ups {
        println!("{count:>9}  {name:>6}  {speed_up:.2}  ({:.2} of bare)", speed_up / bare);
    }
}

/// Returns the throughput of two threads relative to one.
fn speed_up<S, B>(service: &S, keys: &[String], runs: usize, calls: usize) -> f64
where
    S: Service<http::Request<String>, Response = http::Response<B>> + Clone + Send + Sync,
    S::Error: std::fmt::Debug,
{
    let nanos_a_call = |threads: u64| {
        let barrier = Barrier::new(threads as usize);
        let one = |seed: u64| {
            let mut service = service.clone();
            let mut order = Order::new(seed);
            let mut nanos = 0;
            barrier.wait();
            for _ in 0..calls / BATCH {
                let requests: Vec<_> = (0..BATCH).map(|_| keys::request(&keys[order.below(keys.len())])).collect();
                let start = Instant::now();
                for request in requests {
                    std::hint::black_box(ready_now(service.call(request)).expect("no error"));
                }
                nanos += start.elapsed().as_nanos();
            }
            nanos as f64 / calls as f64
        };
        std::thread::scope(|scope| {
            let one = &one;
            let running: Vec<_> = (1..threads).map(|n| scope.spawn(move || one(n + 7))).collect();
            let own = one(3);
            let all = running.into_iter().map(|thread| thread.join().expect("no panic")).fold(own, f64::max);
            all / threads as f64
        })
    };
    let mut ratios: Vec<_> = (0..runs).map(|_| nanos_a_call(1) / nanos_a_call(2)).collect();
    median(&mut ratios)
}

fn scope_check(runs: usize) {
    const CALLS: u32 = 1_000_000;
    let required = Scope::from_static("files:write");
    for grants in ["files:read files:write", "a:read b:read c:read files:*", "*"] {
        let granted = ScopeSet::parse(grants).expect("scopes");
        let mut results: Vec<_> = (0..runs)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..CALLS {
                    assert!(std::hint::black_box(&granted).covers(std::hint::black_box(&required)));
                }
                start.elapsed().as_nanos() as f64 / f64::from(CALLS)
            })
            .collect();
        println!("a scope check against [{grants}]: {:.1} ns", median(&mut results));
    }
}
