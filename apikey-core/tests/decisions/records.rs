//! Decisions by the store's record: digest, environment, status, validity.

use std::time::Duration;

use apikey_core::{
    Authenticator, Checksum, Claims, KeyFormat, KeyHasher, KeyId, KeyStatus, Pepper, PlaintextKey, PresentedKey,
    Resolution, ScopeCatalog, TestKeys, resolver_fn,
};

use crate::support::{Request, admit, refusal};

const SECOND: Duration = Duration::from_secs(1);

fn claims() -> Claims {
    Claims::new(KeyId::new("k").unwrap())
}

#[tokio::test]
async fn given_a_record_when_it_says_so_then_its_key_is_refused() {
    let keys = TestKeys::new();
    let wall = keys.clock().wall();
    let key = keys.key(["a"]);
    type Record = Box<dyn Fn(Resolution) -> Resolution>;
    let cases: [(Record, &str); 6] = [
        (Box::new(|record| record.with_status(KeyStatus::Disabled)), "disabled"),
        (Box::new(|record| record.with_status(KeyStatus::Revoked)), "revoked"),
        (Box::new(move |record| record.with_status(KeyStatus::Active).with_secret_end(wall)), "expired"),
        (Box::new(move |record| record.with_secret_end(wall - SECOND)), "expired"),
        (Box::new(move |record| record.with_secret_end(wall + SECOND).with_not_before(wall + SECOND)), "not_yet_valid"),
        (Box::new(move |record| record.with_secret_end(wall + 2 * SECOND).with_not_before(wall)), ""),
    ];
    for (change, expected) in cases {
        keys.update(&key, change);
        keys.authenticator().refresh_all();
        match expected {
            "" => assert_eq!(admit(&keys.authenticator(), &Request::of(&key)).await.key_id(), key.id()),
            reason => assert_eq!(refusal(&keys.authenticator(), &Request::of(&key)).await, reason),
        }
    }
}

#[tokio::test]
async fn given_an_expiry_when_its_moment_comes_then_the_key_is_refused_though_it_is_cached() {
    let keys = TestKeys::new();
    let expiry = keys.clock().wall() + 5 * SECOND;
    let key = keys.key_with(|claims| claims.with_expiry(expiry));
    let handle = admit(&keys.authenticator(), &Request::of(&key)).await;
    keys.clock().advance(5 * SECOND - Duration::from_nanos(1));
    assert!(handle.is_live());
    admit(&keys.authenticator(), &Request::of(&key)).await;
    assert_eq!(keys.resolver_calls(), 1);
    keys.clock().advance(Duration::from_nanos(1));
    assert!(!handle.is_live());
    assert_eq!(refusal(&keys.authenticator(), &Request::of(&key)).await, "expired");
}

#[tokio::test]
async fn given_a_key_that_is_not_valid_yet_when_its_time_comes_then_the_refusal_is_not_remembered_longer() {
    let keys = TestKeys::new();
    let start = keys.clock().wall() + 3 * SECOND;
    let key = keys.insert(|digest, id| Resolution::new(digest, Claims::new(id)).with_not_before(start));
    assert_eq!(refusal(&keys.authenticator(), &Request::of(&key)).await, "not_yet_valid");
    keys.clock().advance(2 * SECOND);
    assert_eq!(refusal(&keys.authenticator(), &Request::of(&key)).await, "not_yet_valid");
    assert_eq!(keys.resolver_calls(), 1);
    keys.clock().advance(SECOND);
    admit(&keys.authenticator(), &Request::of(&key)).await;
}

#[tokio::test]
async fn given_a_store_that_answers_with_another_keys_record_when_asked_then_nobody_is_let_in() {
    let other = KeyHasher::sha256().digest(&"another-key-0000".parse().unwrap());
    let resolver =
        resolver_fn(move |_| std::future::ready(std::io::Result::Ok(Some(Resolution::new(other.clone(), claims())))));
    let authenticator = Authenticator::builder(resolver).build().unwrap();
    assert_eq!(refusal(&authenticator, &Request::bearer("some-key-00000000")).await, "digest_mismatch");
}

#[tokio::test]
async fn given_two_peppers_when_a_key_is_stored_under_either_then_it_is_found_and_can_be_ended_by_that_digest() {
    let hasher = KeyHasher::hmac_sha256(Pepper::new(2, &[2; 32]).unwrap());
    let hasher = hasher.accept(Pepper::new(1, &[1; 32]).unwrap()).unwrap();
    let key: PlaintextKey = "some-key-00000000".parse().unwrap();
    for stored in hasher.digests(&key) {
        let resolver = {
            let stored = stored.clone();
            resolver_fn(move |_| {
                std::future::ready(std::io::Result::Ok(Some(Resolution::new(stored.clone(), claims()))))
            })
        };
        let authenticator = Authenticator::builder(resolver).hasher(hasher.clone()).build().unwrap();
        let handle = admit(&authenticator, &Request::bearer(key.expose_secret())).await;
        authenticator.revoke_secret(handle.key_id(), &stored);
        assert!(!handle.is_live());
    }
}

#[tokio::test]
async fn given_a_resolver_that_vouches_when_asked_then_no_digest_is_compared() {
    let resolver = resolver_fn(async |_| std::io::Result::Ok(Some(Resolution::vouched(claims()))));
    let authenticator = Authenticator::builder(resolver).build().unwrap();
    let handle = admit(&authenticator, &Request::bearer("some-key-00000000")).await;
    authenticator.revoke_secret(handle.key_id(), &KeyHasher::sha256().digest(&"some-key-00000000".parse().unwrap()));
    assert!(!handle.is_live());
}

#[tokio::test]
async fn given_environments_in_text_record_and_configuration_when_they_disagree_then_the_key_is_refused() {
    let declared = KeyFormat::builder("tsk").environment("live").environment("test").checksum(Checksum::None);
    let declared = declared.length(22).build().unwrap();
    let (live, bare) = (format!("tsk_live_{}", "k".repeat(22)), "k".repeat(20));
    // The token, the record's environment, the accepted environments, and the result.
    let cases = [
        (&live, None, None, Ok(Some("live"))),
        (&live, Some("live"), None, Ok(Some("live"))),
        (&live, Some("test"), None, Err("wrong_environment")),
        (&live, Some("live"), Some("live"), Ok(Some("live"))),
        (&live, Some("live"), Some("test"), Err("wrong_environment")),
        (&bare, None, None, Ok(None)),
        (&bare, Some("stage"), None, Ok(Some("stage"))),
        (&bare, None, Some("live"), Err("wrong_environment")),
        (&bare, Some("live"), Some("live"), Ok(Some("live"))),
        (&bare, Some("test"), Some("live"), Err("wrong_environment")),
    ];
    for (token, recorded, accepted, expected) in cases {
        let resolver = resolver_fn(move |key: PresentedKey| {
            let record = recorded.map_or(claims(), |name| claims().with_environment(name));
            std::future::ready(std::io::Result::Ok(Some(Resolution::new(key.digest().clone(), record))))
        });
        let builder = Authenticator::builder(resolver).format(declared.clone());
        let builder = builder.format(KeyFormat::legacy(20..=20).unwrap());
        let builder = accepted.into_iter().fold(builder, |builder, name| builder.environments([name]));
        let authenticator = builder.build().unwrap();
        match expected {
            Ok(named) => {
                let handle = admit(&authenticator, &Request::bearer(token)).await;
                assert_eq!(handle.environment(), named, "{token} {recorded:?} {accepted:?}");
            }
            Err(reason) => assert_eq!(refusal(&authenticator, &Request::bearer(token)).await, reason),
        }
    }
}

#[tokio::test]
async fn given_a_role_when_the_record_has_it_then_the_caller_has_what_it_stands_for() {
    let catalog = ScopeCatalog::new().role("operator", ["keys:write"]).unwrap();
    let keys = TestKeys::with(move |builder| builder.catalog(catalog));
    let handle = admit(&keys.authenticator(), &Request::of(&keys.key(["operator"]))).await;
    assert_eq!(handle.scopes().as_str(), "keys:write operator");
}

#[tokio::test]
async fn given_a_store_that_fails_when_asked_then_the_key_is_neither_good_nor_bad() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    keys.fail(Some("the store is down"));
    assert_eq!(refusal(&keys.authenticator(), &Request::of(&key)).await, "unavailable");
    keys.fail(None);
    admit(&keys.authenticator(), &Request::of(&key)).await;
}

#[tokio::test(start_paused = true)]
async fn given_a_store_that_does_not_answer_when_asked_then_the_request_is_given_up_in_time() {
    let never = resolver_fn(|_| std::future::pending::<std::io::Result<Option<Resolution>>>());
    let authenticator = Authenticator::builder(never).resolver_timeout(SECOND).build().unwrap();
    let asked = tokio::time::Instant::now();
    assert_eq!(refusal(&authenticator, &Request::bearer("some-key-00000000")).await, "unavailable");
    assert_eq!(asked.elapsed().as_secs(), 1);
}

#[tokio::test]
async fn given_a_resolver_that_panics_when_asked_then_it_counts_as_a_failure() {
    let resolver = resolver_fn(|_: PresentedKey| -> std::future::Ready<std::io::Result<Option<Resolution>>> {
        std::panic::resume_unwind(Box::new("the resolver's own mistake"))
    });
    let authenticator = Authenticator::builder(resolver).build().unwrap();
    assert_eq!(refusal(&authenticator, &Request::bearer("some-key-00000000")).await, "unavailable");
}
