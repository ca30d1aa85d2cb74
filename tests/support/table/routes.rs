//! Methods and routes: HEAD without a body, OPTIONS with a key, routes outside the layer and unknown routes.

use super::{
    Row,
    answers::{INVALID, MISSING, NO_LAYER, OK, UNAVAILABLE},
    expect::{Body, Expect},
};
use crate::{
    stand::Setting::{ExtraHeaders, Optional, Plain},
    store::Behaviour::Fail,
    table::Act,
};

const READER: &[&[u8]] = &[b"Authorization: Bearer {reader}"];
const UNKNOWN_PATH: Expect = Expect { status: 404, body: Body::Text(""), resolver: 0, handler: 0, ..OK };
const PREFLIGHT: &[&[u8]] = &[
    b"Origin: https://example.org",
    b"Access-Control-Request-Method: GET",
    b"Access-Control-Request-Headers: authorization",
];

pub(super) const ROWS: &[Row] = &[
    Row::new("HEAD", Plain, "HEAD /whoami", READER, OK.withheld()),
    Row::new("HEAD without a credential", Plain, "HEAD /whoami", &[], MISSING.withheld()),
    Row::new(
        "HEAD with a mistyped key",
        Plain,
        "HEAD /whoami",
        &[b"Authorization: Bearer {mistyped}"],
        INVALID.withheld(),
    ),
    Row::new("HEAD while the store fails", Plain, "HEAD /whoami", READER, UNAVAILABLE.withheld())
        .after(&[Act::Store(Fail)]),
    Row::new("OPTIONS without a credential", Plain, "OPTIONS /whoami", &[], MISSING),
    Row::new("OPTIONS with a key", Plain, "OPTIONS /whoami", READER, OK),
    Row::new("a preflight", Plain, "OPTIONS /whoami", PREFLIGHT, MISSING),
    Row::new("a preflight, where x-api-key is possible", ExtraHeaders, "OPTIONS /whoami", PREFLIGHT, MISSING),
    Row::new("DELETE", Plain, "DELETE /whoami", READER, OK),
    Row::new("DELETE without a credential", Plain, "DELETE /whoami", &[], MISSING),
    Row::new("a body without a credential", Plain, "POST /whoami", &[b"Content-Type: text/plain"], MISSING)
        .body("hello"),
    Row::new(
        "a large body that never comes, without a credential",
        Plain,
        "POST /whoami",
        &[b"Content-Length: 10485760", b"Expect: 100-continue"],
        MISSING,
    ),
    Row::new(
        "a large body that never comes, with a mistyped key",
        Plain,
        "POST /whoami",
        &[b"Content-Length: 10485760", b"Authorization: Bearer {mistyped}"],
        INVALID,
    ),
    Row::new("an unknown path without a credential", Plain, "GET /nowhere", &[], UNKNOWN_PATH),
    Row::new("an unknown path with a key", Plain, "GET /nowhere", READER, UNKNOWN_PATH),
    Row::new("an unknown path with nonsense", Plain, "GET /nowhere", &[b"Authorization: Bearer a,b"], UNKNOWN_PATH),
    Row::new("an extractor outside of the layer", Plain, "GET /unlayered", &[], NO_LAYER),
    Row::new("an extractor outside of the layer, with a key", Plain, "GET /unlayered", READER, NO_LAYER),
    Row::new("an optional extractor outside of the layer", Optional, "GET /unlayered-maybe", &[], NO_LAYER),
    Row::new(
        "an optional extractor outside of the layer, with a key",
        Optional,
        "GET /unlayered-maybe",
        READER,
        NO_LAYER,
    ),
    Row::new("a guard outside of the layer", Plain, "GET /unlayered-guarded", &[], NO_LAYER),
    Row::new("a guard outside of the layer, with a key", Plain, "GET /unlayered-guarded", READER, NO_LAYER),
    Row::new("an optional extractor, where a key is required", Plain, "GET /maybe", &[], MISSING),
];
