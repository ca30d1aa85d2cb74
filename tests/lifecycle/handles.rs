//! The handle of a request's key after the request was accepted.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use apikey_core::{AuthenticatedKey, KeyStatus};
use support::{
    calls::request,
    stand::{Setting, Stand, key_id},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_apikey::{ApiKeyLayer, caller};

/// The handle that a handler receives.
async fn handle(stand: &Stand, name: &str) -> AuthenticatedKey {
    let handler = service_fn(async |request: http::Request<String>| {
        let mut response = http::Response::new(String::new());
        response.extensions_mut().insert(caller(request.extensions()).unwrap().clone());
        Ok::<_, std::convert::Infallible>(response)
    });
    let service = ApiKeyLayer::new(stand.authenticator.clone()).layer(handler);
    let mut response = service.oneshot(request(stand.token(name))).await.unwrap();
    response.extensions_mut().remove().unwrap()
}

fn is_ready(future: impl Future) -> bool {
    matches!(pin!(future).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
}

#[tokio::test(start_paused = true)]
async fn given_handles_of_a_key_when_it_is_revoked_then_all_are_dead_and_those_who_wait_are_told() {
    let stand = Stand::new(Setting::Plain);
    let (one, other, bystander) =
        (handle(&stand, "reader").await, handle(&stand, "reader-too").await, handle(&stand, "admin").await);
    let waiting = tokio::spawn(one.clone().revoked());
    assert!(one.is_live() && other.is_live() && !is_ready(one.revoked()));
    stand.authenticator.revoke(&key_id("reader"));
    // The clock is paused, so this waits until nothing else is in progress.
    tokio::time::timeout(Duration::from_secs(1), waiting).await.unwrap().unwrap();
    assert!(!one.is_live() && !other.is_live());
    assert!(is_ready(one.revoked()) && is_ready(other.revoked()));
    assert!(bystander.is_live() && !is_ready(bystander.revoked()));
}

#[tokio::test]
async fn given_handles_of_two_secrets_when_one_is_revoked_then_only_its_handles_are_dead() {
    let stand = Stand::new(Setting::Plain);
    let (one, other) = (handle(&stand, "reader").await, handle(&stand, "reader-too").await);
    stand.authenticator.revoke_secret(&key_id("reader"), &stand.digest("reader-too"));
    assert!(one.is_live() && !other.is_live());
}

#[tokio::test]
async fn given_a_handle_when_its_key_is_refreshed_then_it_lives_and_a_later_revocation_still_ends_it() {
    let stand = Stand::new(Setting::Plain);
    let old = handle(&stand, "reader").await;
    stand.authenticator.refresh(&key_id("reader"));
    assert!(old.is_live() && !is_ready(old.revoked()));
    let new = handle(&stand, "reader").await;
    stand.authenticator.refresh_all();
    assert!(old.is_live() && new.is_live());
    stand.authenticator.revoke(&key_id("reader"));
    assert!(!old.is_live() && !new.is_live());
}

#[tokio::test]
async fn given_a_handle_when_its_key_was_evicted_or_outlived_the_cache_then_a_revocation_still_ends_it() {
    let mut stand = Stand::with(Setting::Plain, |builder| builder.cache_capacity(1));
    let key = handle(&stand, "reader").await;
    for number in 0..100 {
        let name = format!("crowd-{number}");
        stand.issue(&name, "files:read");
        assert_eq!(stand.ask(&name).await, 200);
    }
    assert_eq!(stand.ask_counted("reader").await, (200, 1), "it should have been evicted");
    stand.clock.advance(Duration::from_secs(600));
    assert!(key.is_live());
    stand.authenticator.revoke(&key_id("reader"));
    assert!(!key.is_live());
}

#[tokio::test]
async fn given_a_handle_when_its_key_expires_then_it_is_dead_and_those_who_wait_are_told() {
    let stand = Stand::new(Setting::Plain);
    let expiry = stand.clock.wall() + Duration::from_secs(30);
    stand.change("reader", |claims| claims.with_expiry(expiry), |record| record);
    let key = handle(&stand, "reader").await;
    let waiting = tokio::spawn(key.clone().revoked());
    tokio::task::yield_now().await;
    stand.clock.advance(Duration::from_secs(29));
    assert!(key.is_live() && key.require_live().is_ok() && !is_ready(key.revoked()));
    stand.clock.advance(Duration::from_secs(1));
    assert!(!key.is_live() && is_ready(key.revoked()));
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    let (expired, revoked) = (key.require_live().unwrap_err(), revoked().await.require_live().unwrap_err());
    let answer = |rejection: &apikey_core::Rejection| (rejection.status(), rejection.challenge(), rejection.problem());
    assert_eq!((answer(&expired), expired.status()), (answer(&revoked), 401));
}

async fn revoked() -> AuthenticatedKey {
    let stand = Stand::new(Setting::Plain);
    let key = handle(&stand, "reader").await;
    stand.authenticator.revoke(&key_id("reader"));
    key
}

#[tokio::test]
async fn given_the_moment_that_revoke_returns_when_a_request_comes_then_it_is_not_let_in() {
    let stand = Stand::new(Setting::Plain);
    for _ in 0..50 {
        assert_eq!(stand.ask("reader").await, 200);
        stand.change("reader", |claims| claims, |record| record.with_status(KeyStatus::Revoked));
        stand.authenticator.revoke(&key_id("reader"));
        assert_eq!(stand.ask("reader").await, 401);
        stand.change("reader", |claims| claims, |record| record);
        stand.authenticator.refresh(&key_id("reader"));
    }
}
