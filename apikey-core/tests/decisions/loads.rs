//! Lookups in progress: which requests share them, how many run at once, and what a change does to them.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use apikey_core::{
    Authenticator, AuthenticatorBuilder, Claims, KeyId, KeyStatus, ManualClock, PresentedKey, Resolution,
    adapter::Loading, resolver_fn, resolver_with,
};
use tokio::sync::Semaphore;

use crate::support::{Request, admit, begin, poll, reason};

/// A store that reads its answer when it is asked, and returns it when it is released.
struct Desk {
    answers: Semaphore,
    calls: AtomicUsize,
    status: Mutex<KeyStatus>,
    clock: ManualClock,
}

impl Desk {
    fn new() -> Arc<Self> {
        Arc::new(Desk {
            answers: Semaphore::new(0),
            calls: AtomicUsize::new(0),
            status: Mutex::default(),
            clock: ManualClock::new(),
        })
    }

    fn authenticator(
        self: &Arc<Self>,
        configure: impl FnOnce(AuthenticatorBuilder) -> AuthenticatorBuilder,
    ) -> Authenticator {
        let resolver = resolver_with(Arc::clone(self), async |desk: Arc<Desk>, key: PresentedKey| {
            desk.calls.fetch_add(1, Ordering::SeqCst);
            let status = *desk.status.lock().unwrap();
            desk.answers.acquire().await?.forget();
            let claims = Claims::new(id()).with_expiry(desk.clock.wall() + Duration::from_secs(5));
            Ok::<_, tokio::sync::AcquireError>(Some(Resolution::new(key.digest().clone(), claims).with_status(status)))
        });
        configure(Authenticator::builder(resolver).clock(self.clock.clone())).build().unwrap()
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn set(&self, status: KeyStatus) {
        *self.status.lock().unwrap() = status;
    }

    /// Releases this many answers.
    fn answer(&self, count: usize) {
        self.answers.add_permits(count);
    }
}

fn id() -> KeyId {
    KeyId::new("k").unwrap()
}

fn nth(number: usize) -> Request {
    Request::bearer(format!("some-key-{number:08}"))
}

/// Starts lookups of this many different keys.
fn begun(authenticator: &Authenticator, numbers: std::ops::Range<usize>) -> Vec<Loading> {
    let mut loads: Vec<_> = numbers.map(|number| begin(authenticator, &nth(number))).collect();
    for load in &mut loads {
        assert!(poll(load).is_pending());
    }
    loads
}

#[tokio::test]
async fn given_many_unknown_keys_when_looked_up_then_a_quarter_of_the_turns_is_kept() {
    for (turns, taken) in [(1, 1), (2, 1), (4, 3), (8, 6), (9, 7)] {
        let desk = Desk::new();
        let authenticator = desk.authenticator(|builder| builder.resolver_concurrency(turns));
        let _loads = begun(&authenticator, 0..20);
        assert_eq!(desk.calls(), taken, "of {turns}");
    }
}

#[test]
fn given_limits_at_their_greatest_when_built_then_they_are_accepted() {
    let builder = || Authenticator::builder(resolver_fn(async |_| std::io::Result::Ok(None)));
    let authenticator = |configure: fn(AuthenticatorBuilder) -> AuthenticatorBuilder| configure(builder()).build();
    assert_eq!(format!("{:?}", builder()), "AuthenticatorBuilder { .. }");
    assert!(authenticator(|builder| builder.resolver_concurrency(Semaphore::MAX_PERMITS)).is_ok());
    assert!(authenticator(|builder| builder.resolver_concurrency(Semaphore::MAX_PERMITS + 1)).is_err());
    // Of the two capacities, only this one is not allocated in advance.
    assert!(authenticator(|builder| builder.refused_capacity(1 << 28)).is_ok());
    assert!(authenticator(|builder| builder.refused_capacity((1 << 28) + 1)).is_err());
}

#[tokio::test]
async fn given_all_turns_taken_when_known_keys_are_stale_then_they_have_the_kept_ones() {
    let desk = Desk::new();
    let authenticator = desk.authenticator(|builder| builder.resolver_concurrency(8));
    desk.answer(4);
    for number in 0..4 {
        admit(&authenticator, &nth(number)).await;
    }
    authenticator.refresh_all();
    let _unknown = begun(&authenticator, 10..20);
    assert_eq!(desk.calls(), 4 + 6);
    let _known = begun(&authenticator, 0..4);
    assert_eq!(desk.calls(), 4 + 6 + 2);
}

#[tokio::test]
async fn given_free_turns_when_known_keys_are_stale_then_they_leave_the_kept_ones_alone() {
    let desk = Desk::new();
    let authenticator = desk.authenticator(|builder| builder.resolver_concurrency(4));
    desk.answer(4);
    for number in 0..4 {
        admit(&authenticator, &nth(number)).await;
    }
    authenticator.refresh_all();
    let _known = begun(&authenticator, 0..4);
    assert_eq!(desk.calls(), 4 + 4);
}

#[tokio::test]
async fn given_one_turn_when_a_known_key_is_stale_then_it_waits_for_that_one() {
    let desk = Desk::new();
    let authenticator = desk.authenticator(|builder| builder.resolver_concurrency(1));
    desk.answer(1);
    admit(&authenticator, &nth(0)).await;
    authenticator.refresh_all();
    let mut unknown = begun(&authenticator, 1..2);
    let mut known = begun(&authenticator, 0..1);
    assert_eq!(desk.calls(), 2);
    desk.answer(2);
    assert!(poll(&mut unknown[0]).is_ready() && poll(&mut known[0]).is_ready());
}

#[tokio::test]
async fn given_two_requests_with_one_key_when_a_change_outruns_their_load_then_they_share_the_second_too() {
    let desk = Desk::new();
    let authenticator = desk.authenticator(|builder| builder);
    let mut loads = begun(&authenticator, 0..1);
    loads.extend(begun(&authenticator, 0..1));
    assert_eq!(desk.calls(), 1);
    authenticator.refresh(&id());
    desk.answer(2);
    for load in &mut loads {
        assert!(matches!(poll(load), Poll::Ready(Ok(Some(_)))));
    }
    assert_eq!(desk.calls(), 2);
}

#[tokio::test]
async fn given_two_requests_with_one_key_when_it_is_refused_after_a_change_then_the_refusal_is_shared() {
    let desk = Desk::new();
    let authenticator = desk.authenticator(|builder| builder);
    let mut loads = begun(&authenticator, 0..1);
    loads.extend(begun(&authenticator, 0..1));
    desk.set(KeyStatus::Revoked);
    authenticator.revoke(&id());
    desk.answer(2);
    for load in &mut loads {
        let Poll::Ready(decision) = poll(load) else { panic!("two answers are there") };
        assert_eq!(reason(&decision), "revoked");
    }
    assert_eq!(desk.calls(), 2);
}

#[tokio::test]
async fn given_a_shared_answer_when_the_key_changes_before_the_second_request_sees_it_then_it_is_loaded_again() {
    type Change = fn(&Authenticator);
    let cases: [(KeyStatus, Change, KeyStatus, &str); 5] = [
        (KeyStatus::Active, |authenticator| authenticator.revoke(&id()), KeyStatus::Revoked, "revoked"),
        (KeyStatus::Active, |authenticator| authenticator.refresh(&id()), KeyStatus::Disabled, "disabled"),
        (KeyStatus::Disabled, |authenticator| authenticator.refresh(&id()), KeyStatus::Active, ""),
        (KeyStatus::Disabled, |authenticator| authenticator.forget_refused(), KeyStatus::Active, ""),
        (KeyStatus::Disabled, Authenticator::refresh_all, KeyStatus::Revoked, "revoked"),
    ];
    for (before, change, after, expected) in cases {
        let desk = Desk::new();
        desk.set(before);
        let authenticator = desk.authenticator(|builder| builder);
        let mut first = begun(&authenticator, 0..1);
        let mut second = begun(&authenticator, 0..1);
        desk.answer(2);
        let Poll::Ready(decision) = poll(&mut first[0]) else { panic!("an answer is there") };
        assert_eq!(decision.is_ok(), before == KeyStatus::Active);
        desk.set(after);
        change(&authenticator);
        let Poll::Ready(decision) = poll(&mut second[0]) else { panic!("another answer is there") };
        match expected {
            "" => assert!(decision.is_ok()),
            expected => assert_eq!(reason(&decision), expected),
        }
        assert_eq!(desk.calls(), 2);
    }
}

#[tokio::test]
async fn given_a_shared_answer_when_the_key_expires_before_the_second_request_sees_it_then_it_is_refused() {
    let desk = Desk::new();
    let authenticator = desk.authenticator(|builder| builder);
    let mut first = begun(&authenticator, 0..1);
    let mut second = begun(&authenticator, 0..1);
    desk.answer(1);
    assert!(matches!(poll(&mut first[0]), Poll::Ready(Ok(Some(_)))));
    desk.clock.advance(Duration::from_secs(5));
    let Poll::Ready(decision) = poll(&mut second[0]) else { panic!("the answer is there") };
    assert_eq!(reason(&decision), "expired");
}

#[tokio::test]
async fn given_changes_that_outrun_every_load_when_the_third_is_lost_then_the_request_is_answered_503() {
    let calls = Arc::new(AtomicUsize::new(0));
    let own: Arc<OnceLock<Authenticator>> = Arc::default();
    let state = (Arc::clone(&calls), Arc::clone(&own));
    let resolver =
        resolver_with(state, async |state: (Arc<AtomicUsize>, Arc<OnceLock<Authenticator>>), key: PresentedKey| {
            state.0.fetch_add(1, Ordering::SeqCst);
            state.1.get().unwrap().refresh(&id());
            std::io::Result::Ok(Some(Resolution::new(key.digest().clone(), Claims::new(id()))))
        });
    let authenticator = own.get_or_init(|| Authenticator::builder(resolver).build().unwrap());
    let mut load = begin(authenticator, &nth(0));
    assert_eq!(format!("{load:?}"), "Loading { .. }");
    let Poll::Ready(decision) = poll(&mut load) else { panic!("nothing waits") };
    assert_eq!(reason(&decision), "unavailable");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}
