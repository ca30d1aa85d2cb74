//! The handler of a request, and what happens to it when its key dies. The order of checks is the same for all
//! adapters.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    caller::{AuthenticatedKey, Revoked},
    in_flight::on_revoked::OnRevoked,
    rejection::Rejection,
};

/// Polls a request's handler while the request's key is live. It is for adapters.
///
/// A handler that is ready on its first poll answers the request, and registers nothing. Later polls check the key
/// first: if it is dead, the handler is refused without another poll. A handler that becomes ready in a poll answers,
/// even if the key died during that poll.
///
/// ```
/// use std::{future::pending, pin::pin, task::{Context, Poll, Waker}};
/// use apikey_core::{AuthenticatedKey, Claims, KeyId, OnRevoked, adapter::InFlight};
///
/// let key = AuthenticatedKey::fake(Claims::new(KeyId::new("k-1")?));
/// let mut in_flight = InFlight::new(&key, OnRevoked::End);
/// let mut handler = pin!(pending::<()>());
/// let mut cx = Context::from_waker(Waker::noop());
/// // Pending, until the handler is ready or the key is dead; then `Err` has the answer.
/// assert!(in_flight.poll(handler.as_mut(), &mut cx).is_pending());
/// # Ok::<(), apikey_core::IdError>(())
/// ```
#[derive(Debug, Default)]
pub struct InFlight {
    /// `None` if nothing ends the request: it has no key, or it finishes.
    revoked: Option<Revoked>,
    has_pended: bool,
}

thread_local! {
    /// `true` if the poll in progress on this thread has declared that its request finishes.
    static FINISHES: Cell<bool> = const { Cell::new(false) };
}

impl InFlight {
    /// Creates the state of a request that was accepted with `key`.
    #[must_use]
    pub fn new(key: &AuthenticatedKey, on_revoked: OnRevoked) -> Self {
        let revoked = (on_revoked == OnRevoked::End).then(|| key.revoked());
        InFlight { revoked, has_pended: false }
    }

    /// Creates the state of a request without a key. Nothing ends it.
    #[must_use]
    pub fn anonymous() -> Self {
        InFlight::default()
    }

    /// Declares, within a poll, that the request in progress finishes even if its key dies.
    ///
    /// It applies to every [`InFlight`] that is polling on this thread, the outer ones included, and for this poll
    /// only: routes use a layer that repeats it. It does not reach handlers that other tasks poll.
    pub fn finish() {
        FINISHES.set(true);
    }

    /// Polls `handler`, or returns the refusal if the key is dead.
    pub fn poll<F: Future>(
        &mut self,
        handler: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Rejection>> {
        if self.has_pended
            && let Some(rejection) = self.ended(cx)
        {
            return Poll::Ready(Err(rejection));
        }
        let polled = if self.revoked.is_some() {
            let scope = Scope::enter();
            let polled = handler.poll(cx);
            if scope.leave() {
                self.revoked = None;
            }
            polled
        } else {
            handler.poll(cx)
        };
        match polled {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending if self.has_pended => Poll::Pending,
            Poll::Pending => {
                self.has_pended = true;
                match self.ended(cx) {
                    Some(rejection) => Poll::Ready(Err(rejection)),
                    None => Poll::Pending,
                }
            }
        }
    }

    /// Takes the future that the response's body watches, if any, once the handler is done.
    pub fn take_revoked(&mut self) -> Option<Revoked> {
        self.revoked.take()
    }

    /// Returns the refusal if the key is dead. Otherwise registers `cx` to be woken when it dies.
    fn ended(&mut self, cx: &mut Context<'_>) -> Option<Rejection> {
        let revoked = self.revoked.as_mut()?;
        match Pin::new(&mut *revoked).poll(cx) {
            Poll::Ready(()) => revoked.key().require_live().err(),
            Poll::Pending => None,
        }
    }
}

/// A poll in progress. When it ends, even by a panic, the outer poll's declaration is restored.
struct Scope {
    outer: bool,
}

impl Scope {
    fn enter() -> Self {
        Scope { outer: FINISHES.replace(false) }
    }

    /// Returns `true` if the request was declared to finish. The outer polls inherit the declaration.
    fn leave(mut self) -> bool {
        let finishes = FINISHES.get();
        self.outer |= finishes;
        finishes
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        FINISHES.set(self.outer);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn, ready},
        pin::pin,
        task::Waker,
    };

    use super::*;
    use crate::{
        cache::entry::tests::{entry_of, shared},
        key::KeyId,
    };

    fn key() -> AuthenticatedKey {
        let shared = shared();
        let entry = entry_of(&shared, "k", b"s");
        assert!(shared.registry.begin_load().fill(&entry, || ()).is_ok());
        AuthenticatedKey::new(entry)
    }

    fn revoke(key: &AuthenticatedKey) {
        let ended = key.shared().registry.revoke(&KeyId::new("k").unwrap(), None, |_| None);
        ended.iter().for_each(|entry| entry.wake_waiters());
    }

    fn poll<F: Future>(in_flight: &mut InFlight, handler: Pin<&mut F>) -> Poll<Result<F::Output, u16>> {
        let polled = in_flight.poll(handler, &mut Context::from_waker(Waker::noop()));
        polled.map_err(|rejection| rejection.status())
    }

    #[test]
    fn given_a_handler_that_is_ready_when_its_key_is_dead_by_then_then_it_is_answered() {
        let key = key();
        let mut in_flight = InFlight::new(&key, OnRevoked::End);
        revoke(&key);
        assert_eq!(poll(&mut in_flight, pin!(ready(7))), Poll::Ready(Ok(7)));
    }

    #[test]
    fn given_a_handler_that_pends_when_its_key_dies_then_it_is_refused_and_not_polled_again() {
        let key = key();
        let mut in_flight = InFlight::new(&key, OnRevoked::End);
        let mut polls = 0;
        let mut handler = pin!(poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        }));
        assert_eq!(poll(&mut in_flight, handler.as_mut()), Poll::Pending);
        assert_eq!(poll(&mut in_flight, handler.as_mut()), Poll::Pending);
        revoke(&key);
        assert_eq!(poll(&mut in_flight, handler.as_mut()), Poll::Ready(Err(401)));
        assert_eq!(polls, 2);
    }

    #[test]
    fn given_a_key_that_dies_while_its_handler_is_polled_then_pending_is_refused_and_ready_is_answered() {
        for is_ready in [false, true] {
            let key = key();
            let mut in_flight = InFlight::new(&key, OnRevoked::End);
            let handler = pin!(poll_fn(|_| {
                revoke(&key);
                if is_ready { Poll::Ready(7) } else { Poll::Pending }
            }));
            let expected = if is_ready { Ok(7) } else { Err(401) };
            assert_eq!(poll(&mut in_flight, handler), Poll::Ready(expected));
        }
    }

    #[test]
    fn given_a_request_that_finishes_or_has_no_key_when_a_key_dies_then_it_goes_on() {
        let key = key();
        let mut told_inside = InFlight::new(&key, OnRevoked::End);
        let mut says_so = pin!(poll_fn(|_| {
            InFlight::finish();
            Poll::<()>::Pending
        }));
        assert_eq!(poll(&mut told_inside, says_so.as_mut()), Poll::Pending);
        revoke(&key);
        assert_eq!(poll(&mut told_inside, says_so), Poll::Pending);
        assert!(told_inside.take_revoked().is_none());
        for mut in_flight in [InFlight::new(&key, OnRevoked::Finish), InFlight::anonymous()] {
            assert_eq!(poll(&mut in_flight, pin!(pending::<()>())), Poll::Pending);
            assert_eq!(poll(&mut in_flight, pin!(pending::<()>())), Poll::Pending);
        }
    }

    #[test]
    fn given_nested_requests_when_the_innermost_finishes_then_those_around_it_do_and_no_other() {
        let key = key();
        let (mut outer, mut inner, mut beside) = (
            InFlight::new(&key, OnRevoked::End),
            InFlight::new(&key, OnRevoked::End),
            InFlight::new(&key, OnRevoked::End),
        );
        let mut handler = pin!(poll_fn(|cx| {
            let innermost = pin!(poll_fn(|_| {
                InFlight::finish();
                Poll::<()>::Pending
            }));
            inner.poll(innermost, cx)
        }));
        assert!(poll(&mut outer, handler.as_mut()).is_pending());
        assert_eq!(poll(&mut beside, pin!(pending::<()>())), Poll::Pending);
        revoke(&key);
        assert!(poll(&mut outer, handler).is_pending());
        assert_eq!(poll(&mut beside, pin!(pending::<()>())), Poll::Ready(Err(401)));
    }
}
