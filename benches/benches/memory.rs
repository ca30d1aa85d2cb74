//! The memory of a cached key, counted by the allocator.
//!
//! `cargo bench -p apikey-benches --bench memory`

use apikey_benches::{contenders::Bare, keys};
use tower::{Layer, Service};
use tower_apikey::ApiKeyLayer;

fn main() {
    println!("bytes a cached key, its share of the table included (20-byte name, two scopes, no metadata)");
    let quick = std::env::args().any(|arg| arg == "quick");
    for count in if quick { &[10_000][..] } else { &[10_000, 1_000_000][..] } {
        let keys = keys::generate(*count);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut service = None;
        let taken = allocation_counter::measure(|| {
            let mut filled = ApiKeyLayer::new(keys::authenticator(*count)).layer(Bare);
            runtime.block_on(async {
                for key in &keys {
                    let response = filled.call(keys::request(key)).await.expect("no error");
                    assert!(response.status().is_success());
                }
            });
            service = Some(filled);
        });
        println!("{count:>9} keys: {:.0} bytes each", taken.bytes_current as f64 / *count as f64);
        drop(service);
    }
}
