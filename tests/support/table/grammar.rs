//! The syntax of a credential (RFC 9110 §11.4, RFC 6750 §2.1): scheme, spaces, token68. Nothing is trimmed or guessed.

use super::{
    Own, Row,
    answers::{INVALID, MALFORMED, MISSING, OK, REFUSED_BY_STORE, UNREAD},
};
use crate::{
    servers::Server,
    stand::Setting::{AnyToken, Plain},
};

const WHOAMI: &str = "GET /whoami";

pub(super) const ROWS: &[Row] = &[
    Row::new("one key", Plain, WHOAMI, &[b"Authorization: Bearer {reader}"], OK),
    Row::new("a scheme in capitals", Plain, WHOAMI, &[b"Authorization: BEARER {reader}"], OK),
    Row::new("a scheme in small letters", Plain, WHOAMI, &[b"authorization: bearer {reader}"], OK),
    Row::new("a scheme in mixed case", Plain, WHOAMI, &[b"AUTHORIZATION: bEaReR {reader}"], OK),
    Row::new("several spaces after the scheme", Plain, WHOAMI, &[b"Authorization: Bearer    {reader}"], OK),
    Row::new("no space after the colon", Plain, WHOAMI, &[b"Authorization:Bearer {reader}"], OK),
    // White space around a field value is not part of it (RFC 9110 §5.5).
    Row::new("white space around the value", Plain, WHOAMI, &[b"Authorization: \t Bearer {reader} \t"], OK),
    Row::new("a tab after the scheme", Plain, WHOAMI, &[b"Authorization: Bearer\t{reader}"], MALFORMED),
    Row::new("a space and a tab after the scheme", Plain, WHOAMI, &[b"Authorization: Bearer \t{reader}"], MALFORMED),
    Row::new("no credential", Plain, WHOAMI, &[], MISSING),
    Row::new("an empty value", Plain, WHOAMI, &[b"Authorization:"], MALFORMED),
    Row::new("a value of white space", Plain, WHOAMI, &[b"Authorization:  \t "], MALFORMED),
    Row::new("a scheme without a token", Plain, WHOAMI, &[b"Authorization: Bearer"], MALFORMED),
    Row::new("a scheme and white space", Plain, WHOAMI, &[b"Authorization: Bearer   "], MALFORMED),
    Row::new("a key without a scheme", Plain, WHOAMI, &[b"Authorization: {reader}"], MISSING),
    Row::new("no space after the scheme", Plain, WHOAMI, &[b"Authorization: Bearer{reader}"], MISSING),
    Row::new("another scheme", Plain, WHOAMI, &[b"Authorization: Basic dXNlcjpwYXNzd29yZA=="], MISSING),
    Row::new("a key under another scheme", Plain, WHOAMI, &[b"Authorization: Token {reader}"], MISSING),
    Row::new("a longer scheme", Plain, WHOAMI, &[b"Authorization: Bearers {reader}"], MISSING),
    Row::new("a comma after the scheme", Plain, WHOAMI, &[b"Authorization: Bearer, {reader}"], MALFORMED),
    Row::new("a comma before the key", Plain, WHOAMI, &[b"Authorization: Bearer ,{reader}"], MALFORMED),
    Row::new("a comma after the key", Plain, WHOAMI, &[b"Authorization: Bearer {reader},"], MALFORMED),
    Row::new("the scheme twice", Plain, WHOAMI, &[b"Authorization: Bearer Bearer {reader}"], MALFORMED),
    Row::new("a key in quotes", Plain, WHOAMI, &[b"Authorization: Bearer \"{reader}\""], MALFORMED),
    Row::new("a parameter", Plain, WHOAMI, &[b"Authorization: Bearer token={reader}"], MALFORMED),
    Row::new("a key with a space inside", Plain, WHOAMI, &[b"Authorization: Bearer my_app_live_ abcdef"], MALFORMED),
    Row::new("a key with a percent sign", Plain, WHOAMI, &[b"Authorization: Bearer my%5Fapp_live_x"], MALFORMED),
    Row::new("a key in UTF-8", Plain, WHOAMI, &[b"Authorization: Bearer my_app_live_\xc3\xa9"], MALFORMED),
    Row::new("a byte above ASCII", Plain, WHOAMI, &[b"Authorization: Bearer {reader}\xff"], MALFORMED),
    Row::new("bytes above ASCII for a scheme", Plain, WHOAMI, &[b"Authorization: \xff\xfe {reader}"], MALFORMED),
    Row::new("a key and padding", Plain, WHOAMI, &[b"Authorization: Bearer {reader}=="], INVALID),
    Row::new("padding alone", Plain, WHOAMI, &[b"Authorization: Bearer =="], MALFORMED),
    Row::new("padding before the end", Plain, WHOAMI, &[b"Authorization: Bearer abcd=efgh"], MALFORMED),
    Row::new("every character of token68", Plain, WHOAMI, &[b"Authorization: Bearer aZ09-._~+/=="], INVALID),
    Row::new("an overlong token", Plain, WHOAMI, &[b"Authorization: Bearer my_app_live_{x*6000}"], INVALID),
    Row::new("an overlong malformed token", Plain, WHOAMI, &[b"Authorization: Bearer {x*6000},x"], MALFORMED),
    Row::new("a token like a JWT", Plain, WHOAMI, &[b"Authorization: Bearer eyJhbGciOi.eyJzdWIi.c2lnbmF0"], INVALID),
    Row::new("the shortest opaque token", AnyToken, WHOAMI, &[b"Authorization: Bearer {x*16}"], REFUSED_BY_STORE),
    Row::new("a shorter one", AnyToken, WHOAMI, &[b"Authorization: Bearer {x*15}"], INVALID),
    Row::new("the longest opaque token", AnyToken, WHOAMI, &[b"Authorization: Bearer {x*256}"], REFUSED_BY_STORE),
    Row::new("a longer one", AnyToken, WHOAMI, &[b"Authorization: Bearer {x*257}"], INVALID),
    Row::new("a known opaque token", AnyToken, WHOAMI, &[b"Authorization: Bearer {reader}"], OK),
    Row::new("a folded line", Plain, WHOAMI, &[b"Authorization: Bearer", b" {reader}"], UNREAD).own(FOLDED),
    Row::new("a NUL", Plain, WHOAMI, &[b"Authorization: Bearer {reader}\0"], UNREAD).own(CONTROLS),
    Row::new("a bare CR", Plain, WHOAMI, &[b"Authorization: Bearer {reader}\rx: y"], UNREAD).own(CONTROLS),
    Row::new("a space before the colon", Plain, WHOAMI, &[b"Authorization : Bearer {reader}"], UNREAD).own(SPACE),
];

const FOLDED: &[Own] = &own("line folding is obsolete, and a server may refuse it (RFC 9112 §5.2)");
const CONTROLS: &[Own] = &own("no field value has NUL or CR (RFC 9110 §5.5)");
const SPACE: &[Own] = &own("a server must refuse white space between name and colon (RFC 9112 §5.1)");

/// All servers answer alike, but not with the same bytes.
const fn own(reason: &'static str) -> [Own; Server::ALL.len()] {
    let mut all = [Own { server: Server::Hyper, status: 400, reason }; Server::ALL.len()];
    let mut at = 0;
    while at < all.len() {
        all[at].server = Server::ALL[at];
        at += 1;
    }
    all
}
