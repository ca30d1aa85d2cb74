//! Usage is counted, and counted once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use apikey_core::{ActivitySink, AuthenticatedKey, KeyUsage, RequestReport, Scope, TestKeys, adapter::Authentication};

use crate::support::{Request, admit, decide};

fn counting() -> TestKeys {
    TestKeys::with(|builder| builder.count_usage(true).cache_capacity(1))
}

fn total(taken: &[KeyUsage]) -> (u64, u64) {
    taken.iter().fold((0, 0), |(requests, refused), used| (requests + used.requests, refused + used.refused))
}

#[tokio::test]
async fn given_a_load_and_hits_when_usage_is_taken_then_each_request_is_counted_once_under_the_stored_digest() {
    let keys = counting();
    let key = keys.key(["a"]);
    for _ in 0..3 {
        admit(&keys.authenticator(), &Request::of(&key)).await;
    }
    let used_at = keys.clock().wall();
    keys.clock().advance(Duration::from_secs(4));
    let taken = keys.authenticator().take_usage();
    let digest = apikey_core::KeyHasher::sha256().digest(key.secret());
    assert_eq!(taken, [KeyUsage::new(key.id().clone(), digest, 3, used_at)]);
    assert_eq!(keys.authenticator().take_usage(), []);
}

#[tokio::test]
async fn given_a_request_that_passes_two_layers_when_usage_is_taken_then_it_is_one() {
    let keys = counting();
    let mut request = Request::of(&keys.key(["a"]));
    request.key = Some(admit(&keys.authenticator(), &request).await);
    admit(&keys.authenticator(), &request).await;
    assert_eq!(total(&keys.authenticator().take_usage()), (1, 0));
}

#[tokio::test]
async fn given_scopes_that_are_refused_when_usage_is_taken_then_they_are_counted_even_after_their_requests() {
    let keys = counting();
    let handle = admit(&keys.authenticator(), &Request::of(&keys.key(["a"]))).await;
    let (has, lacks) = (Scope::new("a").unwrap(), Scope::new("b").unwrap());
    handle.require_scopes(&has.into()).unwrap();
    handle.require_scopes(&lacks.clone().into()).unwrap_err();
    assert_eq!(total(&keys.authenticator().take_usage()), (1, 1));
    handle.require_scopes(&lacks.into()).unwrap_err();
    assert_eq!(total(&keys.authenticator().take_usage()), (0, 1));
}

#[tokio::test]
async fn given_keys_that_are_evicted_refreshed_and_revoked_when_usage_is_taken_then_nothing_is_missing() {
    let keys = counting();
    let all: Vec<_> = (0..40).map(|_| keys.key(["a"])).collect();
    for round in 0..3 {
        for key in &all {
            admit(&keys.authenticator(), &Request::of(key)).await;
            if round == 1 {
                keys.authenticator().refresh(key.id());
            }
        }
    }
    all.iter().for_each(|key| keys.revoke(key));
    for key in &all {
        decide(&keys.authenticator(), &Request::of(key)).await.unwrap_err();
    }
    assert_eq!(total(&keys.authenticator().take_usage()), (120, 0));
}

#[tokio::test]
async fn given_a_key_that_is_gone_when_its_usage_is_taken_then_it_says_whose_it_was() {
    let keys = counting();
    let key = keys.insert(|digest, id| {
        let claims = apikey_core::Claims::new(id)
            .with_organization("acme".parse().unwrap())
            .with_service_account("bot".parse().unwrap());
        apikey_core::Resolution::new(digest, claims.with_environment("live"))
    });
    admit(&keys.authenticator(), &Request::of(&key)).await;
    keys.revoke(&key);
    let taken = keys.authenticator().take_usage();
    let whose = |used: &KeyUsage| {
        let (organization, account) = (used.organization.as_ref(), used.service_account.as_ref());
        let ids = [organization.map(|id| id.as_str()), account.map(|id| id.as_str())];
        [ids[0], ids[1], used.environment.as_deref()].map(|whose| whose.map(str::to_owned))
    };
    let expected = ["acme", "bot", "live"].map(|whose| Some(whose.to_owned()));
    assert_eq!(taken.iter().map(whose).collect::<Vec<_>>(), [expected]);
}

#[tokio::test]
async fn given_no_counting_when_usage_is_taken_then_there_is_none() {
    let keys = TestKeys::new();
    admit(&keys.authenticator(), &Request::of(&keys.key(["a"]))).await;
    assert_eq!(keys.authenticator().take_usage(), []);
    assert!(!keys.authenticator().counts_usage());
}

#[tokio::test]
async fn given_an_authenticator_that_is_gone_when_its_handles_drop_then_what_it_counted_is_freed() {
    let extra = Arc::new(7_u8);
    let keys = counting();
    let held = Arc::clone(&extra);
    let key = keys.insert(move |digest, id| {
        apikey_core::Resolution::new(digest, apikey_core::Claims::new(id).with_extra(Arc::clone(&held)))
    });
    let handle = admit(&keys.authenticator(), &Request::of(&key)).await;
    drop((keys, key));
    handle.require_scopes(&Scope::new("b").unwrap().into()).unwrap_err();
    drop(handle);
    assert_eq!(Arc::strong_count(&extra), 1);
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl ActivitySink for Log {
    fn record(&self, key: &AuthenticatedKey, request: &RequestReport<'_>) {
        self.0.lock().unwrap().push(format!("{} {} {}", key.key_id(), request.method, request.status));
    }
}

#[tokio::test]
async fn given_a_sink_when_an_adapter_reports_then_it_is_told() {
    let log = Arc::new(Log::default());
    let keys = TestKeys::with(|builder| builder.activity_sink(Arc::clone(&log) as Arc<dyn ActivitySink>));
    let key = keys.key(["a"]);
    let authenticator = keys.authenticator();
    let handle = admit(&authenticator, &Request::of(&key)).await;
    assert!(authenticator.records_activity() && !TestKeys::new().authenticator().records_activity());
    authenticator.record_activity(&handle, &RequestReport::new(authenticator.clock().wall(), "GET", 204));
    assert_eq!(*log.0.lock().unwrap(), [format!("{} GET 204", key.id())]);
    assert!(matches!(authenticator.authenticate(&Request::of(&key)), Authentication::Done(Ok(Some(_)))));
}
