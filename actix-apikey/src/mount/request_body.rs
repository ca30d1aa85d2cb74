//! The request body on its way from actix, where it belongs to one thread, to a service that may send it to another.
//!
//! Both sides share one slot. The reader requests a chunk, and the pump, which the connection's task drives, fills the
//! slot.

use std::{
    error::Error,
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use actix_web::{dev::Payload, error::PayloadError};
use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};

/// The body of a request to a [mounted](crate::mount()) service.
///
/// ```
/// use std::convert::Infallible;
///
/// use actix_apikey::RequestBody;
/// use http::{Request, Response};
/// use http_body_util::BodyExt;
///
/// // `Send` and `'static`, as axum and spawned tasks need it.
/// let upload = tower::service_fn(async |request: Request<RequestBody>| {
///     Ok::<_, Infallible>(match request.into_body().collect().await {
///         Ok(body) => Response::new(format!("{} bytes", body.to_bytes().len())),
///         Err(error) => Response::new(error.to_string()),
///     })
/// });
/// # let _ = actix_apikey::mount("/upload", upload);
/// ```
///
/// Nothing is read from the client before the service asks for it, and the total is not limited. If the service
/// collects the body, use a limit such as tower-http's `RequestBodyLimitLayer`.
pub struct RequestBody {
    /// `None` if there is no body.
    channel: Option<Arc<Channel>>,
    /// How many bytes remain, if the client declared the length.
    remaining: Option<u64>,
}

/// Why a request's body ended early.
pub struct RequestBodyError(Cause);

#[derive(Debug)]
enum Cause {
    /// The request ended before its body.
    Cut,
    Payload(PayloadError),
}

#[derive(Default)]
struct Channel(Mutex<State>);

#[derive(Default)]
struct State {
    slot: Slot,
    /// The reader, if it is waiting. Otherwise nothing is read.
    reader: Option<Waker>,
    /// The pump's task, to be woken when the reader asks or is dropped.
    pump: Option<Waker>,
    reader_gone: bool,
    pump_gone: bool,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Chunk(Bytes),
    Failed(RequestBodyError),
    Ended,
}

/// Reads from actix for its [`RequestBody`].
pub(super) struct Pump {
    payload: Payload,
    channel: Arc<Channel>,
}

/// Creates a body of `length` bytes, if known, and its pump. Without a body there is no pump.
pub(super) fn request_body(payload: Payload, length: Option<u64>) -> (RequestBody, Option<Pump>) {
    if matches!(payload, Payload::None) {
        return (RequestBody { channel: None, remaining: Some(0) }, None);
    }
    let channel = Arc::new(Channel::default());
    // A body that a middleware has replaced, for example by decompressing it, has another length.
    let remaining = length.filter(|_| !matches!(payload, Payload::Stream { .. }));
    (RequestBody { channel: Some(Arc::clone(&channel)), remaining }, Some(Pump { payload, channel }))
}

impl Channel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores `slot` for the reader, and wakes it after releasing the lock.
    fn put(&self, slot: Slot) {
        let reader = {
            let mut state = self.state();
            state.slot = slot;
            state.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }
}

impl Pump {
    /// Reads while the reader asks. It is ready when there is nothing more to do.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            {
                let mut state = self.channel.state();
                if state.reader_gone {
                    return Poll::Ready(());
                }
                // Stored also while actix is pending, because the reader may be dropped meanwhile.
                store(&mut state.pump, cx);
                if state.reader.is_none() {
                    return Poll::Pending;
                }
            }
            match Pin::new(&mut self.payload).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(chunk))) => self.channel.put(Slot::Chunk(chunk)),
                Poll::Ready(Some(Err(error))) => {
                    self.channel.put(Slot::Failed(RequestBodyError(Cause::Payload(error))));
                    return Poll::Ready(());
                }
                Poll::Ready(None) => {
                    self.channel.put(Slot::Ended);
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        let reader = {
            let mut state = self.channel.state();
            // The chunk in the slot stays. The reader notices the end when it asks for more.
            state.pump_gone = true;
            state.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let Self { channel: Some(channel), remaining } = &mut *self else {
            return Poll::Ready(None);
        };
        let mut state = channel.state();
        match mem::take(&mut state.slot) {
            Slot::Chunk(chunk) => {
                *remaining = remaining.map(|remaining| remaining.saturating_sub(chunk.len() as u64));
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Slot::Failed(error) => {
                state.slot = Slot::Ended;
                Poll::Ready(Some(Err(error)))
            }
            Slot::Ended => {
                state.slot = Slot::Ended;
                Poll::Ready(None)
            }
            Slot::Empty if state.pump_gone => {
                state.slot = Slot::Ended;
                let complete = *remaining == Some(0);
                Poll::Ready((!complete).then_some(Err(RequestBodyError(Cause::Cut))))
            }
            Slot::Empty => {
                store(&mut state.reader, cx);
                let pump = state.pump.take();
                drop(state);
                pump.into_iter().for_each(Waker::wake);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.channel {
            Some(channel) => self.remaining == Some(0) || matches!(channel.state().slot, Slot::Ended),
            None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(channel) = &self.channel else { return };
        let (pump, unread) = {
            let mut state = channel.state();
            state.reader_gone = true;
            (state.pump.take(), mem::take(&mut state.slot))
        };
        pump.into_iter().for_each(Waker::wake);
        drop(unread);
    }
}

/// Stores the waker of `cx`, unless the stored one wakes the same task.
fn store(kept: &mut Option<Waker>, cx: &Context<'_>) {
    match kept {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *kept = Some(cx.waker().clone()),
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

impl fmt::Debug for RequestBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestBodyError").field(&self.0).finish()
    }
}

impl fmt::Display for RequestBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Cause::Cut => "the request was over before its body was",
            Cause::Payload(_) => "the request's body can't be read",
        })
    }
}

impl Error for RequestBodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Cause::Cut => None,
            Cause::Payload(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        future::poll_fn,
        rc::Rc,
        time::Duration,
    };

    use actix_web::rt::time::timeout;
    use futures_util::{FutureExt, StreamExt, stream};
    use http_body_util::BodyExt;

    use super::*;

    fn assert_send_and_static<T: Send + 'static>(_: &T) {}

    fn assert_error<T: Error + Send + Sync + 'static>(_: &T) {}

    /// Returns a payload of `chunks`, and the number of chunks that have been read.
    fn payload(chunks: Vec<Result<&'static str, PayloadError>>) -> (Payload, Rc<Cell<usize>>) {
        let read = Rc::new(Cell::new(0));
        let count = Rc::clone(&read);
        let chunks = stream::iter(chunks).map(move |chunk| {
            count.set(count.get() + 1);
            chunk.map(Bytes::from)
        });
        (Payload::Stream { payload: Box::pin(chunks) }, read)
    }

    /// Fails after a while, so that a test doesn't hang.
    async fn soon<T>(awaited: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(20), awaited).await.expect("nothing has come for 20 seconds")
    }

    async fn pump_once(pump: &mut Pump) -> Poll<()> {
        poll_fn(|cx| Poll::Ready(pump.poll(cx))).await
    }

    fn next(body: &mut RequestBody) -> Option<Option<Result<Bytes, RequestBodyError>>> {
        let frame = body.frame().now_or_never()?;
        Some(frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())))
    }

    #[actix_web::test]
    async fn given_a_reader_that_does_not_ask_when_pumped_then_nothing_is_read() {
        let (payload, read) = payload(vec![Ok("a"), Ok("b"), Ok("c")]);
        let (mut body, pump) = request_body(payload, None);
        assert_send_and_static(&body);
        let mut pump = pump.unwrap();

        assert!(pump_once(&mut pump).await.is_pending());
        assert_eq!(read.get(), 0);

        assert!(next(&mut body).is_none());
        for _ in 0..3 {
            assert!(pump_once(&mut pump).await.is_pending());
            assert_eq!(read.get(), 1, "one chunk waits until it is taken");
        }
        assert_eq!(next(&mut body).unwrap().unwrap().unwrap(), "a");
        assert!(pump_once(&mut pump).await.is_pending());
        assert_eq!(read.get(), 1, "taking a chunk is not asking for another");
    }

    #[actix_web::test]
    async fn given_a_payload_when_read_to_its_end_then_every_chunk_comes_once_and_both_are_done() {
        let (payload, _) = payload(vec![Ok("a"), Ok("b")]);
        let (mut body, pump) = request_body(payload, None);
        let mut pump = pump.unwrap();
        let mut seen = Vec::new();
        loop {
            match next(&mut body) {
                Some(Some(chunk)) => seen.push(chunk.unwrap()),
                Some(None) => break,
                None => _ = pump_once(&mut pump).await,
            }
        }
        assert_eq!(seen, ["a", "b"]);
        assert!(body.is_end_stream());
        drop(pump);
        assert!(next(&mut body).unwrap().is_none(), "an end stays an end");
    }

    #[actix_web::test]
    async fn given_a_broken_payload_when_read_then_the_error_comes_once() {
        let (payload, _) = payload(vec![Err(PayloadError::Overflow)]);
        let (mut body, pump) = request_body(payload, None);
        let mut pump = pump.unwrap();
        assert!(next(&mut body).is_none());
        assert!(pump_once(&mut pump).await.is_ready());
        let error = next(&mut body).unwrap().unwrap().unwrap_err();
        assert_error(&error);
        assert!(error.source().is_some_and(|source| source.is::<PayloadError>()));
        assert!(next(&mut body).unwrap().is_none());
    }

    #[actix_web::test]
    async fn given_a_request_that_is_over_when_its_body_is_read_on_then_half_is_not_taken_for_whole() {
        let (payload, _) = payload(vec![Ok("half"), Ok("other half")]);
        let (mut body, pump) = request_body(payload, None);
        let mut pump = pump.unwrap();
        assert!(next(&mut body).is_none());
        assert!(pump_once(&mut pump).await.is_pending());
        drop(pump);
        assert_eq!(next(&mut body).unwrap().unwrap().unwrap(), "half");
        assert!(next(&mut body).unwrap().unwrap().is_err());
        assert!(next(&mut body).unwrap().is_none());
    }

    #[actix_web::test]
    async fn given_a_waiting_reader_or_pump_when_the_other_leaves_then_it_is_woken() {
        let (payload, _) = payload(vec![Ok("a")]);
        let (mut body, pump) = request_body(payload, None);
        let reading = actix_web::rt::spawn(async move { body.frame().await.unwrap().is_err() });
        let pump = RefCell::new(pump);
        // The reader is waiting by now, or finds the pump gone. Both must end it.
        actix_web::rt::task::yield_now().await;
        drop(pump.take());
        assert!(soon(reading).await.unwrap());

        let (body, pump) = request_body(Payload::Stream { payload: Box::pin(stream::pending()) }, None);
        let mut pump = pump.unwrap();
        let pumping = actix_web::rt::spawn(async move { poll_fn(|cx| pump.poll(cx)).await });
        actix_web::rt::task::yield_now().await;
        drop(body);
        soon(pumping).await.unwrap();
    }

    #[actix_web::test]
    async fn given_a_declared_length_when_hinted_then_it_holds_for_the_client_s_own_bytes_alone() {
        let (replaced, _) = payload(vec![Ok("abc")]);
        let (body, _pump) = request_body(replaced, Some(3));
        assert_eq!(body.size_hint().exact(), None);

        let (mut body, pump) = request_body(Payload::from(Bytes::from_static(b"abc")), Some(3));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert!(next(&mut body).is_none());
        assert!(pump_once(&mut pump.unwrap()).await.is_pending());
        assert_eq!(next(&mut body).unwrap().unwrap().unwrap(), "abc");
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(body.is_end_stream());
        assert!(next(&mut body).unwrap().is_none(), "all of it has come, so nothing was cut");

        let (body, pump) = request_body(Payload::None, None);
        assert!(pump.is_none() && body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }
}
