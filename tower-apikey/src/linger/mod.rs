//! Delivers responses to requests whose body is not read.
//!
//! If a server closes a connection while its client is still sending, the client's system discards the response. So the
//! rest is read: `body` notices that a body is dropped unread, and `layer` tells the client that the connection ends.

mod body;
mod layer;

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::LazyLock,
    task::{Poll, ready},
    time::Duration,
};

use apikey_core::adapter::Background;
use bytes::Buf;
use http::{
    HeaderValue, Request, Response, Version,
    header::{CONNECTION, EXPECT},
};
use http_body::Body;

pub use self::{
    body::LingerBody,
    layer::{LingerFuture, LingerLayer, LingerService},
};

const MAX_BYTES: u64 = 16 << 20;
const MAX_TIME: Duration = Duration::from_secs(10);
const MAX_AT_ONCE: usize = 64;

/// Limits how much of a request's body is read after an early response.
///
/// The default is 16 MiB or 10 seconds, for at most 64 requests of the process at once. A body beyond a limit is cut
/// off, and its client may lose the response. The declared length makes no difference, because most clients stop
/// sending when they see a response.
///
/// ```
/// use std::time::Duration;
/// use tower_apikey::{ApiKeyLayer, Lingering};
/// # let authenticator = tower_apikey::TestKeys::new().authenticator();
///
/// let lingering = Lingering::new().max_bytes(1 << 20).max_time(Duration::from_secs(2));
/// let layer = ApiKeyLayer::new(authenticator).lingering(lingering);
/// ```
///
/// # Security
///
/// Data from strangers is read and discarded as it arrives. Within these limits, a refused request costs as much
/// network traffic as an accepted one, and no memory.
#[derive(Clone)]
#[must_use]
pub struct Lingering {
    max_bytes: u64,
    max_time: Duration,
    background: Background,
}

impl Lingering {
    /// Creates the default limits. Values without their [own limit](Lingering::max_at_once) of concurrent bodies share
    /// the one of the process.
    pub fn new() -> Self {
        static SHARED: LazyLock<Background> = LazyLock::new(|| Background::new(MAX_AT_ONCE));
        Lingering { max_bytes: MAX_BYTES, max_time: MAX_TIME, background: SHARED.clone() }
    }

    /// Reads nothing. This is for servers behind a proxy that reads whole requests before it passes them on.
    pub fn off() -> Self {
        Lingering::new().max_at_once(0)
    }

    /// Sets how many bytes of a body are read.
    pub fn max_bytes(self, max_bytes: u64) -> Self {
        Lingering { max_bytes, ..self }
    }

    /// Sets how long a body is read. A server that is shutting down may wait for this long, too.
    pub fn max_time(self, max_time: Duration) -> Self {
        Lingering { max_time, ..self }
    }

    /// Sets how many bodies are read at once, by all clones of this value.
    pub fn max_at_once(self, max_at_once: usize) -> Self {
        Lingering { background: Background::new(max_at_once), ..self }
    }

    /// Drops a request that `response` answers before its body was read.
    pub(crate) fn leave<B, R>(&self, request: Request<B>, response: &mut Response<R>)
    where
        B: Body + Send + 'static,
    {
        let parting = Parting::of(&request);
        let awaits_continue = awaits_continue(&request);
        let body = request.into_body();
        if body.is_end_stream() {
            return;
        }
        parting.announce(response);
        if !awaits_continue && parting.lingers(response) {
            self.run(self.rest_of(Box::pin(body)));
        }
    }

    /// Reads a body to its end or to the limit of bytes.
    fn rest_of<B>(&self, mut body: B) -> Rest
    where
        B: Body + Send + Unpin + 'static,
    {
        let mut room = self.max_bytes;
        Box::pin(poll_fn(move |cx| {
            loop {
                let Some(Ok(frame)) = ready!(Pin::new(&mut body).poll_frame(cx)) else { return Poll::Ready(()) };
                let length = frame.data_ref().map_or(0, Buf::remaining) as u64;
                match room.checked_sub(length) {
                    Some(left) => room = left,
                    None => return Poll::Ready(()),
                }
            }
        }))
    }

    fn run(&self, rest: Rest) {
        self.background.run(self.max_time, rest);
    }
}

/// The task that reads an unwanted body.
type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Default for Lingering {
    fn default() -> Self {
        Lingering::new()
    }
}

impl fmt::Debug for Lingering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lingering").field("max_bytes", &self.max_bytes).field("max_time", &self.max_time).finish()
    }
}

/// Returns `true` if the client waits for `100 Continue` before it sends the body. Servers send it when the body is
/// first polled.
fn awaits_continue<B>(request: &Request<B>) -> bool {
    request.headers().get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// How the connection of a request with an unread body is ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parting {
    is_http_1: bool,
    has_body: bool,
}

impl Parting {
    #[inline]
    pub(crate) fn of<B: Body>(request: &Request<B>) -> Self {
        Parting { is_http_1: request.version() < Version::HTTP_2, has_body: !request.body().is_end_stream() }
    }

    /// Announces the end of the connection, so that no client sends its next request into it (RFC 9112 §9.6). HTTP/2
    /// ends streams instead.
    pub(crate) fn announce<R>(self, response: &mut Response<R>) {
        // A protocol switch is not a final response.
        if self.is_http_1 && self.has_body && !response.status().is_informational() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Returns `true` if the rest should be read. Over HTTP/2, the stream can be ended immediately without an error,
    /// and most clients then have the response. curl 7.88 loses error responses that way, and stops sending when it
    /// sees one. It doesn't stop for other responses, so those end the stream.
    fn lingers<R>(self, response: &Response<R>) -> bool {
        self.is_http_1 || response.status().is_client_error() || response.status().is_server_error()
    }
}
