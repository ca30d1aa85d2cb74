//! The stores with a million keys: uncached verifications, issuing, lists and searches, usage, reading all keys, and the
//! size on disk.
//!
//! `cargo bench -p apikey-benches --bench stores` (add `-- quick` for a rough result, `-- sqlite` or `-- postgres` for
//! one of them)
//!
//! SQLite is a file in the temporary directory. PostgreSQL is a server that the benchmark starts there, with `fsync`
//! on; without PostgreSQL on the machine, that part is skipped. Contenders take turns in changing order, and the
//! results are medians.

mod fill;
mod issue;
mod pages;
mod place;
mod scan;
mod usage;
mod verify;

use place::Place;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    let asked = args.iter().find_map(|arg| arg.parse().ok());
    let is_quick = has("quick");
    let keys = asked.unwrap_or(if is_quick { 20_000 } else { 1_000_000 });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if !has("postgres") {
            measure(Place::sqlite().await, keys, is_quick).await;
        }
        if !has("sqlite")
            && let Some(place) = Place::postgres().await
        {
            measure(place, keys, is_quick).await;
        }
    });
}

async fn measure(place: Place, keys: usize, is_quick: bool) {
    println!("\n## {}, {keys} keys", place.name());
    let filled = fill::fill(&place, keys).await;
    place.print_sizes(keys).await;
    place.add_plain_table().await;
    verify::measure(&place, &filled, is_quick).await;
    pages::measure(&place, &filled, is_quick).await;
    issue::measure(&place, is_quick).await;
    usage::measure(&place).await;
    scan::measure(&place, keys).await;
    place.close().await;
}
