//! Several credentials: the request is refused, and none is chosen.

use super::{
    Row,
    answers::{MALFORMED, OK, SEVERAL},
};
use crate::stand::Setting::{ExtraHeaders, Optional, PassThrough, Plain};

const WHOAMI: &str = "GET /whoami";
const BEARER: &[u8] = b"Authorization: Bearer {reader}";
const OTHER: &[u8] = b"Authorization: Bearer {writer}";
const BASIC: &[u8] = b"Authorization: Basic dXNlcjpwYXNzd29yZA==";

pub(super) const ROWS: &[Row] = &[
    Row::new("two lines, two keys", Plain, WHOAMI, &[BEARER, OTHER], SEVERAL),
    Row::new("two lines, one key", Plain, WHOAMI, &[BEARER, BEARER], SEVERAL),
    Row::new(
        "two lines, apart and in other cases",
        Plain,
        WHOAMI,
        &[BEARER, b"Accept: */*", b"AUTHORIZATION: bearer {reader}"],
        SEVERAL,
    ),
    Row::new("Basic, then a key", Plain, WHOAMI, &[BASIC, BEARER], SEVERAL),
    Row::new("a key, then Basic", Plain, WHOAMI, &[BEARER, BASIC], SEVERAL),
    Row::new("Basic twice", Plain, WHOAMI, &[BASIC, BASIC], SEVERAL),
    Row::new("an empty line, then a key", Plain, WHOAMI, &[b"Authorization:", BEARER], SEVERAL),
    Row::new("a good key, then nonsense", Plain, WHOAMI, &[BEARER, b"Authorization: Bearer x"], SEVERAL),
    Row::new("two keys in one line", Plain, WHOAMI, &[b"Authorization: Bearer {reader}, Bearer {writer}"], MALFORMED),
    Row::new("two keys after one scheme", Plain, WHOAMI, &[b"Authorization: Bearer {reader},{writer}"], MALFORMED),
    Row::new("two keys and a space", Plain, WHOAMI, &[b"Authorization: Bearer {reader} {writer}"], MALFORMED),
    Row::new("two lines, where a key is optional", Optional, "GET /maybe", &[BEARER, BEARER], SEVERAL),
    Row::new(
        "two foreign tokens",
        PassThrough,
        "GET /maybe",
        &[b"Authorization: Bearer a.b.c", b"Authorization: Bearer a.b.c"],
        SEVERAL,
    ),
    Row::new("a key in both headers", ExtraHeaders, WHOAMI, &[BEARER, b"x-api-key: {reader}"], SEVERAL),
    Row::new("two keys in two headers", ExtraHeaders, WHOAMI, &[BEARER, b"x-api-key: {writer}"], SEVERAL),
    Row::new("a key and an empty x-api-key", ExtraHeaders, WHOAMI, &[BEARER, b"x-api-key:"], SEVERAL),
    Row::new(
        "a scheme alone and x-api-key",
        ExtraHeaders,
        WHOAMI,
        &[b"Authorization: Bearer", b"x-api-key: {reader}"],
        MALFORMED,
    ),
    Row::new("x-api-key twice", ExtraHeaders, WHOAMI, &[b"x-api-key: {reader}", b"x-api-key: {reader}"], SEVERAL),
    Row::new(
        "x-api-key twice, in other cases",
        ExtraHeaders,
        WHOAMI,
        &[b"x-api-key: {reader}", b"X-API-KEY: {writer}"],
        SEVERAL,
    ),
    Row::new(
        "two of the other headers",
        ExtraHeaders,
        WHOAMI,
        &[b"x-api-key: {reader}", b"x-access-token: {reader}"],
        SEVERAL,
    ),
    Row::new("two keys in one x-api-key", ExtraHeaders, WHOAMI, &[b"x-api-key: {reader},{writer}"], MALFORMED),
    // Another scheme's credential is not a key. It keeps shared caches away like any other.
    Row::new("Basic beside x-api-key", ExtraHeaders, WHOAMI, &[BASIC, b"x-api-key: {reader}"], OK),
    Row::new(
        "two Basic lines beside x-api-key",
        ExtraHeaders,
        WHOAMI,
        &[BASIC, BASIC, b"x-api-key: {reader}"],
        SEVERAL,
    ),
    Row::new(
        "a foreign token beside x-api-key",
        PassThrough,
        WHOAMI,
        &[b"Authorization: Bearer a.b.c", b"x-api-key: {reader}"],
        SEVERAL,
    ),
];
