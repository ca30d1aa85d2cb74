//! A request body that is read to its end: by its owner, or in the background after its owner dropped it.

use std::{
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use http::Response;
use http_body::{Body, Frame, SizeHint};

use super::{Lingering, Parting, Rest};

/// The request body for services inside a [`LingerLayer`](super::LingerLayer).
///
/// It is the original body, except for what happens when it is dropped before its end.
pub struct LingerBody<B>
where
    B: Body + Send + Unpin + 'static,
{
    /// Taken on drop.
    body: Option<B>,
    /// Receives the rest on drop; `None` after the end of the body.
    fate: Option<Fate>,
    /// `true` if the client waits for `100 Continue`.
    awaits_continue: bool,
}

/// What happens to the rest of a body. The body and the future of the response share it.
#[derive(Clone)]
pub(super) struct Fate {
    state: Arc<Mutex<State>>,
    lingering: Lingering,
}

enum State {
    /// The service has the body, and there is no response yet.
    Held,
    /// The body was dropped. The future reads the rest, if it should be read.
    Left(Option<Rest>),
    /// The request was answered.
    Answered { lingers: bool },
}

impl Fate {
    pub(super) fn new(lingering: Lingering) -> Self {
        Fate { state: Arc::new(Mutex::new(State::Held)), lingering }
    }

    /// Records that the body was dropped.
    fn leave(self, rest: Option<Rest>) {
        let lingers = match &mut *self.state() {
            State::Answered { lingers } => *lingers,
            state => {
                *state = State::Left(rest);
                return;
            }
        };
        if let Some(rest) = rest.filter(|_| lingers) {
            self.lingering.run(rest);
        }
    }

    /// Records that the request was answered.
    pub(super) fn answer<R>(self, parting: Parting, response: &mut Response<R>) {
        let lingers = parting.lingers(response);
        let state = mem::replace(&mut *self.state(), State::Answered { lingers });
        if let State::Left(rest) = state {
            parting.announce(response);
            if let Some(rest) = rest.filter(|_| lingers) {
                self.lingering.run(rest);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> LingerBody<B>
where
    B: Body + Send + Unpin + 'static,
{
    /// Wraps `body`. `fate` is `None` for a body that is over.
    pub(super) fn new(body: B, fate: Option<Fate>, awaits_continue: bool) -> Self {
        LingerBody { body: Some(body), fate, awaits_continue }
    }
}

impl<B> Body for LingerBody<B>
where
    B: Body + Send + Unpin + 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let LingerBody { body: Some(body), fate, awaits_continue } = &mut *self else { return Poll::Ready(None) };
        *awaits_continue = false;
        let polled = Pin::new(&mut *body).poll_frame(cx);
        let is_over = match &polled {
            Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
            Poll::Ready(_) => true,
            Poll::Pending => false,
        };
        if is_over {
            *fate = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> Drop for LingerBody<B>
where
    B: Body + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        let (Some(body), Some(fate)) = (self.body.take(), self.fate.take()) else { return };
        if !body.is_end_stream() {
            let rest = (!self.awaits_continue).then(|| fate.lingering.rest_of(body));
            fate.leave(rest);
        }
    }
}

impl<B> fmt::Debug for LingerBody<B>
where
    B: Body + Send + Unpin + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LingerBody").field("is_over", &self.fate.is_none()).finish_non_exhaustive()
    }
}
