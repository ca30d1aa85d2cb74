//! A pooler of transactions between the processes and their database.

use apikey_testkit::{PgBouncer, PrivatePostgres};
use tokio::task::spawn_blocking;

use crate::{
    fleet::{Fleet, Trouble},
    injections::Fault,
    network::through_proxies,
    oracle::Oracle,
    random::seed,
    size, within_limit,
};

#[tokio::test(flavor = "multi_thread")]
async fn given_processes_behind_a_pooler_when_they_their_network_or_a_server_fails_then_receipts_hold() {
    within_limit(async {
        let Some(mut server) = PrivatePostgres::start() else { return };
        // A pooler that has lost its server tries again after 15 seconds by default.
        let settings =
            ["pool_mode = transaction", "default_pool_size = 20", "max_client_conn = 500", "server_login_retry = 1"];
        let Some(mut pooler) = PgBouncer::before(&server, &settings) else { return };
        let (url, seed) = (pooler.url_of(&server.create_database()), seed());
        let places = through_proxies(&url, pooler.port(), size(3, 8), seed).await;
        let fleet = Fleet::start(Oracle::new("pooler", seed, false), &url, places).await;
        let faults = [Fault::Network, Fault::Stop, Fault::StopAt, Fault::Kill];
        fleet.suffer(&faults, 8).await;
        for round in 0..size(0, 9) {
            let _troubles: Vec<_> = fleet.places.iter().map(|place| Trouble::at(place)).collect();
            let wait = fleet.faults.fork();
            match round % 3 {
                0 => {
                    fleet.oracle.inject("the pooler is killed");
                    pooler = blocking(pooler, PgBouncer::kill).await;
                    wait.between(0, 4_000).await;
                    pooler = blocking(pooler, PgBouncer::restart).await;
                }
                1 => {
                    fleet.oracle.inject("the server is killed");
                    server = blocking(server, PrivatePostgres::kill).await;
                    wait.between(0, 4_000).await;
                    server = blocking(server, PrivatePostgres::restart).await;
                }
                _ => {
                    fleet.oracle.inject("the server stands still");
                    server = blocking(server, PrivatePostgres::freeze).await;
                    wait.between(500, 4_000).await;
                    server = blocking(server, PrivatePostgres::thaw).await;
                }
            }
            fleet.oracle.tell("it goes on");
            fleet.suffer(&faults, 5).await;
        }
        fleet.finish(40).await;
    })
    .await;
}

/// Does what blocks to a server.
async fn blocking<S: Send + 'static>(mut server: S, what: fn(&mut S)) -> S {
    spawn_blocking(move || {
        what(&mut server);
        server
    })
    .await
    .unwrap()
}
