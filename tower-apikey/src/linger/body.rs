//! A request's body that is read to its end, by whoever it is given to or after they have let go of it.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};

use super::Lingering;

/// The request body that services inside a [`LingerLayer`](super::LingerLayer) are given.
///
/// It is the body that came, but for what happens when it is dropped before its end.
pub struct LingerBody<B>
where
    B: Body + Send + Unpin + 'static,
{
    /// Taken when this is dropped.
    body: Option<B>,
    /// `None` once there is nothing left to read.
    rest: Option<Rest>,
}

/// What is to become of the rest.
pub(super) struct Rest {
    pub(super) lingering: Lingering,
    pub(super) awaits_continue: bool,
    pub(super) fate: Fate,
}

/// Whether a body was left unread, for the one who has it no more.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate(Arc<AtomicBool>);

impl Fate {
    pub(super) fn is_unread(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set_unread(&self, is_unread: bool) {
        self.0.store(is_unread, Ordering::Relaxed);
    }
}

impl<B> LingerBody<B>
where
    B: Body + Send + Unpin + 'static,
{
    /// `rest` is `None` for a body that is over.
    pub(super) fn new(body: B, rest: Option<Rest>) -> Self {
        LingerBody { body: Some(body), rest }
    }
}

impl<B> Body for LingerBody<B>
where
    B: Body + Send + Unpin + 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let LingerBody { body: Some(body), rest } = &mut *self else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(cx);
        let is_over = match &polled {
            Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
            Poll::Ready(_) => true,
            Poll::Pending => false,
        };
        match rest {
            Some(_) if is_over => *rest = None,
            Some(rest) => rest.awaits_continue = false,
            None => {}
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
        let (Some(body), Some(rest)) = (self.body.take(), self.rest.take()) else { return };
        if body.is_end_stream() {
            return;
        }
        rest.fate.set_unread(true);
        if !rest.awaits_continue {
            rest.lingering.read_rest(body, move || rest.fate.set_unread(false));
        }
    }
}

impl<B> fmt::Debug for LingerBody<B>
where
    B: Body + Send + Unpin + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LingerBody").field("is_read", &self.rest.is_none()).finish_non_exhaustive()
    }
}
