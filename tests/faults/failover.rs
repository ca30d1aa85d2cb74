//! A synchronous standby takes over, while the primary before it still runs and can be reached.

use apikey_testkit::PrivatePostgres;
use tokio::task::spawn_blocking;

use crate::{
    fleet::{Fleet, Trouble},
    injections::Fault,
    network::through_proxies,
    oracle::Oracle,
    random::seed,
    size, within_limit,
};

const FAULTS: [Fault; 4] = [Fault::Network, Fault::Stop, Fault::StopAt, Fault::Kill];

#[tokio::test(flavor = "multi_thread")]
async fn given_a_standby_that_takes_over_when_the_old_primary_still_answers_then_receipts_hold() {
    within_limit(async {
        let Some(mut primary) = PrivatePostgres::start() else { return };
        let first_port = primary.port();
        let (first, seed) = (primary.create_database(), seed());
        let url_at = |port: u16| first.replace(&format!(":{first_port}/"), &format!(":{port}/"));
        let places = through_proxies(&first, first_port, size(3, 5), seed).await;
        let fleet = Fleet::start(Oracle::new("failover", seed, true), &first, places).await;
        let lead_to = |ways: &[(&[u16], bool)]| {
            for place in &fleet.places {
                let (servers, closes_others) = fleet.faults.pick(ways);
                fleet.oracle.tell(&format!("{} is led to {servers:?}, others are closed: {closes_others}", place.name));
                place.proxy.as_ref().unwrap().lead_to(servers, closes_others);
            }
        };
        for _ in 0..size(2, 10) {
            let standby;
            (primary, standby) = spawn_blocking(move || {
                let standby = primary.synchronous_standby();
                (primary, standby)
            })
            .await
            .unwrap();
            let (old, new) = (primary.port(), standby.port());
            let url_of_new = url_at(new);
            let _troubles: Vec<_> = fleet.places.iter().map(|place| Trouble::at(place)).collect();

            fleet.oracle.inject(&format!("some are led to the standby {new}, which lags behind"));
            standby.psql(&url_of_new, "SELECT pg_wal_replay_pause()");
            lead_to(&[(&[old, new], true), (&[old], false)]);
            fleet.suffer(&FAULTS, size(2, 3)).await;
            standby.psql(&url_of_new, "SELECT pg_wal_replay_resume()");

            fleet.oracle.inject(&format!("{new} takes over; some still reach {old}"));
            standby.promote();
            lead_to(&[(&[new], true), (&[new], false), (&[old, new], false), (&[old, new], true), (&[old], false)]);
            fleet.suffer(&FAULTS, size(3, 4)).await;

            fleet.oracle.inject(&format!("{old} is gone"));
            lead_to(&[(&[new], true)]);
            spawn_blocking(move || drop(primary)).await.unwrap();
            primary = standby;
            fleet.suffer(&FAULTS, 1).await;
            if fleet.oracle.has_problems() {
                break;
            }
        }
        fleet.finish(80).await;
    })
    .await;
}
