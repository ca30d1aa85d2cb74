//! The states of a response body: not started, in progress while the key is live, and over.

use std::{
    fmt, mem,
    task::{Context, Poll},
};

use crate::{
    caller::{AuthenticatedKey, Revoked},
    in_flight::WhileLive,
    rejection::Rejection,
};

/// A service's body, as an adapter presents it.
pub trait PollBody: Sized {
    /// The result of one poll.
    type Frame;
    /// The hint at the length that remains.
    type Hint;
    /// What ends the body when its key dies.
    type Ending;

    /// Polls for the next frame.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::Frame>>;

    /// Returns `true` if `frame`, which was just polled, is the last.
    fn is_over_after(&self, frame: &Self::Frame) -> bool;

    /// Returns the hint at the length that remains.
    fn hint(&self) -> Self::Hint;

    /// Returns the last frame of a body whose key has died.
    fn end(ending: Self::Ending, rejection: Option<Rejection>) -> Self::Frame;
}

/// A slot whose value is dropped when a key dies, even if nobody polls it.
///
/// It is a [`WhileLive`], or an adapter's own type where bodies belong to one thread.
pub trait Keep<T> {
    /// Keeps `value` until `revoked` completes.
    fn keep(value: T, revoked: Revoked) -> Self;

    /// Polls the value. Returns `None` if it was dropped.
    fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<Option<R>>;
}

impl<T: Send + 'static> Keep<T> for WhileLive<T> {
    fn keep(value: T, revoked: Revoked) -> Self {
        WhileLive::new(value, revoked)
    }

    fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<Option<R>> {
        WhileLive::poll(self, cx, poll)
    }
}

/// A service's body, sent while the caller's key is live.
///
/// The first poll ignores the key, so a body of one frame registers nothing. Later polls check the key first. By then a
/// `K` holds the body `B`, and the hint `H` and the ending `E` stand beside it.
pub struct LiveBody<B, K, H, E>(State<B, K, H, E>);

enum State<B, K, H, E> {
    /// Sent to its end, even if the key dies.
    Free(B),
    /// Not polled yet.
    New(B, Revoked, E),
    UnderWay(Box<UnderWay<K, H, E>>),
    Over,
}

struct UnderWay<K, H, E> {
    kept: K,
    hint: H,
    ending: E,
    key: AuthenticatedKey,
}

impl<B, K, H, E> LiveBody<B, K, H, E> {
    /// Creates a body that is sent to its end, even if the key dies.
    pub fn free(body: B) -> Self {
        LiveBody(State::Free(body))
    }

    /// Creates a body that ends with `ending` when `revoked` completes.
    pub fn while_live(body: B, revoked: Revoked, ending: E) -> Self {
        LiveBody(State::New(body, revoked, ending))
    }

    /// Returns the service's body, unless sending is in progress or over.
    pub fn inner(&self) -> Option<&B> {
        match &self.0 {
            State::Free(body) | State::New(body, ..) => Some(body),
            State::UnderWay(_) | State::Over => None,
        }
    }

    /// Returns `true` after the last frame of a body that was in progress.
    pub fn is_over(&self) -> bool {
        matches!(self.0, State::Over)
    }
}

impl<B, K, H, E> LiveBody<B, K, H, E>
where
    B: PollBody<Hint = H, Ending = E>,
    K: Keep<B>,
    H: Clone,
{
    /// Returns the hint at the length that remains, or `None` once the body is over.
    pub fn hint(&self) -> Option<H> {
        match &self.0 {
            State::Free(body) | State::New(body, ..) => Some(body.hint()),
            State::UnderWay(under_way) => Some(under_way.hint.clone()),
            State::Over => None,
        }
    }

    /// Polls for the next frame.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<B::Frame>> {
        match &mut self.0 {
            State::Free(body) => body.poll_frame(cx),
            State::New(..) => self.begin(cx),
            State::UnderWay(_) => self.go_on(cx),
            State::Over => Poll::Ready(None),
        }
    }

    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<Option<B::Frame>> {
        let State::New(mut body, revoked, ending) = mem::replace(&mut self.0, State::Over) else {
            return Poll::Ready(None);
        };
        let polled = body.poll_frame(cx);
        if let Poll::Ready(frame) = &polled
            && frame.as_ref().is_none_or(|frame| body.is_over_after(frame))
        {
            return polled;
        }
        let hint = body.hint();
        let key = revoked.key().clone();
        self.0 = State::UnderWay(Box::new(UnderWay { kept: K::keep(body, revoked), hint, ending, key }));
        match polled {
            // The body learns whom to wake only from a poll.
            Poll::Pending => self.go_on(cx),
            ready => ready,
        }
    }

    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<Option<B::Frame>> {
        let State::UnderWay(under_way) = &mut self.0 else { return Poll::Ready(None) };
        let UnderWay { kept, hint, .. } = &mut **under_way;
        let polled = kept.poll(cx, |body, cx| {
            let polled = body.poll_frame(cx);
            *hint = body.hint();
            polled.map(|frame| {
                let is_over = frame.as_ref().is_none_or(|frame| body.is_over_after(frame));
                (frame, is_over)
            })
        });
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some((frame, is_over))) => {
                if is_over {
                    self.0 = State::Over;
                }
                Poll::Ready(frame)
            }
            Poll::Ready(None) => match mem::replace(&mut self.0, State::Over) {
                State::UnderWay(ended) => {
                    let rejection = ended.key.require_live().err();
                    Poll::Ready(Some(B::end(ended.ending, rejection)))
                }
                _ => Poll::Ready(None),
            },
        }
    }
}

impl<B, K, H, E> fmt::Debug for LiveBody<B, K, H, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveBody").finish_non_exhaustive()
    }
}
