//! The trust gate: what requests do while the cache may not be used.

use std::{
    future::pending,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use apikey_core::{Claims, KeyStatus, OrganizationId, Resolution, TestKeys, TrustGate};
use tokio::sync::watch;

use crate::support::{Request, admit, begin, poll, reason, refusal};

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    /// It will open, or say that it can't.
    Closed,
    Opens,
    Fails,
    Panics,
}

struct Gate {
    state: watch::Receiver<State>,
    waiting: Arc<AtomicUsize>,
}

impl TrustGate for Gate {
    fn trusts_cache(&self) -> bool {
        *self.state.borrow() == State::Open
    }

    fn regain(&self) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut state = self.state.clone();
        Box::pin(async move {
            match *state.wait_for(|state| *state != State::Closed).await.unwrap() {
                State::Panics => panic!("the gate is broken"),
                state => state != State::Fails,
            }
        })
    }
}

/// Keys behind a gate, the gate's state, and how many requests it has been asked to wait for.
fn gated() -> (TestKeys, watch::Sender<State>, Arc<AtomicUsize>) {
    let (sender, state) = watch::channel(State::Open);
    let waiting = Arc::default();
    let gate = Gate { state, waiting: Arc::clone(&waiting) };
    (TestKeys::with(|builder| builder.trust_gate(gate)), sender, waiting)
}

#[tokio::test]
async fn given_cached_keys_when_the_gate_is_regained_then_the_cache_answers() {
    let (keys, gate, waiting) = gated();
    let good = keys.key(["a"]);
    let disabled = keys.insert(|digest, id| Resolution::new(digest, Claims::new(id)).with_status(KeyStatus::Disabled));
    for (state, waits) in [(State::Open, 0), (State::Open, 0), (State::Opens, 2), (State::Opens, 4), (State::Open, 4)] {
        gate.send(state).unwrap();
        admit(&keys.authenticator(), &Request::of(&good)).await;
        assert_eq!(refusal(&keys.authenticator(), &Request::of(&disabled)).await, "disabled");
        assert_eq!(waiting.load(Ordering::SeqCst), waits);
        assert_eq!(keys.resolver_calls(), 2, "nothing is looked up twice");
    }
}

#[tokio::test]
async fn given_a_closed_gate_when_requests_come_then_none_is_looked_up_until_it_opens() {
    let (keys, gate, waiting) = gated();
    let key = keys.key(["a"]);
    gate.send(State::Closed).unwrap();
    let mut requests = [(); 3].map(|()| begin(&keys.authenticator(), &Request::of(&key)));
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    assert_eq!((waiting.load(Ordering::SeqCst), keys.resolver_calls()), (3, 0));
    gate.send(State::Opens).unwrap();
    for request in requests {
        assert!(request.await.is_ok());
    }
    assert_eq!(keys.resolver_calls(), 1, "they share one lookup");
}

#[tokio::test]
async fn given_a_key_revoked_while_requests_wait_when_the_gate_opens_then_it_is_refused() {
    let (keys, gate, _) = gated();
    let key = keys.key(["a"]);
    admit(&keys.authenticator(), &Request::of(&key)).await;
    gate.send(State::Closed).unwrap();
    let mut request = begin(&keys.authenticator(), &Request::of(&key));
    assert!(poll(&mut request).is_pending());
    keys.revoke(&key);
    gate.send(State::Opens).unwrap();
    assert_eq!(reason(&request.await), "revoked");
}

#[tokio::test]
async fn given_a_gate_that_fails_or_panics_when_asked_then_requests_are_unavailable_and_not_looked_up() {
    for state in [State::Fails, State::Panics] {
        let (keys, gate, _) = gated();
        let key = keys.key(["a"]);
        admit(&keys.authenticator(), &Request::of(&key)).await;
        gate.send(state).unwrap();
        assert_eq!(refusal(&keys.authenticator(), &Request::of(&key)).await, "unavailable");
        assert_eq!(keys.resolver_calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn given_a_gate_that_never_answers_when_asked_then_the_resolvers_timeout_ends_the_wait() {
    struct Stuck;
    impl TrustGate for Stuck {
        fn trusts_cache(&self) -> bool {
            false
        }
        fn regain(&self) -> Pin<Box<dyn Future<Output = bool> + Send>> {
            Box::pin(pending())
        }
    }
    let keys = TestKeys::with(|builder| builder.trust_gate(Stuck));
    assert_eq!(refusal(&keys.authenticator(), &Request::of(&keys.key(["a"]))).await, "unavailable");
    assert_eq!(keys.resolver_calls(), 0);
}

#[tokio::test]
async fn given_a_caller_when_the_gate_is_closed_then_no_commit_is_allowed() {
    let (keys, gate, _) = gated();
    let key = keys.key(["a"]);
    let caller = admit(&keys.authenticator(), &Request::of(&key)).await;
    assert!(caller.require_live().is_ok());
    gate.send(State::Closed).unwrap();
    assert_eq!(caller.require_live().unwrap_err().status(), 503);
    assert!(caller.is_live(), "nothing is known against it");
    keys.revoke(&key);
    assert_eq!(caller.require_live().unwrap_err().status(), 401);
}

#[tokio::test]
async fn given_keys_in_doubt_when_settled_then_those_in_use_are_named_and_only_the_valid_may_commit() {
    let keys = TestKeys::new();
    let authenticator = keys.authenticator();
    let [held, dead, idle] = [(); 3].map(|()| keys.key(["a"]));
    let with_held = admit(&authenticator, &Request::of(&held)).await;
    let with_dead = admit(&authenticator, &Request::of(&dead)).await;
    drop(admit(&authenticator, &Request::of(&idle)).await);
    let mut doubts = authenticator.doubt(None);
    doubts.sort_by_key(|doubt| doubt.key().key_id() != held.id());
    assert_eq!(doubts.iter().map(|doubt| doubt.key().key_id()).collect::<Vec<_>>(), [held.id(), dead.id()]);
    for caller in [&with_held, &with_dead] {
        assert!(caller.is_live(), "what is under way goes on");
        assert_eq!(caller.require_live().unwrap_err().status(), 503);
    }
    // Neither a refresh nor a doubt that is older lifts it.
    authenticator.refresh(held.id());
    assert_eq!(with_held.require_live().unwrap_err().status(), 503);
    let newer = authenticator.doubt(None);
    doubts.drain(..1).for_each(|doubt| authenticator.confirm(doubt));
    assert_eq!(with_held.require_live().unwrap_err().status(), 503);
    for doubt in newer {
        match doubt.key().key_id() == held.id() {
            true => authenticator.confirm(doubt),
            false => authenticator.revoke_secret(dead.id(), &doubt.key().secret_digest()),
        }
    }
    assert!(with_held.require_live().is_ok());
    assert_eq!(with_dead.require_live().unwrap_err().status(), 401);
    // Each is looked up again before it is next accepted.
    let before = keys.resolver_calls();
    for key in [&held, &idle] {
        admit(&authenticator, &Request::of(key)).await;
    }
    assert_eq!(keys.resolver_calls(), before + 2);
}

/// The lookup may be older than the last change of the end.
#[tokio::test]
async fn given_a_key_in_doubt_when_it_is_confirmed_then_its_end_is_what_was_found_unless_told_since() {
    let second = Duration::from_secs;
    for (what, found, told, lasts) in [
        ("no end", None, None, 99),
        ("found to end", Some(10), None, 9),
        ("told to end later", Some(10), Some(60), 59),
        ("told to end sooner", Some(60), Some(10), 9),
        ("found to have no end, and told to end", None, Some(10), 9),
    ] {
        let keys = TestKeys::new();
        let (authenticator, clock) = (keys.authenticator(), keys.clock());
        let key = keys.key(["a"]);
        let caller = admit(&authenticator, &Request::of(&key)).await;
        let at = |seconds: Option<u64>| seconds.map(|seconds| clock.wall() + second(seconds));
        let doubts = authenticator.doubt(None);
        if told.is_some() {
            authenticator.end_at(key.id(), None, at(told));
        }
        doubts.into_iter().for_each(|doubt| authenticator.confirm_until(doubt, at(found)));
        clock.advance(second(lasts));
        assert!(caller.is_live(), "{what}");
        clock.advance(second(1));
        assert_eq!(caller.is_live(), what == "no end", "{what}");
    }
}

#[tokio::test]
async fn given_an_organization_in_doubt_when_others_are_asked_then_they_are_not() {
    let keys = TestKeys::new();
    let authenticator = keys.authenticator();
    let of = |name: &str| {
        let organization = OrganizationId::new(name).unwrap();
        keys.key_with(|claims| claims.with_organization(organization))
    };
    let (ours, theirs) = (of("ours"), of("theirs"));
    let callers =
        [admit(&authenticator, &Request::of(&ours)).await, admit(&authenticator, &Request::of(&theirs)).await];
    let doubts = authenticator.doubt(Some(&OrganizationId::new("ours").unwrap()));
    assert_eq!(doubts.iter().map(|doubt| doubt.key().key_id()).collect::<Vec<_>>(), [ours.id()]);
    assert_eq!(callers.map(|caller| caller.require_live().is_ok()), [false, true]);
}

#[test]
fn given_a_weak_handle_when_the_last_other_is_gone_then_there_is_no_authenticator() {
    let keys = TestKeys::new();
    let weak = keys.authenticator().downgrade();
    assert!(weak.upgrade().is_some());
    drop(keys);
    assert!(weak.upgrade().is_none());
}
