//! Many concurrent streams over HTTP/1.1 in memory: the streams of a revoked key end, and no others.

use std::convert::Infallible;

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::{Builder, Runtime},
    time::timeout,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_apikey::{ApiKeyLayer, BodyError, caller};

use crate::kinds::{PATIENCE, Reply, World};

/// The number of streams of the revoked key, and of other keys.
fn sizes() -> (usize, usize) {
    match std::env::var("APIKEY_FIRE").as_deref() {
        Ok("full") => (1_000, 10_000),
        _ => (200, 2_000),
    }
}

struct Crowd {
    runtime: Runtime,
    world: World,
}

type Body = UnsyncBoxBody<Bytes, BodyError>;

async fn serve(world: World, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let layer = ApiKeyLayer::new(world.stand.authenticator.clone());
    let handler = service_fn(async |request: Request<Incoming>| {
        let key = caller(request.extensions()).unwrap().clone();
        let Reply::Body { source, .. } = world.clone().handle(request.uri().path().to_owned(), key).await else {
            panic!("only streams are asked for");
        };
        let frames = futures_util::StreamExt::map(source, |chunk| chunk.map(http_body::Frame::data));
        Ok::<_, Infallible>(Response::new(http_body_util::StreamBody::new(frames)))
    });
    layer.layer(handler).oneshot(request).await.map(|response| response.map(BodyExt::boxed_unsync))
}

impl Crowd {
    /// Opens `count` streams, each on its own connection, and waits for the first chunk of each.
    fn open(&self, count: usize, path: &str, name: impl Fn(usize) -> String) -> Vec<DuplexStream> {
        self.runtime.block_on(async {
            let mut streams = Vec::with_capacity(count);
            for number in 0..count {
                let (mut client, server) = tokio::io::duplex(1_024);
                let world = self.world.clone();
                let service = service_fn(move |request| serve(world.clone(), request));
                tokio::spawn(async move {
                    let connection = http1::Builder::new().max_buf_size(8_192).half_close(false).clone();
                    drop(connection.serve_connection(TokioIo::new(server), TowerToHyperService::new(service)).await);
                });
                let token = self.world.stand.token(&name(number)).to_owned();
                let head = format!(
                    "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
                );
                client.write_all(head.as_bytes()).await.unwrap();
                let mut first = [0; 12];
                timeout(PATIENCE, client.read_exact(&mut first)).await.unwrap().unwrap();
                assert_eq!(&first, b"HTTP/1.1 200");
                streams.push(client);
            }
            // Drains the first chunks, which may still be in the pipes.
            tokio::task::yield_now().await;
            streams
        })
    }

    /// Reads until the server closes. Returns `true` if the body was complete.
    fn read_out(&self, streams: Vec<DuplexStream>) -> Vec<bool> {
        self.runtime.block_on(async {
            let mut whole = Vec::with_capacity(streams.len());
            for mut stream in streams {
                let mut read = Vec::new();
                timeout(PATIENCE, stream.read_to_end(&mut read)).await.expect("it goes on").unwrap();
                whole.push(read.ends_with(b"0\r\n\r\n"));
            }
            // Lets the connections' tasks finish.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            whole
        })
    }
}

/// Returns the memory that `work` has allocated and not freed on this thread, the only one.
fn kept<T>(work: impl FnOnce() -> T) -> (T, i64) {
    let mut result = None;
    let AllocationInfo { bytes_current, .. } = measure(|| result = Some(work()));
    (result.unwrap(), bytes_current)
}

#[test]
fn given_a_crowd_of_streams_when_one_key_is_revoked_then_all_of_its_end_and_no_other_and_nothing_is_kept() {
    let (of_one, of_others) = sizes();
    let world = World::new();
    let crowd = Crowd { runtime: Builder::new_current_thread().enable_all().build().unwrap(), world: world.clone() };
    // Allocates everything that is created once and kept.
    drop(crowd.read_out({
        let streams = crowd.open(2, "/plain/stream", |_| "admin".to_owned());
        world.end();
        streams
    }));
    assert_eq!(world.open(), 0);

    let others = ["reader", "reader-too", "admin", "nobody"];
    let (others, of_the_others) =
        kept(|| crowd.open(of_others, "/plain/stream", |number| others[number % others.len()].to_owned()));
    assert_eq!(world.open(), of_others);

    let ((), left) = kept(|| {
        let half = of_one / 2;
        let read = crowd.open(half, "/plain/stream", |_| "writer".to_owned());
        let unread = crowd.open(of_one - half, "/plain/flood", |_| "writer".to_owned());
        assert_eq!(world.open(), of_others + of_one);
        world.stand.authenticator.revoke(&support::stand::key_id("writer"));
        // Nothing has been polled since, but the bodies are dropped, even those that nobody reads.
        assert_eq!(world.open(), of_others, "bodies outlive their key");
        for whole in [crowd.read_out(read), crowd.read_out(unread)] {
            assert!(!whole.contains(&true), "a client takes half for whole");
        }
        world.feed("two");
    });
    assert!(left.abs() * 20 <= of_the_others, "{left} bytes are left, where the others keep {of_the_others}");

    assert_eq!(world.open(), of_others);
    world.end();
    let whole = crowd.read_out(others);
    assert!(!whole.contains(&false), "another key's stream was cut");
    assert_eq!(world.open(), 0);
}
