//! Imports hundreds of thousands of keys: one organization has a tenth of them, and the others about a thousand each.

use std::time::{Duration, Instant};

use apikey_core::Timestamp;
use apikey_manager::{Actor, ImportKey, OrganizationId};

use crate::place::{Place, format};

pub(crate) struct Filled {
    /// Every key, as requests send it.
    pub(crate) requests: Vec<String>,
    pub(crate) organizations: usize,
}

const DAY: u64 = 24 * 3_600;
const TEAMS: &[&str] = &["billing", "search", "mobile", "reports", "partners", "warehouse", "support", "metrics"];

/// The first organization has a tenth of all keys.
pub(crate) fn organization(number: usize) -> OrganizationId {
    OrganizationId::new(format!("org-{number:04}")).expect("an id")
}

pub(crate) fn host(number: usize) -> Actor {
    Actor::host("bench", organization(number)).expect("an actor")
}

pub(crate) async fn fill(place: &Place, count: usize) -> Filled {
    let keys = place.builder().build().expect("a manager");
    let format = format();
    let organizations = (count / 1_000).max(2);
    let now = Timestamp::now();
    let mut requests = Vec::with_capacity(count);
    let start = Instant::now();
    let mut big = Duration::ZERO;
    for number in 0..organizations {
        let rest = count - count / 10;
        let size = match number {
            0 => count / 10,
            _ => rest * number / (organizations - 1) - rest * (number - 1) / (organizations - 1),
        };
        let rows = (0..size).map(|n| {
            let key = format.generate().expect("randomness");
            requests.push(format!("Bearer {}", key.expose_secret()));
            let team = TEAMS[n % TEAMS.len()];
            let age = Duration::from_secs(365 * DAY * (size - n) as u64 / size as u64);
            ImportKey::raw(format!("{team}-worker-{n:06}"), key)
                .description(format!("deployed by the {team} team's pipeline"))
                .scopes(["files:read", "files:write"])
                .created_at(now - age)
        });
        let rows: Vec<_> = rows.collect();
        let began = Instant::now();
        keys.import(&host(number), "bench", rows, 100_000, |_| ()).await.expect("an import");
        if number == 0 {
            big = began.elapsed();
        }
    }
    println!(
        "imported in {:.0} s; {} of them, one organization's, at {:.0} keys a second",
        start.elapsed().as_secs_f64(),
        count / 10,
        (count / 10) as f64 / big.as_secs_f64(),
    );
    Filled { requests, organizations }
}
