//! Pages of 50 keys, with the filters of a console.

use std::time::Instant;

use apikey_benches::keys::Order;
use apikey_manager::{ActorId, AuditFilter, Cursor, KeyFilter, KeyManager, PageRequest, Status};

use crate::{
    fill::{Filled, host},
    place::Place,
};

/// The organization with a tenth of all keys.
const BIG: usize = 0;

pub(crate) async fn measure(place: &Place, filled: &Filled, is_quick: bool) {
    let keys = place.builder().build().expect("a manager");
    let times = if is_quick { 40 } else { 200 };
    let bench = Pages { keys, organizations: filled.organizations, times };
    let text = |text: &str| {
        let mut filter = KeyFilter::default();
        filter.text = Some(text.to_owned());
        filter
    };
    let mut by_creator = KeyFilter::default();
    by_creator.created_by = ActorId::new("host:bench").ok();
    let mut active = KeyFilter::default();
    active.status = Some(Status::Active);
    let mut revoked = KeyFilter::default();
    revoked.status = Some(Status::Revoked);
    let middle = bench.middle().await;
    println!(
        "\n| page of 50, of an organization with 900 keys, or with a tenth of all | 900: p50, p95 ms | tenth: p50, p95 ms |"
    );
    println!("|---|---:|---:|");
    for (name, filter) in [
        ("newest", KeyFilter::default()),
        ("active", active),
        ("revoked, of which there are none", revoked),
        ("by creator", by_creator),
        ("search for what every eighth key has", text("billing-")),
        ("search for one key's name", text("worker-000077")),
        ("search for what no key has", text("nowhere")),
    ] {
        let small = bench.of_many(&filter).await;
        let big = bench.of_big(&filter, None).await;
        println!("| {name} | {small} | {big} |");
    }
    let deep = bench.of_big(&KeyFilter::default(), Some(&middle)).await;
    println!("| from the middle of the list | | {deep} |");
    println!("| audit trail, newest | {} | {} |", bench.audit(false).await, bench.audit(true).await);
}

struct Pages {
    keys: KeyManager,
    organizations: usize,
    times: usize,
}

impl Pages {
    /// Another organization for each call.
    async fn of_many(&self, filter: &KeyFilter) -> String {
        let mut order = Order::new(1);
        let mut took = Vec::new();
        for _ in 0..self.times {
            let host = host(1 + order.below(self.organizations - 1));
            let start = Instant::now();
            self.keys.list(&host, filter.clone(), PageRequest::first()).await.expect("a page");
            took.push(start.elapsed().as_secs_f64() * 1e3);
        }
        percentiles(took)
    }

    async fn of_big(&self, filter: &KeyFilter, after: Option<&Cursor>) -> String {
        let mut took = Vec::new();
        for _ in 0..self.times {
            let request = after.map_or_else(PageRequest::first, |cursor| PageRequest::after(cursor.clone()));
            let start = Instant::now();
            self.keys.list(&host(BIG), filter.clone(), request).await.expect("a page");
            took.push(start.elapsed().as_secs_f64() * 1e3);
            // Slow queries need fewer samples.
            if took.iter().sum::<f64>() > 10_000.0 {
                break;
            }
        }
        percentiles(took)
    }

    async fn audit(&self, is_big: bool) -> String {
        let mut order = Order::new(1);
        let mut took = Vec::new();
        for _ in 0..self.times {
            let number = if is_big { BIG } else { 1 + order.below(self.organizations - 1) };
            let start = Instant::now();
            self.keys.audit(&host(number), AuditFilter::default(), PageRequest::first()).await.expect("a page");
            took.push(start.elapsed().as_secs_f64() * 1e3);
        }
        percentiles(took)
    }

    /// Returns a place in the middle of the big organization's list, by following its pages.
    async fn middle(&self) -> Cursor {
        let mut request = PageRequest::first().limit(200);
        let mut cursor = None;
        for _ in 0..250 {
            match self.keys.list(&host(BIG), KeyFilter::default(), request).await.expect("a page").next {
                Some(next) => {
                    cursor = Some(next.clone());
                    request = PageRequest::after(next).limit(200);
                }
                None => break,
            }
        }
        cursor.expect("more than one page")
    }
}

fn percentiles(mut took: Vec<f64>) -> String {
    took.sort_by(f64::total_cmp);
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
    format!("{:.1}, {:.1}", at(0.5), at(0.95))
}
