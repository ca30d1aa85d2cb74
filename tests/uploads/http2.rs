//! HTTP/2: the answer, its end, and a reset without an error if the client keeps sending.

use std::{future::poll_fn, task::Poll, time::Duration};

use bytes::Bytes;
use h2::{Reason, client};
use http::Request;
use tokio::{net::TcpStream, time::timeout};
use tower_apikey::Lingering;

use crate::servers::{Server, World};

/// Longer than any answer takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn given_a_client_that_sends_on_when_refused_then_it_has_the_answer_and_its_stream_is_reset_without_an_error() {
    for server in [Server::Layers, Server::Axum] {
        // An endless body is dropped at the limit of length or time.
        for lingering in [Lingering::new().max_bytes(100_000), Lingering::new().max_time(Duration::from_millis(200))] {
            let world = World::with(lingering).await;
            let running = server.start(&world).await;
            let stream = TcpStream::connect(running.address).await.unwrap();
            let (mut requests, connection) = client::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            let request = Request::post(format!("http://{}/guarded", running.address)).body(()).unwrap();
            let (answer, mut body) = requests.send_request(request, false).unwrap();
            let sending = tokio::spawn(async move {
                loop {
                    body.reserve_capacity(1_000);
                    let room = poll_fn(|cx| match body.poll_reset(cx) {
                        Poll::Ready(reset) => Poll::Ready(Err(reset.unwrap())),
                        Poll::Pending => body.poll_capacity(cx).map(|room| Ok(room.and_then(Result::ok).unwrap_or(0))),
                    });
                    match room.await {
                        Ok(room) => drop(body.send_data(Bytes::from(vec![0; room]), false)),
                        Err(reason) => return reason,
                    }
                }
            });
            let answer = timeout(PATIENCE, answer).await.expect("no answer").unwrap();
            assert_eq!((answer.status().as_u16(), answer.headers().get("connection")), (401, None), "{server:?}");
            let mut content = answer.into_body();
            let mut read = Vec::new();
            while let Some(data) = timeout(PATIENCE, content.data()).await.expect("half an answer") {
                let data = data.unwrap();
                content.flow_control().release_capacity(data.len()).unwrap();
                read.extend(data);
            }
            assert!(read.ends_with(b"}") && content.is_end_stream(), "{server:?}");
            let reset = timeout(PATIENCE, sending).await.expect("it is read for ever").unwrap();
            assert_eq!(reset, Reason::NO_ERROR, "{server:?}");
        }
    }
}

#[tokio::test]
async fn given_a_grpc_stream_when_refused_then_its_status_comes_at_once() {
    let world = World::new().await;
    let running = Server::Layers.start(&world).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut requests, connection) = client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://{}/guarded", running.address));
    let request = request.header("content-type", "application/grpc").body(()).unwrap();
    let (answer, _body) = requests.send_request(request, false).unwrap();
    let answer = timeout(PATIENCE, answer).await.expect("no answer").unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &"16".parse().unwrap()));
    assert!(answer.body().is_end_stream());
}
