//! The read path under load: disconnecting clients, floods, races, stampedes, failing stores and runtimes.
//!
//! Ordinary runs are limited; `APIKEY_FIRE=full cargo test --release -p apikey-tests --test fire` is the long form.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod cancelled;
mod flooded;
mod outages;
mod raced;
mod reentrant;
mod stampede;
mod stand;

/// `full` in the long form, `bounded` otherwise.
fn sized<T>(bounded: T, full: T) -> T {
    match std::env::var("APIKEY_FIRE").as_deref() {
        Ok("full") => full,
        _ => bounded,
    }
}
