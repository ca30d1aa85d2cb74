//! What becomes of requests and streams under way when their key dies: the choices of a service.

use std::{fmt, sync::Arc};

/// What a layer or a route does with a request under way whose key is revoked or expires.
///
/// Layers and middlewares have an option for it. In the extensions of a **response** it decides about that response's
/// body alone.
///
/// ```
/// use apikey_core::OnRevoked;
///
/// assert_eq!(OnRevoked::default(), OnRevoked::End);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnRevoked {
    /// It ends: a handler that waits is dropped and answered 401, a body that is being sent breaks off with an error.
    #[default]
    End,
    /// It finishes, as if nothing had happened. For what must not stop halfway, or looks after itself by
    /// [`AuthenticatedKey::revoked`](crate::AuthenticatedKey::revoked) and
    /// [`is_live`](crate::AuthenticatedKey::is_live).
    Finish,
}

/// What a client is sent last, in place of an error, when the key of a stream under way dies. For server-sent events, and
/// other formats whose messages can say "that was all".
///
/// It goes into the extensions of the response. After it the body ends, as if it were complete, so it has to say in the
/// stream's own terms that it is not. A body that has announced its length breaks off all the same.
///
/// ```
/// use apikey_core::LastFrame;
///
/// let last = LastFrame::new("event: revoked\ndata: the API key is not valid any more\n\n");
/// assert!(last.as_bytes().starts_with(b"event: revoked"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct LastFrame(Arc<[u8]>);

impl LastFrame {
    /// These bytes. An event ends with an empty line.
    #[must_use]
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        LastFrame(bytes.as_ref().into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for LastFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LastFrame({} bytes)", self.0.len())
    }
}
