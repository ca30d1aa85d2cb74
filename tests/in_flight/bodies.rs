//! Bodies: where they are cut off, and what their clients see.

use support::stand::key_id;

use crate::{
    client::{finish, next, send},
    kinds::{LAST_EVENT, World},
    servers::all,
};

#[tokio::test]
async fn given_a_body_that_is_being_read_when_its_key_is_revoked_then_the_client_sees_a_failure() {
    for (server, version) in all() {
        for path in ["/plain/stream", "/plain/sized", "/nested/stream"] {
            let context = format!("{server:?} {version:?} {path}");
            let world = World::new();
            let running = server.start(&world).await;
            let mut response = send(running.address, version, path, world.stand.token("reader")).await;
            assert_eq!(next(&mut response).await, "one", "{context}");
            world.feed("two");
            assert_eq!(next(&mut response).await, "two", "{context}");
            world.stand.authenticator.revoke(&key_id("reader"));
            let answer = finish(response).await;
            assert_eq!((answer.is_whole, &*answer.body), (false, ""), "{context}");
            world.until_open(0).await;
        }
    }
}

#[tokio::test]
async fn given_a_body_with_more_to_come_when_its_key_is_revoked_then_none_of_it_comes() {
    for (server, version) in all() {
        let world = World::new();
        let running = server.start(&world).await;
        let mut response = send(running.address, version, "/plain/stream", world.stand.token("reader")).await;
        assert_eq!(next(&mut response).await, "one");
        world.stand.authenticator.revoke(&key_id("reader"));
        world.feed("two");
        world.end();
        let answer = finish(response).await;
        assert_eq!((answer.is_whole, &*answer.body), (false, ""), "{server:?} {version:?}");
    }
}

#[tokio::test]
async fn given_events_when_their_key_is_revoked_then_the_last_one_is_the_service_s() {
    for (server, version) in all() {
        for path in ["/plain/events", "/nested/events"] {
            let world = World::new();
            let running = server.start(&world).await;
            let mut response = send(running.address, version, path, world.stand.token("reader")).await;
            assert_eq!(next(&mut response).await, "one");
            world.stand.authenticator.revoke(&key_id("reader"));
            let answer = finish(response).await;
            assert_eq!((answer.is_whole, &*answer.body), (true, LAST_EVENT), "{server:?} {version:?} {path}");
            world.until_open(0).await;
        }
    }
}

#[tokio::test]
async fn given_a_body_when_its_key_is_refreshed_or_it_may_finish_then_it_comes_to_its_own_end() {
    for (server, version) in all() {
        for (path, revokes) in [
            ("/plain/stream", false),
            ("/plain/events", false),
            ("/finish/stream", true),
            ("/off/stream", true),
            ("/nested-finish/stream", true),
        ] {
            let world = World::new();
            let running = server.start(&world).await;
            let mut response = send(running.address, version, path, world.stand.token("reader")).await;
            assert_eq!(next(&mut response).await, "one");
            match revokes {
                true => world.stand.authenticator.revoke(&key_id("reader")),
                false => world.stand.authenticator.refresh(&key_id("reader")),
            }
            world.feed("two");
            world.end();
            let answer = finish(response).await;
            assert_eq!((answer.is_whole, &*answer.body), (true, "two"), "{server:?} {version:?} {path}");
        }
    }
}
