//! gRPC: a stream whose key dies ends with a gRPC status, without an HTTP error.

use http::Method;
use support::stand::key_id;

use crate::{
    client::{Version, finish, next, send_as},
    kinds::World,
    servers::Server,
};

#[tokio::test]
async fn given_a_grpc_call_when_its_key_is_revoked_then_it_ends_with_status_16() {
    for server in [Server::Hyper, Server::Axum] {
        for path in ["/plain/stream", "/nested/stream"] {
            let world = World::new();
            let running = server.start(&world).await;
            let token = world.stand.token("reader");
            let call = send_as(running.address, Version::Http2, path, token, Method::POST, Some("application/grpc"));
            let mut call = call.await;
            assert_eq!(next(&mut call).await, "one");
            world.stand.authenticator.revoke(&key_id("reader"));
            let answer = finish(call).await;
            let trailers = answer.trailers.unwrap();
            assert_eq!((answer.is_whole, &trailers["grpc-status"]), (true, &"16".parse().unwrap()), "{server:?}");
            assert_eq!(trailers["grpc-message"], "The API key is not valid.");
            world.until_open(0).await;
        }
    }
}

#[tokio::test]
async fn given_a_grpc_handler_that_waits_when_its_key_is_revoked_then_the_answer_is_trailers_only() {
    for server in [Server::Hyper, Server::Axum] {
        let world = World::new();
        let running = server.start(&world).await;
        let (address, token) = (running.address, world.stand.token("reader").to_owned());
        let waiting = tokio::spawn(async move {
            let path = "/plain/waits";
            let call = send_as(address, Version::Http2, path, &token, Method::POST, Some("application/grpc+proto"));
            finish(call.await).await
        });
        world.entered().await;
        world.stand.authenticator.revoke(&key_id("reader"));
        let answer = waiting.await.unwrap();
        assert_eq!((answer.status, &answer.headers["grpc-status"]), (200, &"16".parse().unwrap()), "{server:?}");
        assert_eq!(world.open(), 0);
    }
}
