//! The response body: the service's, while the caller's key is live, or a refusal.

use std::{
    error::Error,
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    ResponseError,
    body::{BodySize, BoxBody, MessageBody},
};
use apikey_core::{
    LastFrame, Rejection, Revoked,
    adapter::{LiveBody, PollBody},
};
use bytes::Bytes;

use crate::kept::Kept;

/// The response body of [`ApiKeyService`](crate::ApiKeyService).
///
/// If the caller's key dies while a body is being sent, the body ends with [`BodyError::is_revoked`] or with its
/// [`LastFrame`](crate::LastFrame). The service's own body is dropped immediately, whether the client reads or not.
pub struct ResponseBody<B>(Kind<B>);

enum Kind<B> {
    /// Bytes in memory. They are one frame, and the first frame always passes.
    Whole {
        bytes: Bytes,
        size: BodySize,
    },
    Service(LiveBody<Inner<B>, Kept<Inner<B>>, BodySize, Option<LastFrame>>),
    Refusal(BoxBody),
}

/// The service's body.
struct Inner<B>(Pin<Box<B>>);

impl<B: MessageBody + 'static> PollBody for Inner<B> {
    type Frame = Result<Bytes, BodyError>;
    type Hint = BodySize;
    type Ending = Option<LastFrame>;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        self.0.as_mut().poll_next(cx).map_err(BodyError::from_inner)
    }

    fn is_over_after(&self, frame: &Self::Frame) -> bool {
        frame.as_ref().map_or(true, |bytes| self.0.size() == BodySize::Sized(bytes.len() as u64))
    }

    fn hint(&self) -> BodySize {
        self.0.size()
    }

    fn end(last: Option<LastFrame>, _: Option<Rejection>) -> Self::Frame {
        match last {
            Some(last) => Ok(Bytes::copy_from_slice(last.as_bytes())),
            None => Err(BodyError(Cause::Revoked)),
        }
    }
}

impl<B: MessageBody + 'static> ResponseBody<B> {
    pub(crate) fn free(body: B) -> Self {
        ResponseBody::of(body, LiveBody::free)
    }

    pub(crate) fn while_live(body: B, revoked: Revoked, last: Option<LastFrame>) -> Self {
        ResponseBody::of(body, |body| LiveBody::while_live(body, revoked, last))
    }

    fn of(
        body: B,
        service: impl FnOnce(Inner<B>) -> LiveBody<Inner<B>, Kept<Inner<B>>, BodySize, Option<LastFrame>>,
    ) -> Self {
        let size = body.size();
        ResponseBody(match body.try_into_bytes() {
            Ok(bytes) => Kind::Whole { bytes, size },
            Err(body) => Kind::Service(service(Inner(Box::pin(body)))),
        })
    }

    pub(crate) fn refusal(body: BoxBody) -> Self {
        ResponseBody(Kind::Refusal(body))
    }
}

type Polled = Poll<Option<Result<Bytes, BodyError>>>;

impl<B: MessageBody + 'static> MessageBody for ResponseBody<B> {
    type Error = BodyError;

    fn size(&self) -> BodySize {
        match &self.0 {
            Kind::Whole { size, .. } => *size,
            Kind::Service(body) => body.hint().unwrap_or(BodySize::None),
            Kind::Refusal(body) => body.size(),
        }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        match &mut self.0 {
            Kind::Whole { bytes, .. } if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole { bytes, .. } => Poll::Ready(Some(Ok(mem::take(bytes)))),
            Kind::Service(body) => body.poll_frame(cx),
            Kind::Refusal(body) => Pin::new(body).poll_next(cx).map_err(BodyError::from_inner),
        }
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        match self.0 {
            Kind::Whole { bytes, .. } => Ok(bytes),
            Kind::Refusal(body) => body.try_into_bytes().map_err(ResponseBody::refusal),
            kind => Err(ResponseBody(kind)),
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

    /// Returns `true` if this or an inner middleware cut the body off because the caller's key died.
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

    /// Returns the error of the service's body.
    ///
    /// # Errors
    ///
    /// Returns this error itself if this middleware cut the body off.
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

/// Required where a whole body is read before the response, as in tests.
impl ResponseError for BodyError {}
