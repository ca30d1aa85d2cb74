//! The response body: the inner service's, while the caller's key is live, or a refusal.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use apikey_core::{
    BoxError, LastFrame, Rejection, Revoked,
    adapter::{LiveBody, PollBody, WhileLive},
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::grpc;

/// The response body of [`ApiKeyService`](crate::ApiKeyService) and
/// [`RequireScopeService`](crate::RequireScopeService).
///
/// If the caller's key dies while a body is being sent, the body ends with [`BodyError::is_revoked`], with a
/// [`LastFrame`](crate::LastFrame), or with a gRPC status. The service's own body is dropped immediately, whether the
/// client reads or not. It must therefore be `Send` and, because it moves once it has begun, `Unpin`.
/// `MapResponseBodyLayer::new(Box::pin)` of tower-http boxes other bodies.
pub struct ResponseBody<B>(Kind<B>);

enum Kind<B> {
    Service(LiveBody<Inner<B>, WhileLive<Inner<B>>, SizeHint, Ending>),
    Refusal(Full<Bytes>),
}

/// The inner service's body.
struct Inner<B>(B);

/// What ends a body when the key dies.
pub(crate) struct Ending {
    pub(crate) is_grpc: bool,
    pub(crate) last_frame: Option<LastFrame>,
}

impl<B> PollBody for Inner<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Frame = Result<Frame<Bytes>, BodyError>;
    type Hint = SizeHint;
    type Ending = Ending;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        Pin::new(&mut self.0).poll_frame(cx).map_err(BodyError::from_inner)
    }

    fn is_over_after(&self, frame: &Self::Frame) -> bool {
        frame.is_err() || self.0.is_end_stream()
    }

    fn hint(&self) -> SizeHint {
        self.0.size_hint()
    }

    fn end(ending: Ending, rejection: Option<Rejection>) -> Self::Frame {
        match (rejection, ending.last_frame) {
            (Some(rejection), _) if ending.is_grpc => Ok(Frame::trailers(grpc::trailers(&rejection))),
            (_, Some(last)) => Ok(Frame::data(Bytes::copy_from_slice(last.as_bytes()))),
            (_, None) => Err(BodyError(Cause::Revoked)),
        }
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn free(body: B) -> Self {
        ResponseBody(Kind::Service(LiveBody::free(Inner(body))))
    }

    pub(crate) fn while_live(body: B, revoked: Revoked, ending: Ending) -> Self {
        ResponseBody(Kind::Service(LiveBody::while_live(Inner(body), revoked, ending)))
    }

    pub(crate) fn refusal(body: Full<Bytes>) -> Self {
        ResponseBody(Kind::Refusal(body))
    }
}

/// Creates an empty body. Outer layers, such as tower-http's for timeouts and CORS, use it for their own responses.
impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        ResponseBody::refusal(Full::default())
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        match &mut self.0 {
            Kind::Service(body) => body.poll_frame(cx),
            Kind::Refusal(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            // Once the body is in progress, polling the last frame has shown that it is the last.
            Kind::Service(body) => body.inner().map_or(body.is_over(), |inner| inner.0.is_end_stream()),
            Kind::Refusal(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Service(body) => body.hint().unwrap_or_else(|| SizeHint::with_exact(0)),
            Kind::Refusal(body) => body.size_hint(),
        }
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

/// Why a response body ended early.
///
/// ```
/// use http_body_util::BodyExt;
/// use tower_apikey::{BodyError, ResponseBody};
///
/// async fn read<B>(body: ResponseBody<B>) -> String
/// where
///     ResponseBody<B>: http_body::Body<Data = bytes::Bytes, Error = BodyError>,
/// {
///     match body.collect().await {
///         Ok(whole) => format!("{} bytes", whole.to_bytes().len()),
///         Err(error) if error.is_revoked() => "the key was revoked, or has expired".to_owned(),
///         Err(error) => error.to_string(),
///     }
/// }
/// ```
pub struct BodyError(Cause);

enum Cause {
    Revoked,
    Inner(BoxError),
}

impl BodyError {
    fn from_inner(error: impl Into<BoxError>) -> Self {
        BodyError(Cause::Inner(error.into()))
    }

    /// Returns `true` if this or an inner layer cut the body off because the caller's key died.
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

    /// Returns the error of the inner service's body.
    ///
    /// # Errors
    ///
    /// Returns this error itself if this layer cut the body off.
    pub fn into_inner(self) -> Result<BoxError, Self> {
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
