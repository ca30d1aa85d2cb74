//! Nested layers. One of the same authenticator keeps the caller; another one replaces or removes it.

use super::{
    Row,
    answers::{INVALID, MISSING, OK},
    expect::Expect,
};
use crate::stand::Setting::{OtherInside, Plain, Strip};

const READER: &[&[u8]] = &[b"Authorization: Bearer {reader}"];
const TWO_KEYS: &[&[u8]] = &[b"Authorization: Bearer {reader}", b"x-access-token: {writer}"];
const BASIC_BESIDE_KEY: &[&[u8]] = &[b"Authorization: Basic dXNlcjpwYXNzd29yZA==", b"x-api-key: {reader}"];

const TWICE: Expect = Expect { resolver: 2, ..OK };
const BY_OUTER: Expect = Expect { resolver: 1, ..MISSING };

pub(super) const ROWS: &[Row] = &[
    Row::new("nested: stripped outside, known inside", Strip, "GET /nested/whoami", READER, OK),
    Row::new("nested: stripped outside, optional inside", Strip, "GET /nested/maybe", READER, OK),
    Row::new("nested: nothing sent", Strip, "GET /nested/whoami", &[], MISSING),
    Row::new(
        "nested: both strip, and neither what is somebody else's",
        Strip,
        "GET /nested/headers",
        BASIC_BESIDE_KEY,
        OK.says("authorization: 1, x-api-key: 0, x-access-token: 0"),
    ),
    Row::new("nested: another authenticator judges for itself", Plain, "GET /nested/whoami", READER, TWICE),
    Row::new(
        "nested: the inner key replaces the outer one",
        OtherInside,
        "GET /nested/whoami",
        TWO_KEYS,
        TWICE.says("writer").private(),
    ),
    Row::new(
        "nested: no key for the inner layer, and the outer one is removed",
        OtherInside,
        "GET /nested/maybe",
        READER,
        OK.says("stranger"),
    ),
    Row::new(
        "nested: no key for the inner layer, but the handler needs one",
        OtherInside,
        "GET /nested/whoami",
        READER,
        BY_OUTER,
    ),
    Row::new(
        "nested: a mistyped key for the inner layer",
        OtherInside,
        "GET /nested/maybe",
        &[b"Authorization: Bearer {reader}", b"x-access-token: {mistyped}"],
        Expect { resolver: 1, ..INVALID },
    ),
    Row::new(
        "nested: a key for the inner layer alone",
        OtherInside,
        "GET /nested/maybe",
        &[b"x-access-token: {writer}"],
        MISSING,
    ),
];
