//! Edge cases of the cache's promises.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use apikey_core::{
    Authenticator, Claims, KeyFormat, KeyHasher, KeyId, ManualClock, Pepper, PlaintextKey, PresentedKey, Resolution,
    adapter::{Authentication, Header, HeaderLines, RequestView},
    resolver_fn,
};
use futures_util::FutureExt;
use tokio::sync::Semaphore;

const KEY: &str = "a-key-of-no-format-at-all";

struct Bearer<'k>(&'k str, String);

impl<'k> Bearer<'k> {
    fn new(key: &'k str) -> Self {
        Bearer(key, format!("Bearer {key}"))
    }
}

impl RequestView for Bearer<'_> {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => HeaderLines::One(self.1.as_bytes()),
            Header::Extra(_) => HeaderLines::Absent,
        }
    }
}

async fn ask(authenticator: &Authenticator, key: &str) -> apikey_core::adapter::Decision {
    let bearer = Bearer::new(key);
    match authenticator.authenticate(&bearer) {
        Authentication::Done(decision) => decision,
        Authentication::Loading(loading) => loading.await,
    }
    .inspect(|_| assert!(!bearer.0.is_empty()))
}

fn claims(id: &str) -> Claims {
    Claims::new(KeyId::new(id).unwrap())
}

type Answer = std::io::Result<Option<Resolution>>;

#[tokio::test]
async fn given_an_answer_that_travels_when_the_key_changes_meanwhile_then_the_ttl_counts_from_the_question() {
    let (clock, active) = (ManualClock::new(), Arc::new(AtomicBool::new(true)));
    let resolver = resolver_fn({
        let (clock, active) = (clock.clone(), active.clone());
        move |_| {
            let read = active.swap(false, Ordering::SeqCst);
            clock.advance(Duration::from_secs(4));
            std::future::ready(Answer::Ok(read.then(|| Resolution::vouched(claims("k")))))
        }
    });
    let builder = Authenticator::builder(resolver).clock(clock.clone());
    let authenticator = builder.cache_ttl(Duration::from_secs(10)).build().unwrap();
    assert!(ask(&authenticator, KEY).await.is_ok());
    clock.advance(Duration::from_secs(5));
    assert!(ask(&authenticator, KEY).await.is_ok(), "nine seconds after the question");
    clock.advance(Duration::from_secs(1));
    assert!(ask(&authenticator, KEY).await.is_err(), "ten seconds after it");
}

#[tokio::test]
async fn given_a_ttl_of_zero_when_a_request_comes_during_a_look_up_then_it_has_one_of_its_own() {
    let (gate, active) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(true)));
    let resolver = resolver_fn({
        let (gate, active) = (gate.clone(), active.clone());
        move |_| {
            let (gate, read) = (gate.clone(), active.load(Ordering::SeqCst));
            async move {
                drop(gate.acquire().await);
                Answer::Ok(read.then(|| Resolution::vouched(claims("k"))))
            }
        }
    });
    let builder = Authenticator::builder(resolver).cache_ttl(Duration::ZERO).refused_ttl(Duration::ZERO);
    let authenticator = builder.build().unwrap();
    let mut before = Box::pin(ask(&authenticator, KEY));
    assert!((&mut before).now_or_never().is_none());
    active.store(false, Ordering::SeqCst);
    let mut after = Box::pin(ask(&authenticator, KEY));
    assert!((&mut after).now_or_never().is_none());
    gate.add_permits(10);
    assert!(before.await.is_ok() && after.await.is_err());
}

#[tokio::test]
async fn given_a_secret_known_by_several_digests_when_any_of_them_is_revoked_then_it_is_out() {
    let pepper = || Pepper::new(1, &[1; 32]).unwrap();
    let hasher = KeyHasher::hmac_sha256(pepper()).accept_sha256();
    let key: PlaintextKey = KEY.parse().unwrap();
    let digests = hasher.digests(&key);
    for (stored, told) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (stored, active) = (digests[stored].clone(), Arc::new(AtomicBool::new(true)));
        let resolver = resolver_fn({
            let active = active.clone();
            move |_| {
                let found = active.load(Ordering::SeqCst).then(|| Resolution::new(stored.clone(), claims("k")));
                std::future::ready(Answer::Ok(found))
            }
        });
        let authenticator = Authenticator::builder(resolver).hasher(hasher.clone()).build().unwrap();
        assert!(ask(&authenticator, KEY).await.is_ok());
        active.store(false, Ordering::SeqCst);
        authenticator.revoke_secret(&KeyId::new("k").unwrap(), &digests[told]);
        assert!(ask(&authenticator, KEY).await.is_err(), "revoked as {}", digests[told].algorithm());
    }
}

#[tokio::test]
async fn given_a_legacy_format_beside_a_declared_one_when_the_latter_refuses_a_key_then_the_former_does_not_take_it() {
    let declared = KeyFormat::builder("acme").environment("live").environment("test").build().unwrap();
    let legacy = KeyFormat::legacy(16..=64).unwrap();
    let of = |environment| declared.generate_for(environment).unwrap().expose_secret().to_owned();
    let (live, test) = (of("live"), of("test"));
    let mistyped = format!("{}{}", &test[..test.len() - 1], if test.ends_with('0') { '1' } else { '0' });
    for formats in [[declared.clone(), legacy.clone()], [legacy, declared]] {
        let calls = Arc::new(AtomicUsize::new(0));
        let resolver = resolver_fn({
            let calls = calls.clone();
            move |key: PresentedKey| {
                calls.fetch_add(1, Ordering::SeqCst);
                std::future::ready(Answer::Ok(Some(Resolution::new(key.digest().clone(), claims("k")))))
            }
        });
        let builder =
            formats.into_iter().fold(Authenticator::builder(resolver), |builder, format| builder.format(format));
        let authenticator = builder.environments(["live"]).build().unwrap();
        assert!(ask(&authenticator, &test).await.is_err());
        assert!(ask(&authenticator, &mistyped).await.is_err());
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        assert!(ask(&authenticator, &live).await.is_ok());
        assert!(ask(&authenticator, KEY).await.is_err(), "a key of no environment is none of `live`");
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn given_turns_that_become_free_when_known_keys_wait_then_they_take_those_as_well_as_their_own() {
    let (gate, clock) = (Arc::new(Semaphore::new(100)), ManualClock::new());
    let (running, known) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(100)));
    let resolver = resolver_fn({
        let (gate, running, known) = (gate.clone(), running.clone(), known.clone());
        move |key: PresentedKey| {
            let (gate, running, known) = (gate.clone(), running.clone(), known.clone());
            async move {
                let name = key.plaintext().expose_secret().to_owned();
                if name.starts_with("stranger") {
                    drop(gate.acquire().await);
                    return Answer::Ok(None);
                }
                running.fetch_add(1, Ordering::SeqCst);
                drop(known.acquire().await);
                Ok(Some(Resolution::vouched(claims(&name))))
            }
        }
    });
    let authenticator = Authenticator::builder(resolver).resolver_concurrency(4).clock(clock.clone()).build().unwrap();
    let names: Vec<_> = (0..5).map(|n| format!("known-key-number-{n}")).collect();
    for name in &names {
        assert!(ask(&authenticator, name).await.is_ok());
    }
    clock.advance(Duration::from_secs(61));
    gate.forget_permits(100);
    known.forget_permits(100);
    running.store(0, Ordering::SeqCst);
    let strangers: Vec<_> = (0..3).map(|n| format!("stranger-number-{n}")).collect();
    let mut strangers: Vec<_> = strangers.iter().map(|name| Box::pin(ask(&authenticator, name))).collect();
    for stranger in &mut strangers {
        assert!(stranger.now_or_never().is_none());
    }
    let mut due: Vec<_> = names.iter().map(|name| Box::pin(ask(&authenticator, name))).collect();
    for request in &mut due {
        assert!(request.now_or_never().is_none());
    }
    assert_eq!(running.load(Ordering::SeqCst), 1, "the turn that is kept for known keys");
    gate.add_permits(100);
    for stranger in strangers {
        assert!(stranger.await.is_err());
    }
    for request in &mut due {
        assert!(request.now_or_never().is_none());
    }
    assert_eq!(running.load(Ordering::SeqCst), 4, "every turn");
    known.add_permits(100);
    for request in due {
        assert!(request.await.is_ok());
    }
}
