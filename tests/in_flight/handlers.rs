//! Handlers: which are dropped, and which answer.

use apikey_core::KeyStatus;
use support::stand::key_id;

use crate::{
    client::{Answer, finish, send},
    kinds::World,
    servers::{Running, Server, all},
};

/// The parts of an answer that are constant.
fn comparable(answer: Answer) -> (u16, Vec<(String, String)>, String) {
    let headers = answer.headers.iter().filter(|(name, _)| *name != "date");
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (answer.status, headers, answer.body)
}

/// Sends a request in its own task.
macro_rules! spawn_send {
    ($world:expr, $running:expr, $version:expr, $path:expr, $name:expr) => {{
        let (address, token) = ($running.address, $world.stand.token($name).to_owned());
        tokio::spawn(async move { finish(send(address, $version, $path, &token).await).await })
    }};
}

async fn ask(world: &World, running: &Running, version: crate::client::Version, path: &str) -> Answer {
    finish(send(running.address, version, path, world.stand.token("reader")).await).await
}

#[tokio::test]
async fn given_a_handler_that_waits_when_its_key_is_revoked_then_it_is_dropped_and_answered_as_a_dead_key_is() {
    for (server, version) in all() {
        for path in ["/plain/waits", "/nested/waits"] {
            let world = World::new();
            let running = server.start(&world).await;
            let waiting = spawn_send!(world, running, version, path, "reader");
            world.entered().await;
            world.stand.change("reader", |claims| claims, |record| record.with_status(KeyStatus::Revoked));
            world.stand.authenticator.revoke(&key_id("reader"));
            let cut = waiting.await.unwrap();
            // The handler is dropped by the time its client is answered.
            assert_eq!(world.open(), 0, "{server:?} {version:?}");
            let refused = ask(&world, &running, version, path).await;
            assert_eq!((cut.status, cut.is_whole), (401, true), "{server:?} {version:?}");
            assert!(cut.body.contains("invalid_token"));
            assert_eq!(comparable(cut), comparable(refused), "{server:?} {version:?}");
        }
    }
}

#[tokio::test]
async fn given_a_handler_that_has_finished_or_never_waits_when_its_key_dies_meanwhile_then_it_is_answered() {
    for (server, version) in all() {
        let world = World::new();
        let running = server.start(&world).await;
        for path in ["/plain/ready", "/plain/revokes-last"] {
            let answer = ask(&world, &running, version, path).await;
            assert_eq!(answer.status, 200, "{server:?} {version:?} {path}");
            // The key is looked up again, and found.
            world.stand.authenticator.refresh(&key_id("reader"));
        }
    }
}

#[tokio::test]
async fn given_a_handler_that_revokes_its_own_key_when_it_goes_on_then_it_is_answered_if_it_may_finish() {
    for (server, version) in all() {
        for (path, status) in [
            ("/plain/revokes", 401),
            ("/nested/revokes", 401),
            ("/finish/revokes", 200),
            ("/nested-finish/revokes", 200),
            ("/off/revokes", 200),
        ] {
            let world = World::new();
            let running = server.start(&world).await;
            let answer = ask(&world, &running, version, path).await;
            assert_eq!(answer.status, status, "{server:?} {version:?} {path}");
        }
    }
}

#[tokio::test]
async fn given_routes_that_finish_when_a_key_is_revoked_then_they_are_answered_and_the_next_request_is_not() {
    for (server, version) in all() {
        let world = World::new();
        let running = server.start(&world).await;
        let paths = ["/finish/waits", "/off/waits", "/nested-finish/waits"];
        let mut waiting = Vec::new();
        for path in paths {
            waiting.push(spawn_send!(world, running, version, path, "reader"));
            world.entered().await;
        }
        world.stand.change("reader", |claims| claims, |record| record.with_status(KeyStatus::Revoked));
        world.stand.authenticator.revoke(&key_id("reader"));
        assert_eq!(world.open(), 3);
        paths.iter().for_each(|_| world.release());
        for answered in waiting {
            let answer = answered.await.unwrap();
            assert_eq!((answer.status, &*answer.body), (200, "waited"), "{server:?} {version:?}");
        }
        assert_eq!(ask(&world, &running, version, "/finish/ready").await.status, 401);
    }
}

#[tokio::test]
async fn given_requests_of_several_keys_and_secrets_when_one_ends_then_only_its_own_are_dropped() {
    for server in Server::ALL {
        let version = crate::client::Version::Http1;
        let world = World::new();
        let running = server.start(&world).await;
        let mut waiting = Vec::new();
        for name in ["reader", "reader-too", "writer"] {
            waiting.push(spawn_send!(world, running, version, "/plain/waits", name));
            world.entered().await;
        }
        // It may have fewer scopes, but it is not revoked.
        world.stand.authenticator.refresh(&key_id("writer"));
        world.stand.authenticator.refresh_all();
        world.stand.authenticator.forget_refused();
        world.stand.authenticator.revoke_secret(&key_id("reader"), &world.stand.digest("reader-too"));
        let cut = waiting.remove(1).await.unwrap();
        assert_eq!((cut.status, world.open()), (401, 2), "{server:?}");
        world.release();
        world.release();
        for answered in waiting {
            assert_eq!(answered.await.unwrap().status, 200, "{server:?}");
        }
    }
}

#[tokio::test]
async fn given_a_refreshed_key_when_it_is_then_revoked_then_requests_from_before_the_refresh_are_dropped() {
    let world = World::new();
    let running = Server::Axum.start(&world).await;
    let waiting = spawn_send!(world, running, crate::client::Version::Http2, "/plain/waits", "reader");
    world.entered().await;
    world.stand.authenticator.refresh(&key_id("reader"));
    world.stand.authenticator.revoke(&key_id("reader"));
    assert_eq!(waiting.await.unwrap().status, 401);
}
