//! Keys that expire during a request.

use std::time::Duration;

use apikey_core::{Authenticator, Claims, KeyFormat, KeyHasher, KeyId, Resolution, Timestamp, resolver_with};
use futures_util::future::pending;
use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_apikey::ApiKeyLayer;

use crate::{
    client::{finish, next, send},
    kinds::{PATIENCE, World},
    servers::all,
};

#[tokio::test]
async fn given_requests_under_way_when_their_key_expires_then_they_end_as_with_a_revoked_one() {
    for (server, version) in all() {
        let world = World::new();
        let expiry = world.stand.clock.wall() + Duration::from_secs(30);
        world.stand.change("reader", |claims| claims.with_expiry(expiry), |record| record);
        let running = server.start(&world).await;
        let token = world.stand.token("reader").to_owned();
        let mut body = send(running.address, version, "/plain/stream", &token).await;
        assert_eq!(next(&mut body).await, "one");
        let address = running.address;
        let handler = tokio::spawn(async move { finish(send(address, version, "/plain/waits", &token).await).await });
        world.entered().await;
        world.stand.clock.advance(Duration::from_secs(29));
        world.feed("two");
        assert_eq!(next(&mut body).await, "two");
        assert_eq!(world.open(), 2);
        world.stand.clock.advance(Duration::from_secs(1));
        let answer = handler.await.unwrap();
        assert_eq!(answer.status, 401, "{server:?} {version:?}");
        assert!(answer.body.contains("invalid_token"));
        assert!(!finish(body).await.is_whole, "{server:?} {version:?}");
        world.until_open(0).await;
    }
}

#[tokio::test]
async fn given_the_systems_clock_when_a_key_expires_under_a_handler_then_it_is_answered_401_and_no_sooner() {
    let format = KeyFormat::builder("soon").build().unwrap();
    let key = format.generate().unwrap();
    let digest = KeyHasher::sha256().digest(&key);
    // Whole milliseconds, as keys have.
    let expiry = Timestamp::now() + Duration::from_millis(300);
    let resolver = resolver_with((digest, expiry), async |(digest, expiry), _| {
        let claims = Claims::new(KeyId::new("k")?).with_expiry(expiry);
        Ok::<_, apikey_core::IdError>(Some(Resolution::new(digest, claims)))
    });
    let authenticator = Authenticator::builder(resolver).format(format).build().unwrap();
    let handler = service_fn(async |_: Request<String>| {
        pending::<()>().await;
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let request = Request::get("/").header("authorization", format!("Bearer {}", key.expose_secret()));
    let answer = ApiKeyLayer::new(authenticator).layer(handler).oneshot(request.body(String::new()).unwrap());
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("it should have been noticed").unwrap();
    assert!(answer.status() == 401 && Timestamp::now() >= expiry);
}
