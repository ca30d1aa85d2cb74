//! Scopes, required by extractors and by a guard around the route, always before the body is read.

use super::{
    Row,
    answers::{INVALID, LACKS_BOTH, LACKS_EITHER, LACKS_READ, LACKS_WRITE, MISSING, NOT_FOUND, OK, REFUSED_BY_STORE},
    expect::{Body, Expect},
};
use crate::stand::Setting::Plain;

const READER: &[&[u8]] = &[b"Authorization: Bearer {reader}"];
const WRITER: &[&[u8]] = &[b"Authorization: Bearer {writer}"];
const ADMIN: &[&[u8]] = &[b"Authorization: Bearer {admin}"];
const NOBODY: &[&[u8]] = &[b"Authorization: Bearer {nobody}"];
const JSON_BY_READER: &[&[u8]] = &[b"Content-Type: application/json", b"Authorization: Bearer {reader}"];
const JSON_BY_WRITER: &[&[u8]] = &[b"Content-Type: application/json", b"Authorization: Bearer {writer}"];
const JSON_BY_STRANGER: &[&[u8]] = &[b"Content-Type: application/json"];

const WRITER_OK: Expect = OK.says("writer");
const ADMIN_OK: Expect = OK.says("admin");
const BODY_REFUSED: Expect = Expect { status: 400, body: Body::Own, handler: 0, ..OK };

pub(super) const ROWS: &[Row] = &[
    Row::new("the scope", Plain, "GET /read", READER, OK),
    Row::new("another scope", Plain, "GET /read", WRITER, LACKS_READ),
    Row::new("a wildcard that covers it", Plain, "GET /read", ADMIN, ADMIN_OK),
    // SciTokens matched prefixes: `files:reader` is not `files:read`, and vice versa.
    Row::new("a scope that begins with the one required", Plain, "GET /read", NOBODY, LACKS_READ),
    Row::new("no scope needed", Plain, "GET /whoami", NOBODY, OK.says("nobody")),
    Row::new("one of two scopes", Plain, "GET /both", READER, LACKS_BOTH),
    Row::new("the other of two scopes", Plain, "GET /both", WRITER, LACKS_BOTH),
    Row::new("both scopes", Plain, "GET /both", ADMIN, ADMIN_OK),
    Row::new("none of two scopes", Plain, "GET /both", NOBODY, LACKS_BOTH),
    Row::new("either scope: the one", Plain, "GET /either", READER, OK),
    Row::new("either scope: the other", Plain, "GET /either", WRITER, WRITER_OK),
    Row::new("either scope: none", Plain, "GET /either", NOBODY, LACKS_EITHER),
    Row::new("two guards and an extractor", Plain, "GET /two-guards", ADMIN, ADMIN_OK),
    Row::new("two guards, the second refuses", Plain, "GET /two-guards", READER, LACKS_WRITE),
    Row::new("two guards, the first refuses", Plain, "GET /two-guards", WRITER, LACKS_READ),
    Row::new("a guarded route", Plain, "GET /guarded", READER, OK),
    Row::new("a guarded route, another scope", Plain, "GET /guarded", WRITER, LACKS_READ),
    Row::new("a guarded route, no credential", Plain, "GET /guarded", &[], MISSING),
    Row::new(
        "a guarded route, a refused key",
        Plain,
        "GET /guarded",
        &[b"Authorization: Bearer {revoked}"],
        REFUSED_BY_STORE,
    ),
    Row::new("a scope, no credential", Plain, "GET /read", &[], MISSING),
    Row::new("a scope, a mistyped key", Plain, "GET /read", &[b"Authorization: Bearer {mistyped}"], INVALID),
    Row::new("a body", Plain, "POST /write", JSON_BY_WRITER, WRITER_OK).body("[1, 2]"),
    Row::new("a malformed body", Plain, "POST /write", JSON_BY_WRITER, BODY_REFUSED).body("[1, 2"),
    Row::new("a malformed body without the scope", Plain, "POST /write", JSON_BY_READER, LACKS_WRITE).body("[1, 2"),
    Row::new("a malformed body without a credential", Plain, "POST /write", JSON_BY_STRANGER, MISSING).body("[1, 2"),
    Row::new("a body of no stated type without the scope", Plain, "POST /write", READER, LACKS_WRITE).body("[1, 2]"),
    Row::new(
        "a large body that never comes, without the scope",
        Plain,
        "POST /write",
        &[
            b"Content-Length: 10485760",
            b"Expect: 100-continue",
            b"Content-Type: application/json",
            b"Authorization: Bearer {reader}",
        ],
        LACKS_WRITE,
    ),
    Row::new("the own organization", Plain, "GET /acme", READER, OK),
    Row::new("another organization", Plain, "GET /globex", READER, NOT_FOUND),
];
