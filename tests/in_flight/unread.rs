//! Clients that don't read: they can't be notified, but the service's body is dropped.

use std::time::Duration;

use support::stand::key_id;

use crate::{
    client::{finish, send},
    kinds::World,
    servers::all,
};

#[tokio::test]
async fn given_a_body_that_its_client_does_not_read_when_its_key_is_revoked_then_it_is_dropped_all_the_same() {
    for (server, version) in all() {
        for path in ["/plain/flood", "/nested/flood"] {
            let world = World::new();
            let running = server.start(&world).await;
            let response = send(running.address, version, path, world.stand.token("reader")).await;
            // Waits until all buffers seem full, and nobody polls the body any more. (The adapters' own tests check
            // that the body is dropped without a poll.)
            let mut produced = 0;
            while produced != world.produced() || produced == 0 {
                produced = world.produced();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            world.stand.authenticator.revoke(&key_id("reader"));
            world.until_open(0).await;
            // If it reads after all, it sees the end.
            assert!(!finish(response).await.is_whole, "{server:?} {version:?}");
        }
    }
}
