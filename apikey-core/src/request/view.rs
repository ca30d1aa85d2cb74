//! A request's headers, as adapters show them to an authenticator.

use crate::caller::AuthenticatedKey;

/// A header an [`Authenticator`](crate::Authenticator) reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `Authorization`, scheme `Bearer` (RFC 6750 §2.1).
    Authorization,
    /// The n-th of [`Authenticator::extra_headers`](crate::Authenticator::extra_headers), whose whole value is the key.
    Extra(usize),
}

/// The lines a request has for one header.
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
    /// The header was not sent.
    Absent,
    /// It was sent once.
    One(&'a [u8]),
    /// It was sent more than once.
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

/// A request, as an adapter shows it to [`Authenticator::authenticate`](crate::Authenticator::authenticate).
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
    /// The lines of `header`, each without the white space around it that HTTP allows (RFC 9110 §5.5).
    fn lines(&self, header: Header) -> HeaderLines<'_>;

    /// Returns the key that an outer layer has left in the request, if any.
    ///
    /// It counts only if it is the same authenticator's: then the request has been judged already, and its credential
    /// may have been stripped since.
    fn authenticated(&self) -> Option<AuthenticatedKey> {
        None
    }

    /// Returns `true` if `header` presents an API key, good or not: an extra header in any case, `Authorization` if its
    /// scheme is `Bearer` or it has several lines. Another scheme's credential is somebody else's.
    fn presents_key(&self, header: Header) -> bool {
        match (header, self.lines(header)) {
            (_, HeaderLines::Absent) => false,
            (Header::Authorization, HeaderLines::One(line)) => after_bearer(line).is_some(),
            _ => true,
        }
    }
}

/// What follows the scheme of a line of `Authorization`, if that is `Bearer` in any case (RFC 9110 §11.1).
#[inline]
pub(super) fn after_bearer(line: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = line.split_at_checked("Bearer".len())?;
    let is_whole = !rest.first().is_some_and(|byte| is_tchar(*byte));
    (is_whole && scheme.eq_ignore_ascii_case(b"Bearer")).then_some(rest)
}

/// RFC 9110 §5.6.2: the characters of a token, which a scheme and a header's name are.
pub(super) const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}
