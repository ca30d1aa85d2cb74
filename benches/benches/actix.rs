//! The actix middleware on a hit, beside the bare service and actix-web-httpauth with a hand-written lookup.
//!
//! `cargo bench -p apikey-benches --bench actix` (add `-- quick` for a rough result)

use std::time::Instant;

use actix_apikey::ApiKeyMiddleware;
use actix_web::{
    App, HttpMessage, HttpResponse,
    body::MessageBody,
    dev::{Service, ServiceRequest, ServiceResponse},
    error::ErrorUnauthorized,
    test::{TestRequest, init_service},
    web,
};
use actix_web_httpauth::{extractors::bearer::BearerAuth, middleware::HttpAuthentication};
use apikey_benches::{
    contenders::{Caller, peer_cache},
    keys::{self, Order},
    rounds::median,
};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

const BATCH: usize = 64;
const NAMES: [&str; 3] = ["bare", "ours", "httpauth"];

#[actix_web::main]
async fn main() {
    let quick = std::env::args().any(|arg| arg == "quick");
    let (runs, turns) = if quick { (3, 100) } else { (7, 1_000) };
    println!("actix-web, one thread: ns a call, medians of {runs} runs of {turns} turns of {BATCH} calls");
    println!("{:>9}  {}", "keys", NAMES.map(|name| format!("{name:>9}")).join(""));
    for count in [1, 10_000] {
        compare(count, runs, turns).await;
    }
}

async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

async fn look_up(
    request: ServiceRequest,
    credential: BearerAuth,
) -> Result<ServiceRequest, (actix_web::Error, ServiceRequest)> {
    let caller = request.app_data::<web::Data<Cache<[u8; 32], Caller>>>().and_then(|cache| {
        let digest: [u8; 32] = Sha256::digest(credential.token()).into();
        cache.get(&digest)
    });
    match caller {
        Some(caller) => {
            request.extensions_mut().insert(caller);
            Ok(request)
        }
        None => Err((ErrorUnauthorized("unknown key"), request)),
    }
}

async fn compare(count: usize, runs: usize, turns: usize) {
    let keys = keys::generate(count);
    let authenticator = keys::authenticator(count * 5 / 4 + 10);
    let cache = web::Data::new(peer_cache(&keys));
    let bare = init_service(App::new().route("/files", web::get().to(handler))).await;
    let ours = init_service(
        App::new().wrap(ApiKeyMiddleware::new(authenticator.clone())).route("/files", web::get().to(handler)),
    )
    .await;
    let peer = init_service(
        App::new().app_data(cache).wrap(HttpAuthentication::with_fn(look_up)).route("/files", web::get().to(handler)),
    )
    .await;
    for key in &keys {
        turn(&ours, vec![request(key)]).await;
    }
    let mut order = Order::new(count as u64);
    let mut results = [const { Vec::new() }; NAMES.len()];
    for _ in 0..runs {
        let mut nanos = [0.0; NAMES.len()];
        for number in 0..turns {
            let drawn: Vec<_> = (0..BATCH).map(|_| order.below(count)).collect();
            let requests = || drawn.iter().map(|n| request(&keys[*n])).collect::<Vec<_>>();
            for place in 0..NAMES.len() {
                let contender = (place + number) % NAMES.len();
                nanos[contender] += match contender {
                    0 => turn(&bare, requests()).await,
                    1 => turn(&ours, requests()).await,
                    _ => turn(&peer, requests()).await,
                };
            }
        }
        for (result, nanos) in results.iter_mut().zip(nanos) {
            result.push(nanos / (turns * BATCH) as f64);
        }
    }
    let over_bare =
        |n: usize| median(&mut results[n].iter().zip(&results[0]).map(|(took, bare)| took - bare).collect::<Vec<_>>());
    let (ours, peer) = (over_bare(1), over_bare(2));
    let medians = results.map(|mut result| format!("{:>9.0}", median(&mut result)));
    println!(
        "{count:>9}  {}   what each adds: ours {ours:.0}, httpauth {peer:.0}, ratio {:.2}",
        medians.join(""),
        ours / peer
    );
}

fn request(key: &str) -> actix_http::Request {
    TestRequest::get()
        .uri("/files")
        .insert_header(("host", "localhost"))
        .insert_header(("user-agent", "bench"))
        .insert_header(("authorization", format!("Bearer {key}")))
        .to_request()
}

async fn turn<B: MessageBody>(
    service: &impl Service<actix_http::Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    requests: Vec<actix_http::Request>,
) -> f64 {
    let start = Instant::now();
    for request in requests {
        let response = service.call(request).await.expect("no error");
        assert!(response.status().is_success());
    }
    start.elapsed().as_nanos() as f64
}
