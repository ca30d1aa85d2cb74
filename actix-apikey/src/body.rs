//! The body of a response: the service's, for as long as the caller's key lives, or a refusal.

use std::{
    cell::RefCell,
    error::Error,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix_web::{
    ResponseError,
    body::{BodySize, BoxBody, MessageBody},
    rt::{self, System, task::JoinHandle},
};
use apikey_core::{LastFrame, Revoked};
use bytes::Bytes;

/// The response body of [`ApiKeyService`](crate::ApiKeyService).
///
/// A body that is being sent when the caller's key dies ends with [`BodyError::is_revoked`], or with its
/// [`LastFrame`](crate::LastFrame). The service's own body is dropped at once, whether the client reads or not.
pub struct ResponseBody<B> {
    kind: Kind<B>,
}

enum Kind<B> {
    /// Bytes that are there already: they are one frame, and the first always passes.
    Whole {
        bytes: Bytes,
        size: BodySize,
    },
    /// The service's, whatever becomes of the key.
    Free(Pin<Box<B>>),
    /// The service's, which has not been polled.
    New {
        body: Pin<Box<B>>,
        revoked: Revoked,
        last: Option<LastFrame>,
    },
    /// The service's, under way.
    UnderWay(UnderWay<B>),
    Refusal(BoxBody),
    Over,
}

struct UnderWay<B> {
    slot: Rc<RefCell<Slot<B>>>,
    revoked: Revoked,
    /// Empties the slot when the key dies, though nobody polls the body. `None` where no task can be started.
    watch: Option<JoinHandle<()>>,
    size: BodySize,
    last: Option<LastFrame>,
}

struct Slot<B> {
    /// Taken out while it is polled: it may do anything then, ending the key included.
    body: Option<Pin<Box<B>>>,
    is_over: bool,
    reader: Option<Waker>,
}

impl<B: MessageBody + 'static> ResponseBody<B> {
    pub(crate) fn free(body: B) -> Self {
        let size = body.size();
        let kind = match body.try_into_bytes() {
            Ok(bytes) => Kind::Whole { bytes, size },
            Err(body) => Kind::Free(Box::pin(body)),
        };
        ResponseBody { kind }
    }

    pub(crate) fn while_live(body: B, revoked: Revoked, last: Option<LastFrame>) -> Self {
        let size = body.size();
        let kind = match body.try_into_bytes() {
            Ok(bytes) => Kind::Whole { bytes, size },
            Err(body) => Kind::New { body: Box::pin(body), revoked, last },
        };
        ResponseBody { kind }
    }

    pub(crate) fn refusal(body: BoxBody) -> Self {
        ResponseBody { kind: Kind::Refusal(body) }
    }

    /// The first poll, which the key has no say in. Nothing is registered for a body that is over with it.
    fn begin(&mut self, cx: &mut Context<'_>) -> Polled {
        let Kind::New { mut body, revoked, last } = mem::replace(&mut self.kind, Kind::Over) else {
            return Poll::Ready(None);
        };
        let polled = poll_inner(&mut body, cx);
        let is_over = match &polled {
            Poll::Ready(Some(Ok(bytes))) => body.size() == BodySize::Sized(bytes.len() as u64),
            Poll::Ready(_) => true,
            Poll::Pending => false,
        };
        if is_over {
            return polled;
        }
        self.kind = Kind::UnderWay(UnderWay::new(body, revoked, last));
        match polled {
            Poll::Pending => self.go_on(cx),
            ready => ready,
        }
    }

    /// Any poll but the first: the key is looked at before the body is.
    fn go_on(&mut self, cx: &mut Context<'_>) -> Polled {
        let Kind::UnderWay(under_way) = &mut self.kind else { return Poll::Ready(None) };
        match under_way.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(frame)) => {
                if !matches!(frame, Some(Ok(_))) {
                    self.kind = Kind::Over;
                }
                Poll::Ready(frame)
            }
            Poll::Ready(None) => match mem::replace(&mut self.kind, Kind::Over) {
                Kind::UnderWay(ended) => Poll::Ready(Some(ended.end())),
                _ => Poll::Ready(None),
            },
        }
    }
}

type Polled = Poll<Option<Result<Bytes, BodyError>>>;

impl<B: MessageBody + 'static> MessageBody for ResponseBody<B> {
    type Error = BodyError;

    fn size(&self) -> BodySize {
        match &self.kind {
            Kind::Whole { size, .. } => *size,
            Kind::Free(body) | Kind::New { body, .. } => body.size(),
            Kind::UnderWay(under_way) => under_way.size,
            Kind::Refusal(body) => body.size(),
            Kind::Over => BodySize::None,
        }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        match &mut self.kind {
            Kind::Whole { bytes, .. } if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole { bytes, .. } => Poll::Ready(Some(Ok(mem::take(bytes)))),
            Kind::Free(body) => poll_inner(body, cx),
            Kind::New { .. } => self.begin(cx),
            Kind::UnderWay(_) => self.go_on(cx),
            Kind::Refusal(body) => Pin::new(body).poll_next(cx).map_err(BodyError::from_inner),
            Kind::Over => Poll::Ready(None),
        }
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        match self.kind {
            Kind::Whole { bytes, .. } => Ok(bytes),
            Kind::Refusal(body) => body.try_into_bytes().map_err(ResponseBody::refusal),
            kind => Err(ResponseBody { kind }),
        }
    }
}

impl<B: MessageBody + 'static> UnderWay<B> {
    fn new(body: Pin<Box<B>>, revoked: Revoked, last: Option<LastFrame>) -> Self {
        let size = body.size();
        let slot = Rc::new(RefCell::new(Slot { body: Some(body), is_over: false, reader: None }));
        let watch = watch(revoked.key().revoked(), Rc::clone(&slot));
        UnderWay { slot, revoked, watch, size, last }
    }

    /// `None` if the key is dead, and the body gone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Option<Result<Bytes, BodyError>>>> {
        if !self.revoked.key().is_live() {
            end(&self.slot);
        }
        let body = {
            let mut slot = self.slot.borrow_mut();
            slot.reader = Some(cx.waker().clone());
            slot.body.take()
        };
        let Some(mut body) = body else { return Poll::Ready(None) };
        let polled = poll_inner(&mut body, cx);
        let gone = {
            let mut slot = self.slot.borrow_mut();
            match slot.is_over {
                true => Some(body),
                false => {
                    slot.body = Some(body);
                    None
                }
            }
        };
        let is_over = gone.is_some();
        drop(gone);
        match polled {
            Poll::Ready(frame) => Poll::Ready(Some(frame)),
            Poll::Pending if is_over => Poll::Ready(None),
            // Without a task that wakes the reader, the reader waits for itself.
            Poll::Pending if self.watch.is_none() && Pin::new(&mut self.revoked).poll(cx).is_ready() => {
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// The last that comes of a body whose key has died.
    fn end(mut self) -> Result<Bytes, BodyError> {
        // For the log alone: the answer's head is long gone.
        let _ = self.revoked.key().require_live();
        match self.last.take() {
            Some(last) => Ok(Bytes::copy_from_slice(last.as_bytes())),
            None => Err(BodyError(Cause::Revoked)),
        }
    }
}

impl<B> Drop for UnderWay<B> {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// Drops the body where its reader may never come by again: on its own thread, as it may belong to that one.
fn watch<B: MessageBody + 'static>(revoked: Revoked, slot: Rc<RefCell<Slot<B>>>) -> Option<JoinHandle<()>> {
    let task = async move {
        revoked.await;
        end(&slot);
    };
    if System::is_registered() {
        return Some(rt::spawn(task));
    }
    // Actix's servers have room for tasks of a thread on any runtime. A test that calls a service by itself, on a runtime
    // that is not actix's, may not have it, and nothing tells but a panic.
    catch_unwind(AssertUnwindSafe(|| rt::spawn(task))).ok()
}

fn end<B>(slot: &RefCell<Slot<B>>) {
    let (body, reader) = {
        let mut slot = slot.borrow_mut();
        slot.is_over = true;
        (slot.body.take(), slot.reader.take())
    };
    reader.into_iter().for_each(Waker::wake);
    drop(body);
}

fn poll_inner<B: MessageBody>(body: &mut Pin<Box<B>>, cx: &mut Context<'_>) -> Polled {
    body.as_mut().poll_next(cx).map_err(BodyError::from_inner)
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

/// Why a response's body ended early.
///
/// ```
/// use actix_apikey::BodyError;
///
/// fn log(error: &BodyError) {
///     match error.is_revoked() {
///         true => println!("the key was revoked, or has expired"),
///         false => println!("{error}"),
///     }
/// }
/// ```
pub struct BodyError(Cause);

enum Cause {
    Revoked,
    Inner(Box<dyn Error>),
}

impl BodyError {
    fn from_inner(error: impl Into<Box<dyn Error>>) -> Self {
        BodyError(Cause::Inner(error.into()))
    }

    /// Was the body cut off because the caller's key is revoked or expired, by this middleware or by one further in?
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        match &self.0 {
            Cause::Revoked => true,
            Cause::Inner(error) => {
                let mut cause: Option<&(dyn Error + 'static)> = Some(&**error);
                while let Some(error) = cause {
                    if error.downcast_ref::<BodyError>().is_some_and(|error| matches!(error.0, Cause::Revoked)) {
                        return true;
                    }
                    cause = error.source();
                }
                false
            }
        }
    }

    /// The error of the service's body, if it is one.
    ///
    /// # Errors
    ///
    /// This error itself, if this middleware has cut the body off.
    pub fn into_inner(self) -> Result<Box<dyn Error>, Self> {
        match self.0 {
            Cause::Inner(error) => Ok(error),
            Cause::Revoked => Err(self),
        }
    }
}

impl fmt::Debug for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Revoked => f.write_str("BodyError(Revoked)"),
            Cause::Inner(error) => f.debug_tuple("BodyError").field(error).finish(),
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Cause::Revoked => "the caller's API key is not valid any more",
            Cause::Inner(_) => "the response's body failed",
        })
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Cause::Revoked => None,
            Cause::Inner(error) => Some(&**error),
        }
    }
}

/// Where something reads a whole body before it answers, as tests do.
impl ResponseError for BodyError {}
