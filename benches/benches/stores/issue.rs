//! Issues keys one by one. Each commit is on the disk before the secret is shown.

use std::time::{Duration, Instant};

use apikey_benches::rounds::median;
use apikey_manager::{KeyManager, NewKey};

use crate::{
    fill::host,
    place::{Place, turn},
};

pub(crate) async fn measure(place: &Place, is_quick: bool) {
    let keys = place.builder().build().expect("a manager");
    println!("\n| callers, each of another organization | issued a second |\n|---:|---:|");
    for callers in [1, 16] {
        let mut rates = Vec::new();
        for _ in 0..5 {
            rates.push(rate(&keys, callers, turn(is_quick)).await);
        }
        println!("| {callers} | {:.0} |", median(&mut rates));
    }
}

async fn rate(keys: &KeyManager, callers: usize, turn: Duration) -> f64 {
    let start = Instant::now();
    let tasks = (1..=callers).map(|caller| {
        let (keys, host) = (keys.clone(), host(caller));
        tokio::spawn(async move {
            let mut done = 0usize;
            while start.elapsed() < turn {
                keys.issue(&host, NewKey::new("issued").scopes(["files:read"])).await.expect("a key");
                done += 1;
            }
            done
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.expect("a caller");
    }
    done as f64 / start.elapsed().as_secs_f64()
}
