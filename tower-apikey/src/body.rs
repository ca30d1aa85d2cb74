//! The body of a response: the inner service's, for as long as the caller's key lives, or a refusal.

use std::{
    error::Error,
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use apikey_core::{AuthenticatedKey, BoxError, LastFrame, Revoked, adapter::WhileLive};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::grpc;

/// The response body of [`ApiKeyService`](crate::ApiKeyService) and [`RequireScopeService`](crate::RequireScopeService).
///
/// A body that is being sent when the caller's key dies ends with [`BodyError::is_revoked`], or as
/// [`LastFrame`](crate::LastFrame) and gRPC have it. The service's own body is dropped at once, whether the client reads
/// or not: hence it must be `Send` and, as it moves once it has begun, `Unpin`. Bodies that aren't are boxed by
/// `MapResponseBodyLayer::new(Box::pin)` of tower-http.
pub struct ResponseBody<B> {
    kind: Kind<B>,
}

enum Kind<B> {
    /// The inner service's, whatever becomes of the key.
    Inner {
        body: B,
    },
    /// The inner service's, which has not been polled.
    New {
        body: B,
        revoked: Revoked,
        ending: Ending,
    },
    /// The inner service's, under way.
    UnderWay(Box<UnderWay<B>>),
    Refusal {
        body: Full<Bytes>,
    },
    Over,
}

struct UnderWay<B> {
    body: WhileLive<B>,
    hint: SizeHint,
    ending: Ending,
    key: AuthenticatedKey,
}

/// How a body ends when the key dies.
pub(crate) struct Ending {
    pub(crate) is_grpc: bool,
    pub(crate) last_frame: Option<LastFrame>,
}

impl Ending {
    /// The last that comes of a body whose `key` has died.
    fn frame(self, key: &AuthenticatedKey) -> Result<Frame<Bytes>, BodyError> {
        match (key.require_live(), self.last_frame) {
            (Err(rejection), _) if self.is_grpc => Ok(Frame::trailers(grpc::trailers(&rejection))),
            (_, Some(last)) => Ok(Frame::data(Bytes::copy_from_slice(last.as_bytes()))),
            (_, None) => Err(BodyError(Cause::Revoked)),
        }
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn inner(body: B) -> Self {
        ResponseBody { kind: Kind::Inner { body } }
    }

    pub(crate) fn while_live(body: B, revoked: Revoked, ending: Ending) -> Self {
        ResponseBody { kind: Kind::New { body, revoked, ending } }
    }

    pub(crate) fn refusal(body: Full<Bytes>) -> Self {
        ResponseBody { kind: Kind::Refusal { body } }
    }
}

/// Empty. Layers outside, such as tower-http's for time-outs and CORS, make their own responses with it.
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
        match &mut self.kind {
            Kind::Inner { body } => poll_inner(body, cx),
            Kind::New { .. } => self.begin(cx),
            Kind::UnderWay(_) => self.go_on(cx),
            Kind::Refusal { body } => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Kind::Over => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } | Kind::New { body, .. } => body.is_end_stream(),
            Kind::Refusal { body } => body.is_end_stream(),
            // Where there was an end to see, it was seen when the frame before it was polled.
            Kind::UnderWay(_) => false,
            Kind::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } | Kind::New { body, .. } => body.size_hint(),
            Kind::UnderWay(under_way) => under_way.hint,
            Kind::Refusal { body } => body.size_hint(),
            Kind::Over => SizeHint::with_exact(0),
        }
    }
}

impl<B> ResponseBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    /// The first poll, which the key has no say in. Most bodies are over with it, and have nothing registered for them.
    fn begin(&mut self, cx: &mut Context<'_>) -> Polled {
        let Kind::New { mut body, revoked, ending } = mem::replace(&mut self.kind, Kind::Over) else {
            return Poll::Ready(None);
        };
        let polled = poll_inner(&mut body, cx);
        let is_over = match &polled {
            Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
            Poll::Ready(_) => true,
            Poll::Pending => false,
        };
        if is_over {
            return polled;
        }
        let hint = body.size_hint();
        let under_way = UnderWay { key: revoked.key().clone(), body: WhileLive::new(body, revoked), hint, ending };
        self.kind = Kind::UnderWay(Box::new(under_way));
        match polled {
            // The one who is to be woken is left with the body by a poll.
            Poll::Pending => self.go_on(cx),
            ready => ready,
        }
    }

    /// Any poll but the first: the key is looked at before the body is.
    fn go_on(&mut self, cx: &mut Context<'_>) -> Polled {
        let Kind::UnderWay(under_way) = &mut self.kind else { return Poll::Ready(None) };
        let UnderWay { body, hint, .. } = &mut **under_way;
        let polled = body.poll(cx, |body, cx| {
            let polled = poll_inner(body, cx);
            *hint = body.size_hint();
            let is_over = match &polled {
                Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
                Poll::Ready(_) => true,
                Poll::Pending => return Poll::Pending,
            };
            polled.map(|frame| (frame, is_over))
        });
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some((frame, is_over))) => {
                if is_over {
                    self.kind = Kind::Over;
                }
                Poll::Ready(frame)
            }
            Poll::Ready(None) => match mem::replace(&mut self.kind, Kind::Over) {
                Kind::UnderWay(ended) => Poll::Ready(Some(ended.ending.frame(&ended.key))),
                _ => Poll::Ready(None),
            },
        }
    }
}

fn poll_inner<B>(body: &mut B, cx: &mut Context<'_>) -> Polled
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    Pin::new(body).poll_frame(cx).map_err(BodyError::from_inner)
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

/// Why a response's body ended early.
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

    /// Was the body cut off because the caller's key is revoked or expired, by this layer or by one further in?
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

    /// The error of the inner service's body, if it is one.
    ///
    /// # Errors
    ///
    /// This error itself, if this layer has cut the body off.
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
