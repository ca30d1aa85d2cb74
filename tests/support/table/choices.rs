//! A service's options: optional keys, foreign tokens, custom refusals, removed credentials.

use super::{
    Act, Row, Step,
    answers::{INVALID, LACKS_BOTH, LACKS_READ, MISSING, NOT_FOUND, OK, REFUSED_BY_STORE, SEVERAL, UNAVAILABLE},
    expect::Expect,
};
use crate::{
    stand::Setting::{ExtraHeaders, Optional, PassThrough, Responder, Strip},
    store::Behaviour::Fail,
};

const READER: &[&[u8]] = &[b"Authorization: Bearer {reader}"];
const JWT: &[&[u8]] = &[b"Authorization: Bearer eyJhbGciOi.eyJzdWIi.c2lnbmF0"];
const BASIC: &[&[u8]] = &[b"Authorization: Basic dXNlcjpwYXNzd29yZA=="];
const MISTYPED: &[&[u8]] = &[b"Authorization: Bearer {mistyped}"];
const STRANGER: Expect = OK.says("stranger").cached();

pub(super) const ROWS: &[Row] = &[
    Row::new("optional: nothing sent", Optional, "GET /maybe", &[], STRANGER),
    Row::new("optional: a key", Optional, "GET /maybe", READER, OK),
    Row::new("optional: another scheme", Optional, "GET /maybe", BASIC, STRANGER),
    Row::new("optional: a mistyped key", Optional, "GET /maybe", MISTYPED, INVALID),
    Row::new(
        "optional: a revoked key",
        Optional,
        "GET /maybe",
        &[b"Authorization: Bearer {revoked}"],
        REFUSED_BY_STORE,
    ),
    Row::new("optional: a foreign token", Optional, "GET /maybe", JWT, INVALID),
    Row::new("optional: nothing sent, but the handler needs a caller", Optional, "GET /whoami", &[], MISSING),
    Row::new("optional: nothing sent, but the handler needs a scope", Optional, "GET /read", &[], MISSING),
    Row::new("optional: nothing sent, but a guard needs a scope", Optional, "GET /guarded", &[], MISSING),
    Row::new("optional: HEAD, but the handler needs a caller", Optional, "HEAD /whoami", &[], MISSING.withheld()),
    Row::new("foreign: a JWT passes without a key", PassThrough, "GET /maybe", JWT, STRANGER),
    Row::new("foreign: a JWT, but the handler needs a caller", PassThrough, "GET /whoami", JWT, MISSING),
    Row::new("foreign: a JWT, but the handler needs a scope", PassThrough, "GET /read", JWT, MISSING),
    Row::new(
        "foreign: it is left for another layer",
        PassThrough,
        "GET /headers",
        JWT,
        seen("authorization: 1, x-api-key: 0, x-access-token: 0").cached(),
    ),
    Row::new("foreign: a key", PassThrough, "GET /maybe", READER, OK),
    Row::new("foreign: a mistyped key", PassThrough, "GET /maybe", MISTYPED, INVALID),
    Row::new(
        "foreign: an undeclared environment",
        PassThrough,
        "GET /maybe",
        &[b"Authorization: Bearer my_app_prod_x"],
        INVALID,
    ),
    Row::new("foreign: nothing sent", PassThrough, "GET /maybe", &[], MISSING),
    Row::new("foreign: another scheme", PassThrough, "GET /maybe", BASIC, MISSING),
    Row::new("responder: no credential", Responder, "GET /whoami", &[], MISSING.says("no: missing_credential")),
    Row::new("responder: a mistyped key", Responder, "GET /whoami", MISTYPED, INVALID.says("no: invalid_token")),
    Row::new(
        "responder: two credentials",
        Responder,
        "GET /whoami",
        &[b"Authorization: a", b"Authorization: b"],
        SEVERAL.says("no: invalid_request"),
    ),
    Row::new("responder: the store fails", Responder, "GET /whoami", READER, UNAVAILABLE.says("no: unavailable"))
        .after(&[Act::Store(Fail)]),
    Row::new(
        "responder: an extractor refuses",
        Responder,
        "GET /both",
        &[b"Authorization: Bearer {nobody}"],
        LACKS_BOTH.says("no: insufficient_scope"),
    ),
    Row::new(
        "responder: a guard refuses",
        Responder,
        "GET /guarded",
        &[b"Authorization: Bearer {nobody}"],
        LACKS_READ.says("no: insufficient_scope"),
    ),
    Row::new("responder: a handler refuses", Responder, "GET /globex", READER, NOT_FOUND.says("no: not_found")),
    Row::new("responder: HEAD", Responder, "HEAD /whoami", MISTYPED, INVALID.withheld()),
    Row::new(
        "responder: HEAD, and an extractor refuses",
        Responder,
        "HEAD /read",
        &[b"Authorization: Bearer {nobody}"],
        LACKS_READ.withheld(),
    ),
    Row::new("responder: a key is let in", Responder, "GET /whoami", READER, OK),
    Row::new(
        "stripped: the key",
        Strip,
        "GET /headers",
        READER,
        seen("authorization: 0, x-api-key: 0, x-access-token: 0"),
    )
    .then(&[Step::new("GET /headers", READER, seen("authorization: 0, x-api-key: 0, x-access-token: 0").cached())]),
    Row::new(
        "stripped: the key in x-api-key",
        Strip,
        "GET /headers",
        &[b"x-api-key: {reader}"],
        seen("authorization: 0, x-api-key: 0, x-access-token: 0").private(),
    ),
    Row::new(
        "stripped: not what is somebody else's",
        Strip,
        "GET /headers",
        &[b"x-api-key: {reader}", b"Authorization: Basic dXNlcjpwYXNzd29yZA==", b"x-access-token: other"],
        seen("authorization: 1, x-api-key: 0, x-access-token: 1"),
    ),
    Row::new(
        "not stripped unless asked",
        ExtraHeaders,
        "GET /headers",
        READER,
        seen("authorization: 1, x-api-key: 0, x-access-token: 0"),
    ),
    Row::new("stripped: the caller is still known", Strip, "GET /whoami", READER, OK),
    Row::new("stripped: the guard still knows the caller", Strip, "GET /guarded", READER, OK),
];

const fn seen(lines: &'static str) -> Expect {
    OK.says(lines)
}
