//! Ends of validity that are set after requests were accepted, on a manual clock.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use apikey_core::{KeyDigest, TestKeys, adapter::WhileLive};

use crate::support::{Request, admit};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn given_requests_under_way_when_the_end_is_set_then_they_end_at_that_moment() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let authenticator = keys.authenticator();
    let caller = admit(&authenticator, &Request::of(&key)).await;
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut revoked = pin!(caller.revoked());
    let kept = WhileLive::new((), caller.revoked());
    assert!(revoked.as_mut().poll(&mut cx).is_pending());

    authenticator.end_at(key.id(), None, Some(keys.clock().wall() + MINUTE));
    keys.clock().advance(MINUTE - Duration::from_nanos(1));
    assert!(caller.is_live() && !kept.is_over() && woken.0.load(Ordering::SeqCst) == 0);
    keys.clock().advance(Duration::from_nanos(1));
    assert!(!caller.is_live() && kept.is_over());
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert_eq!(revoked.poll(&mut cx), Poll::Ready(()));
}

#[tokio::test]
async fn given_an_end_that_was_set_when_it_is_moved_or_removed_then_only_the_last_word_counts() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let authenticator = keys.authenticator();
    let caller = admit(&authenticator, &Request::of(&key)).await;
    let kept = WhileLive::new((), caller.revoked());
    let end_in = |time: Option<Duration>| {
        authenticator.end_at(key.id(), None, time.map(|time| keys.clock().wall() + time));
    };
    end_in(Some(MINUTE));
    end_in(Some(3 * MINUTE));
    keys.clock().advance(MINUTE);
    assert!(caller.is_live() && !kept.is_over(), "moved to a later moment");
    end_in(None);
    keys.clock().advance(2 * MINUTE);
    assert!(caller.is_live() && !kept.is_over(), "removed");
    end_in(Some(MINUTE));
    keys.clock().advance(MINUTE);
    assert!(!caller.is_live() && kept.is_over(), "set again");
}

#[tokio::test]
async fn given_an_end_in_the_past_when_set_then_requests_under_way_end_at_once() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let caller = admit(&keys.authenticator(), &Request::of(&key)).await;
    let kept = WhileLive::new((), caller.revoked());
    keys.authenticator().end_at(key.id(), None, Some(keys.clock().wall() - MINUTE));
    assert!(!caller.is_live() && kept.is_over());
    assert_eq!(caller.require_live().unwrap_err().status(), 401);
}

#[tokio::test]
async fn given_a_cached_key_when_its_end_is_set_then_it_is_looked_up_again_from_then_on() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let authenticator = keys.authenticator();
    admit(&authenticator, &Request::of(&key)).await;
    authenticator.end_at(key.id(), None, Some(keys.clock().wall() + Duration::from_secs(1)));
    admit(&authenticator, &Request::of(&key)).await;
    assert_eq!(keys.resolver_calls(), 1);
    keys.clock().advance(Duration::from_secs(1));
    admit(&authenticator, &Request::of(&key)).await;
    assert_eq!(keys.resolver_calls(), 2, "the store decides");
}

#[tokio::test]
async fn given_the_end_of_one_secret_when_set_then_the_others_requests_go_on() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let authenticator = keys.authenticator();
    let caller = admit(&authenticator, &Request::of(&key)).await;
    let end = keys.clock().wall() + MINUTE;
    authenticator.end_at(key.id(), Some(&KeyDigest::sha256_from_bytes([7; 32])), Some(end));
    keys.clock().advance(MINUTE);
    assert!(caller.is_live());
    let digest = caller.secret_digest();
    authenticator.end_at(key.id(), Some(&digest), Some(end));
    assert!(!caller.is_live());
}
