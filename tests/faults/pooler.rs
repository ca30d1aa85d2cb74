//! A pooler of transactions between the processes and their database.

use apikey_testkit::{PgBouncer, PrivatePostgres};

use crate::{
    fleet::Fleet, injections::Fault, network::through_proxies, oracle::Oracle, random::seed, size, within_limit,
};

#[tokio::test(flavor = "multi_thread")]
async fn given_processes_behind_a_pooler_when_they_and_their_network_fail_then_receipts_hold() {
    within_limit(async {
        let Some(server) = PrivatePostgres::start() else { return };
        let settings = ["pool_mode = transaction", "default_pool_size = 20", "max_client_conn = 500"];
        let Some(pooler) = PgBouncer::before(&server, &settings) else { return };
        let (url, seed) = (pooler.url_of(&server.create_database()), seed());
        let places = through_proxies(&url, pooler.port(), size(3, 5), seed).await;
        let fleet = Fleet::start(Oracle::new("pooler", seed, false), &url, places).await;
        fleet.suffer(&[Fault::Network, Fault::Stop, Fault::StopAt, Fault::Kill], size(8, 40)).await;
        fleet.finish().await;
    })
    .await;
}
