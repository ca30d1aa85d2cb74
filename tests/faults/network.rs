//! The way between each process and its database.

use apikey_testkit::PrivatePostgres;

use tokio::task::spawn_blocking;

use crate::{
    fleet::{Fleet, Trouble},
    injections::Fault,
    oracle::Oracle,
    proxy::Proxy,
    random::seed,
    size, within_limit,
};

#[tokio::test(flavor = "multi_thread")]
async fn given_processes_on_a_server_when_their_network_fails_then_receipts_hold() {
    within_limit(async {
        let Some(mut server) = PrivatePostgres::start() else { return };
        let (url, seed) = (server.create_database(), seed());
        let places = through_proxies(&url, server.port(), size(3, 6), seed).await;
        let fleet = Fleet::start(Oracle::new("network", seed, false), &url, places).await;
        for round in 0..size(2, 10) {
            fleet.suffer(&[Fault::Network, Fault::Network, Fault::Stop, Fault::StopAt], size(5, 6)).await;
            let _troubles: Vec<_> = fleet.places.iter().map(|place| Trouble::at(place)).collect();
            if round % 2 == 0 {
                fleet.oracle.inject("the server is killed");
                server = spawn_blocking(move || {
                    server.kill();
                    server.restart();
                    server
                })
                .await
                .unwrap();
                fleet.oracle.tell("the server is back");
            } else {
                fleet.oracle.inject("the server stands still");
                server = spawn_blocking(move || {
                    server.freeze();
                    server
                })
                .await
                .unwrap();
                fleet.faults.between(500, 4_000).await;
                server = spawn_blocking(move || {
                    server.thaw();
                    server
                })
                .await
                .unwrap();
                fleet.oracle.tell("the server goes on");
            }
        }
        fleet.finish(50).await;
    })
    .await;
}

/// Returns the URLs of a proxy for each process.
pub(crate) async fn through_proxies(url: &str, port: u16, number: usize, seed: u64) -> Vec<(String, Option<Proxy>)> {
    let mut urls = Vec::new();
    for number in 0..number {
        let proxy = Proxy::to(port, seed + number as u64).await;
        urls.push((url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port)), Some(proxy)));
    }
    urls
}
