//! Reads at most one credential from a request's header bytes. The formats decide whether it is a key.
//!
//! Nothing is trimmed, decoded or guessed. Several credentials are never reduced to one, and malformed ones are
//! refused.

use super::view::{Header, HeaderLines, RequestView, after_bearer, is_tchar};
use crate::rejection::Reason;

/// The one credential of a request. It is not yet known to be a token68.
#[derive(Clone, Copy)]
pub(crate) struct Credential<'a> {
    pub(crate) token: &'a [u8],
    pub(crate) header: Header,
}

impl<'a> Credential<'a> {
    /// Reads the one credential from `Authorization` and `extras` other headers.
    #[inline]
    pub(crate) fn read(headers: &'a impl RequestView, extras: usize) -> Result<Option<Self>, Reason> {
        let mut found = match headers.lines(Header::Authorization) {
            HeaderLines::Absent => None,
            HeaderLines::One(line) => {
                bearer_token(line)?.map(|token| Credential { token, header: Header::Authorization })
            }
            HeaderLines::Several => return Err(Reason::SeveralCredentials),
        };
        for header in (0..extras).map(Header::Extra) {
            match (headers.lines(header), &found) {
                (HeaderLines::Absent, _) => {}
                (HeaderLines::One(token), None) => found = Some(Credential { token, header }),
                _ => return Err(Reason::SeveralCredentials),
            }
        }
        Ok(found)
    }
}

/// Returns the token of a `Bearer` line, or `None` for another scheme.
///
/// RFC 9110 §11.4: `credentials = auth-scheme [ 1*SP ( token68 / … ) ]`. The scheme is case-insensitive.
#[inline]
fn bearer_token(line: &[u8]) -> Result<Option<&[u8]>, Reason> {
    if let Some(rest) = after_bearer(line) {
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        return match spaces {
            0 => Err(Reason::MalformedCredential),
            _ => Ok(Some(&rest[spaces..])),
        };
    }
    match line.first() {
        Some(byte) if is_tchar(*byte) => Ok(None),
        _ => Err(Reason::MalformedCredential),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lines {
        authorization: Vec<&'static [u8]>,
        extra: Vec<&'static [u8]>,
    }

    impl RequestView for Lines {
        fn lines(&self, header: Header) -> HeaderLines<'_> {
            match header {
                Header::Authorization => self.authorization.iter().copied().collect(),
                Header::Extra(_) => self.extra.iter().copied().collect(),
            }
        }
    }

    fn read(authorization: &[&'static [u8]], extra: &[&'static [u8]]) -> Result<Option<(Vec<u8>, Header)>, Reason> {
        let lines = Lines { authorization: authorization.to_vec(), extra: extra.to_vec() };
        Credential::read(&lines, 1).map(|found| found.map(|c| (c.token.to_vec(), c.header)))
    }

    #[test]
    fn given_one_authorization_line_when_read_then_the_scheme_decides() {
        let bearer = |token: &[u8]| Ok(Some((token.to_vec(), Header::Authorization)));
        let malformed = || Err(Reason::MalformedCredential);
        let cases: [(&'static [u8], _); 15] = [
            (b"Bearer abc", bearer(b"abc")),
            (b"bEARER abc", bearer(b"abc")),
            (b"Bearer    abc", bearer(b"abc")),
            // The rest is checked as token68 later; nothing is trimmed here.
            (b"Bearer abc ", bearer(b"abc ")),
            (b"Bearer a,b", bearer(b"a,b")),
            (b"Bearer ", bearer(b"")),
            (b"Bearer", malformed()),
            (b"Bearer\tabc", malformed()),
            (b"Bearer, abc", malformed()),
            (b"Bearer=abc", malformed()),
            (b"", malformed()),
            (b" Bearer abc", malformed()),
            (b"Basic abc", Ok(None)),
            (b"Bearerabc", Ok(None)),
            (b"Bear er", Ok(None)),
        ];
        for (line, expected) in cases {
            assert_eq!(read(&[line], &[]), expected, "{:?}", line.escape_ascii().to_string());
        }
    }

    #[test]
    fn given_more_than_one_credential_when_read_then_none_is_chosen() {
        type Lines = &'static [&'static [u8]];
        let several: [(Lines, Lines); 5] = [
            (&[b"Bearer a", b"Bearer a"], &[]),
            (&[b"Basic a", b"Bearer a"], &[]),
            (&[], &[b"a", b"a"]),
            (&[b"Bearer a"], &[b"a"]),
            (&[b"Bearer "], &[b"a"]),
        ];
        for (authorization, extra) in several {
            assert_eq!(read(authorization, extra), Err(Reason::SeveralCredentials));
        }
    }

    #[test]
    fn given_another_scheme_beside_an_extra_header_when_read_then_the_extra_header_is_the_credential() {
        let extra = Ok(Some((b"abc".to_vec(), Header::Extra(0))));
        assert_eq!(read(&[b"Basic eA=="], &[b"abc"]), extra);
        assert_eq!(read(&[], &[b"abc"]), extra);
        assert_eq!(read(&[], &[]), Ok(None));
    }
}
