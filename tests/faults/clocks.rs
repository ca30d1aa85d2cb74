//! Wall clocks that are wrong by five seconds. A key expires by the server's clock.

use std::time::{Duration, Instant};

use apikey_core::Timestamp;
use apikey_testkit::PrivatePostgres;
use serde_json::json;

use crate::{
    fleet::Fleet,
    link::{Link, get},
    network::through_proxies,
    node::faketime,
    oracle::Oracle,
    random::seed,
    size, within_limit,
};

/// How far from the server's clock a key may end: much less than clocks are wrong, and more than a busy machine delays.
const TOLERANCE: Duration = Duration::from_secs(3);
const LIFETIME: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn given_processes_whose_clocks_are_wrong_when_keys_end_and_expire_then_none_is_early_or_late() {
    within_limit(async {
        let (Some(server), Some(_)) = (PrivatePostgres::start(), faketime()) else { return };
        let (url, seed) = (server.create_database(), seed());
        let places = through_proxies(&url, server.port(), 3, seed).await;
        let fleet = Fleet::start(Oracle::new("clocks", seed, false), &url, places).await;
        for (place, ahead) in fleet.places.iter().zip([-5, 0, 5]) {
            let mut node = place.take().unwrap();
            node.take().unwrap().kill();
            *node = Some(place.start(ahead).await);
            fleet.oracle.inject(&format!("the clock of {} is {ahead} s ahead", place.name));
        }
        for _ in 0..size(2, 10) {
            expire(&fleet).await;
        }
        fleet.finish(3).await;
    })
    .await;
}

/// Issues a key that expires, and asks every process until well after its end.
async fn expire(fleet: &Fleet) {
    let now = Timestamp::now();
    let ends = Instant::now() + LIFETIME;
    let body =
        json!({"name": "short", "scopes": [], "expires_at": now.saturating_add(LIFETIME).to_string()}).to_string();
    let request = crate::link::post("api-keys", &fleet.admin, &body);
    let Some(answer) =
        Link::default().ask(fleet.somewhere().address(), &request).await.filter(|answer| answer.status == 201)
    else {
        return;
    };
    let secret = crate::changes::of(&answer).secret.clone();
    let mut links: Vec<_> = fleet.places.iter().map(|_| Link::default()).collect();
    while Instant::now() < ends + TOLERANCE * 2 {
        for (place, link) in fleet.places.iter().zip(&mut links) {
            let began = Instant::now();
            let status = link.ask(place.address(), &get("/probe", &secret)).await.map(|answer| answer.status);
            let is_early = status == Some(401) && Instant::now() + TOLERANCE < ends;
            let is_late = status == Some(200) && began > ends + TOLERANCE;
            if is_early || is_late {
                let what = if is_early { "refused before" } else { "let in after" };
                fleet.oracle.report(&format!("{}: a key that expires is {what} its end", place.name));
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
