//! Where keys are never read: headers that the service didn't configure, queries, bodies, cookies.

use super::{
    Row, Step,
    answers::{INVALID, MALFORMED, MISSING, OK},
};
use crate::stand::Setting::{ExtraHeaders, PassThrough, Plain};

const WHOAMI: &str = "GET /whoami";

pub(super) const ROWS: &[Row] = &[
    Row::new("x-api-key without opting in", Plain, WHOAMI, &[b"x-api-key: {reader}"], MISSING),
    Row::new(
        "x-api-key beside a key, without opting in",
        Plain,
        WHOAMI,
        &[b"Authorization: Bearer {reader}", b"x-api-key: {writer}"],
        OK,
    ),
    Row::new("Proxy-Authorization", Plain, WHOAMI, &[b"Proxy-Authorization: Bearer {reader}"], MISSING),
    Row::new("a cookie", Plain, WHOAMI, &[b"Cookie: authorization=Bearer {reader}; token={reader}"], MISSING),
    Row::new("the query", Plain, "GET /whoami?access_token={reader}&api_key={reader}", &[], MISSING),
    Row::new("the query, with x-api-key opted into", ExtraHeaders, "GET /whoami?x-api-key={reader}", &[], MISSING),
    Row::new("userinfo of the target", Plain, "GET http://reader:{reader}@localhost/whoami", &[], MISSING),
    Row::new("a form", Plain, "POST /whoami", &[b"Content-Type: application/x-www-form-urlencoded"], MISSING)
        .body("access_token={reader}"),
    Row::new("a body of JSON", Plain, "POST /whoami", &[b"Content-Type: application/json"], MISSING)
        .body("[\"user_id\", \"{reader}\"]"),
    Row::new(
        "a key and another one in the query",
        Plain,
        "GET /whoami?access_token={writer}",
        &[b"Authorization: Bearer {reader}"],
        OK,
    ),
    Row::new("x-api-key", ExtraHeaders, WHOAMI, &[b"x-api-key: {reader}"], OK.private()),
    Row::new("X-API-KEY", ExtraHeaders, WHOAMI, &[b"X-API-KEY:{reader}"], OK.private()),
    Row::new("the other header", ExtraHeaders, WHOAMI, &[b"X-Access-Token: {reader}"], OK.private()),
    Row::new("white space around x-api-key", ExtraHeaders, WHOAMI, &[b"x-api-key:   {reader}\t"], OK.private()),
    Row::new(
        "Authorization, where x-api-key is possible",
        ExtraHeaders,
        WHOAMI,
        &[b"Authorization: Bearer {reader}"],
        OK,
    ),
    Row::new("x-api-key from the cache", ExtraHeaders, WHOAMI, &[b"x-api-key: {reader}"], OK.private()).then(&[
        Step::new(WHOAMI, &[b"x-api-key: {reader}"], OK.private().cached()),
        Step::new(WHOAMI, &[b"Authorization: Bearer {reader}"], OK.cached()),
    ]),
    Row::new(
        "x-api-key, where the handler sets Cache-Control",
        ExtraHeaders,
        "GET /cacheable",
        &[b"x-api-key: {reader}"],
        OK.cache_control("public, max-age=60"),
    ),
    Row::new(
        "Authorization, where the handler sets Cache-Control",
        Plain,
        "GET /cacheable",
        &[b"Authorization: Bearer {reader}"],
        OK.cache_control("public, max-age=60"),
    ),
    Row::new("x-api-key with a scheme", ExtraHeaders, WHOAMI, &[b"x-api-key: Bearer {reader}"], MALFORMED),
    Row::new("an empty x-api-key", ExtraHeaders, WHOAMI, &[b"x-api-key:"], MALFORMED),
    Row::new("a mistyped x-api-key", ExtraHeaders, WHOAMI, &[b"x-api-key: {mistyped}"], INVALID),
    Row::new("a byte above ASCII in x-api-key", ExtraHeaders, WHOAMI, &[b"x-api-key: {reader}\xe9"], MALFORMED),
    Row::new("a foreign token in x-api-key", PassThrough, WHOAMI, &[b"x-api-key: aaaa.bbbb.cccc"], INVALID),
];
