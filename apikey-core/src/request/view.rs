//! The headers of a request, as adapters present them to an authenticator.

use crate::caller::AuthenticatedKey;

/// A header that an [`Authenticator`](crate::Authenticator) reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `Authorization`, scheme `Bearer` (RFC 6750 §2.1).
    Authorization,
    /// The n-th of [`Authenticator::extra_headers`](crate::Authenticator::extra_headers). Its whole value is the key.
    Extra(usize),
}

/// The lines that a request has for one header.
///
/// Adapters collect them from their framework's header map:
///
/// ```
/// use apikey_core::adapter::HeaderLines;
///
/// let one: HeaderLines<'_> = [&b"Bearer abc"[..]].into_iter().collect();
/// assert!(matches!(one, HeaderLines::One(b"Bearer abc")));
/// let two: HeaderLines<'_> = [&b"a"[..], &b"b"[..]].into_iter().collect();
/// assert!(matches!(two, HeaderLines::Several));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderLines<'a> {
    /// The header is absent.
    Absent,
    /// The header was sent once.
    One(&'a [u8]),
    /// The header was sent several times.
    Several,
}

impl<'a> FromIterator<&'a [u8]> for HeaderLines<'a> {
    #[inline]
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(lines: I) -> Self {
        let mut lines = lines.into_iter();
        match (lines.next(), lines.next()) {
            (None, _) => HeaderLines::Absent,
            (Some(line), None) => HeaderLines::One(line),
            (Some(_), Some(_)) => HeaderLines::Several,
        }
    }
}

/// A request, as an adapter presents it to [`Authenticator::authenticate`](crate::Authenticator::authenticate).
///
/// ```
/// use apikey_core::adapter::{Header, HeaderLines, RequestView};
///
/// struct Framework { authorization: Vec<Vec<u8>> }
///
/// impl RequestView for Framework {
///     fn lines(&self, header: Header) -> HeaderLines<'_> {
///         match header {
///             Header::Authorization => self.authorization.iter().map(Vec::as_slice).collect(),
///             Header::Extra(_) => HeaderLines::Absent,
///         }
///     }
/// }
/// ```
pub trait RequestView {
    /// Returns the lines of `header`, without optional white space around them (RFC 9110 §5.5).
    fn lines(&self, header: Header) -> HeaderLines<'_>;

    /// Returns the key that an outer layer left in the request, if any.
    ///
    /// It is used only if it comes from the same authenticator, which has then decided already and may have removed the
    /// credential.
    fn authenticated(&self) -> Option<AuthenticatedKey> {
        None
    }

    /// Returns `true` if `header` presents an API key, valid or not. An extra header always does. `Authorization` does
    /// if its scheme is `Bearer` or if it has several lines. Credentials of other schemes are ignored.
    fn presents_key(&self, header: Header) -> bool {
        match (header, self.lines(header)) {
            (_, HeaderLines::Absent) => false,
            (Header::Authorization, HeaderLines::One(line)) => after_bearer(line).is_some(),
            _ => true,
        }
    }
}

/// Returns the rest of an `Authorization` line after the scheme, if that is `Bearer` in any case (RFC 9110 §11.1).
#[inline]
pub(super) fn after_bearer(line: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = line.split_at_checked("Bearer".len())?;
    let is_whole = !rest.first().is_some_and(|byte| is_tchar(*byte));
    (is_whole && scheme.eq_ignore_ascii_case(b"Bearer")).then_some(rest)
}

/// Returns `true` for characters of a token (RFC 9110 §5.6.2), such as a scheme or a header's name.
pub(super) const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}
