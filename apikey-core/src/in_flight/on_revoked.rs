//! A service's choices for requests and streams in progress when their key dies.

use std::{fmt, sync::Arc};

/// What a layer or a route does with a request in progress when its key is revoked or expires.
///
/// Layers and middlewares have an option for it. In the extensions of a **response**, it applies to that response's
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
    /// End it: a waiting handler is dropped and answered with 401, and a body in progress is cut off with an error.
    #[default]
    End,
    /// Let it finish. This is for work that must not stop halfway, and for handlers that watch
    /// [`AuthenticatedKey::revoked`](crate::AuthenticatedKey::revoked) or [`is_live`](crate::AuthenticatedKey::is_live)
    /// themselves.
    Finish,
}

/// The last bytes of a stream whose key dies, instead of an error. It is for server-sent events and other formats that
/// can say "the stream ends here".
///
/// Put it into the extensions of the response. The body then ends as if it were complete, so the bytes have to say in
/// the format's own terms that it is not. A body with a declared length is cut off all the same.
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
    /// Creates a last frame from bytes. An event of server-sent events ends with an empty line.
    #[must_use]
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        LastFrame(bytes.as_ref().into())
    }

    /// Returns the bytes.
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
