//! The cache: what it stores, for how long, and what invalidates it.

use std::time::Duration;

use apikey_core::{Claims, KeyId, KeyStatus, Resolution, ScopeSet, TestKey, TestKeys, adapter::Authentication};

use crate::support::{Request, admit, decide, refusal};

/// Returns `true` if the decision is immediate after this many seconds. Then lets the store answer.
async fn is_remembered(keys: &TestKeys, key: &TestKey, seconds: u64) -> bool {
    keys.clock().advance(Duration::from_secs(seconds));
    let calls = keys.resolver_calls();
    let request = Request::of(key);
    let at_once = matches!(keys.authenticator().authenticate(&request), Authentication::Done(_));
    let _ = decide(&keys.authenticator(), &request).await;
    assert_eq!(keys.resolver_calls() == calls, at_once);
    at_once
}

#[tokio::test]
async fn given_a_good_key_when_asked_again_then_it_is_let_in_at_once_until_its_ttl_is_over() {
    let keys = TestKeys::with(|builder| builder.cache_ttl(Duration::from_secs(60)));
    let key = keys.key(["a"]);
    for (seconds, remembered) in [(0, false), (0, true), (59, true), (1, false), (0, true)] {
        assert_eq!(is_remembered(&keys, &key, seconds).await, remembered);
    }
}

#[tokio::test]
async fn given_a_refused_key_when_asked_again_then_it_is_refused_at_once_until_the_refusal_is_old() {
    let keys = TestKeys::with(|builder| builder.refused_ttl(Duration::from_secs(10)));
    let key = keys.insert(|digest, id| Resolution::new(digest, Claims::new(id)).with_status(KeyStatus::Disabled));
    for (seconds, remembered) in [(0, false), (0, true), (9, true), (1, false), (0, true)] {
        assert_eq!(is_remembered(&keys, &key, seconds).await, remembered);
    }
}

#[tokio::test]
async fn given_a_good_key_when_revoked_then_the_next_request_is_refused_and_handles_are_dead() {
    let keys = TestKeys::new();
    let (key, other) = (keys.key(["a"]), keys.key(["a"]));
    let handles = [
        admit(&keys.authenticator(), &Request::of(&key)).await,
        admit(&keys.authenticator(), &Request::of(&other)).await,
    ];
    keys.revoke(&key);
    assert_eq!(handles.each_ref().map(|handle| handle.is_live()), [false, true]);
    assert_eq!(refusal(&keys.authenticator(), &Request::of(&key)).await, "revoked");
    let calls = keys.resolver_calls();
    admit(&keys.authenticator(), &Request::of(&other)).await;
    assert_eq!(keys.resolver_calls(), calls);
}

#[tokio::test]
async fn given_two_secrets_of_a_key_when_one_is_revoked_then_the_other_lives_on() {
    let keys = TestKeys::new();
    let secret = || keys.insert(|digest, _| Resolution::new(digest, Claims::new(KeyId::new("both").unwrap())));
    let secrets = [secret(), secret()];
    let mut handles = Vec::new();
    for secret in &secrets {
        handles.push(admit(&keys.authenticator(), &Request::of(secret)).await);
    }
    let digest = apikey_core::KeyHasher::sha256().digest(secrets[0].secret());
    keys.authenticator().revoke_secret(secrets[0].id(), &digest);
    assert_eq!(handles.iter().map(|handle| handle.is_live()).collect::<Vec<_>>(), [false, true]);
    let calls = keys.resolver_calls();
    admit(&keys.authenticator(), &Request::of(&secrets[1])).await;
    assert_eq!(keys.resolver_calls(), calls);
}

#[tokio::test]
async fn given_changed_scopes_when_refreshed_then_new_requests_have_them_and_old_handles_live_on() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let request = Request::of(&key);
    let first = admit(&keys.authenticator(), &request).await;
    type Refresh = fn(&TestKeys, &TestKey);
    let ways: [(&str, Refresh); 2] = [
        ("b", |keys, key| keys.authenticator().refresh(key.id())),
        ("c", |keys, _| keys.authenticator().refresh_all()),
    ];
    for (scope, refresh) in ways {
        let before = admit(&keys.authenticator(), &request).await.scopes().clone();
        let scopes = ScopeSet::parse(scope).unwrap();
        keys.update(&key, |record| record.map_claims(|claims| claims.with_scopes(scopes.clone())));
        assert_eq!(*admit(&keys.authenticator(), &request).await.scopes(), before);
        refresh(&keys, &key);
        assert_eq!(admit(&keys.authenticator(), &request).await.scopes().as_str(), scope);
        assert!(first.is_live());
    }
}

#[tokio::test]
async fn given_a_refused_key_when_it_is_enabled_then_whatever_tells_of_it_lets_it_in_at_once() {
    type Tell = fn(&TestKeys, &TestKey);
    let ways: [Tell; 3] = [
        |keys, key| keys.authenticator().refresh(key.id()),
        |keys, _| keys.authenticator().refresh_all(),
        |keys, _| keys.authenticator().forget_refused(),
    ];
    for tell in ways {
        let keys = TestKeys::new();
        let key = keys.insert(|digest, id| Resolution::new(digest, Claims::new(id)).with_status(KeyStatus::Disabled));
        assert_eq!(refusal(&keys.authenticator(), &Request::of(&key)).await, "disabled");
        keys.update(&key, |record| record.with_status(KeyStatus::Active));
        assert_eq!(refusal(&keys.authenticator(), &Request::of(&key)).await, "disabled");
        tell(&keys, &key);
        admit(&keys.authenticator(), &Request::of(&key)).await;
    }
}

#[tokio::test]
async fn given_keys_with_much_metadata_when_cached_then_their_bytes_are_bounded_as_well() {
    for (metadata, fewest, most) in [(0, 300, 300), (8_000, 100, 131)] {
        let keys = TestKeys::with(|builder| builder.cache_capacity(1_000).cache_bytes(1 << 20));
        let notes: apikey_core::JsonObject = format!(r#"{{"notes":"{}"}}"#, "x".repeat(metadata)).parse().unwrap();
        let claims = |id| Claims::new(id).with_metadata(notes.clone());
        let made: Vec<_> = (0..300).map(|_| keys.insert(|digest, id| Resolution::new(digest, claims(id)))).collect();
        for key in &made {
            let admitted = admit(&keys.authenticator(), &Request::of(key)).await;
            assert_eq!(admitted.metadata().get("notes"), notes.get("notes"));
        }
        let is_cached =
            |key: &&TestKey| matches!(keys.authenticator().authenticate(&Request::of(key)), Authentication::Done(_));
        let cached = made.iter().filter(is_cached).count();
        assert!((fewest..=most).contains(&cached), "{cached} of 300 with {metadata} bytes each");
    }
}
