//! Common clients receive every answer to a refused body.

use std::collections::BTreeMap;

use apikey_testkit::{Client, Upload};

use crate::servers::{Server, World};

/// More than all buffers between a client and a server hold, so that the answer could be lost. Over HTTP/2, a stream's
/// window is the limit.
const LARGE: usize = 8 << 20;
const LARGE_HTTP2: usize = 2 << 20;
const SMALL: usize = 300;

/// A refusal: a path, a credential, and the status of the answer.
struct Refusal {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    authorization: Option<String>,
    status: u16,
    /// `true` if the layers refuse the request themselves.
    by_layers: bool,
}

fn refusals(world: &World) -> Vec<Refusal> {
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    let key = |name| bearer(world.stand.token(name));
    let row = |name, path, authorization, status| Refusal {
        name,
        method: "POST",
        path,
        authorization,
        status,
        by_layers: path == "/guarded" || path == "/down",
    };
    let with_method = |method, row| Refusal { method, ..row };
    vec![
        row("no key", "/guarded", None, 401),
        row("a malformed one", "/guarded", Some("Bearer a, b".to_owned()), 400),
        row("an unknown one", "/guarded", key("unknown"), 401),
        row("a revoked one", "/guarded", key("revoked"), 401),
        row("a store that has failed", "/down", key("reader"), 503),
        row("a guard", "/guarded", key("reader"), 403),
        row("an extractor", "/files", key("reader"), 403),
        row("a limit", "/files", key("writer"), 413),
        row("nobody who reads", "/ignores", key("reader"), 200),
        row("no such route", "/nowhere", None, 404),
        row("not this method", "/healthz", None, 405),
        row("the console, no key", "/keys/v1/api-keys", None, 401),
        row("the console, no rights", "/keys/v1/api-keys", bearer(&world.bystander), 403),
        row("the console, too much", "/keys/v1/api-keys", bearer(&world.manager), 413),
        row("the console, no such route", "/keys/v1/nowhere", bearer(&world.manager), 404),
        with_method("PUT", row("the console, not this method", "/keys/v1/api-keys", bearer(&world.manager), 405)),
    ]
}

fn upload(address: std::net::SocketAddr, refusal: &Refusal, size: usize) -> Upload {
    let upload = Upload::new(format!("http://{address}{}", refusal.path), size).method(refusal.method);
    let upload = upload.header("content-type", "application/json");
    match &refusal.authorization {
        Some(value) => upload.header("authorization", value),
        None => upload,
    }
}

/// Lets each of `clients` send each refused upload, the first ones 20 times.
async fn check(clients: &[Client], server: Server) {
    let world = World::new().await;
    let running = server.start(&world).await;
    let all = refusals(&world).into_iter().filter(|row| server != Server::Layers || row.by_layers);
    let all: Vec<_> = all.enumerate().map(|(number, row)| (row, if number == 0 { 20 } else { 3 })).collect();
    for client in clients {
        // Over HTTP/2, curl 7.88 hangs on a success response that arrives before it has sent everything.
        let is_sound = |row: &Refusal| row.status >= 400 || *client != Client::CurlHttp2;
        let rows = || {
            let sound = all.iter().filter(|(row, _)| is_sound(row));
            sound.flat_map(|(row, times)| (0..*times).map(move |_| row))
        };
        let size = if Client::HTTP_2.contains(client) { LARGE_HTTP2 } else { LARGE };
        let uploads: Vec<_> = rows().map(|row| upload(running.address, row, size)).collect();
        let Some(outcomes) = client.send(&uploads).await else { continue };
        assert_eq!(outcomes.len(), uploads.len());
        let mut lost: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (row, outcome) in rows().zip(outcomes).filter(|(row, outcome)| outcome.as_ref() != Ok(&row.status)) {
            lost.entry(row.name).or_default().push(outcome);
        }
        assert!(lost.is_empty(), "{client:?} of {server:?}: {lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_large_uploads_when_refused_by_the_layers_then_every_client_has_every_answer() {
    check(&Client::HTTP_1, Server::Layers).await;
    check(&Client::HTTP_2, Server::Layers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_large_uploads_when_refused_in_axum_then_every_client_has_every_answer() {
    check(&Client::HTTP_1, Server::Axum).await;
    check(&Client::HTTP_2, Server::Axum).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_large_uploads_when_refused_in_actix_then_every_client_has_every_answer() {
    // Over HTTP/2, actix resets streams immediately, which curl 7.88 reports as an error.
    check(&Client::HTTP_1, Server::Actix).await;
    check(&[Client::ReqwestHttp2], Server::Actix).await;
}

/// The clients that reuse connections.
const KEEPERS: [Client; 5] =
    [Client::HttpClient, Client::Requests, Client::Fetch, Client::Reqwest, Client::ReqwestHttp2];

/// After each small refused body, the same client sends a request that is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn given_small_uploads_when_refused_then_the_client_s_next_request_is_answered() {
    for server in Server::ALL {
        let world = World::new().await;
        let running = server.start(&world).await;
        let refusals: Vec<_> =
            refusals(&world).into_iter().filter(|row| server != Server::Layers || row.by_layers).collect();
        let writer = format!("Bearer {}", world.stand.token("writer"));
        let accepted =
            Upload::new(format!("http://{}/guarded", running.address), SMALL).header("authorization", writer);
        let pairs = || refusals.iter().filter(|row| row.status != 413).cycle().take(40);
        let uploads: Vec<_> = pairs().flat_map(|row| [upload(running.address, row, SMALL), accepted.clone()]).collect();
        let expected: Vec<_> = pairs().flat_map(|row| [Ok(row.status), Ok(200)]).collect();
        for client in KEEPERS {
            if let Some(outcomes) = client.send(&uploads).await {
                assert_eq!(outcomes, expected, "{client:?} of {server:?}");
            }
        }
    }
}
