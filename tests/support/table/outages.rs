//! A store that fails, panics or hangs: 503, never 401, and nothing is cached.

use super::{
    Act, Row, Step,
    answers::{INVALID, MALFORMED, MISSING, OK, UNAVAILABLE},
};
use crate::{
    stand::Setting::{Impatient, Optional, Plain},
    store::Behaviour::{Answer, Fail, Hang, Panic, PanicAtOnce},
};

const WHOAMI: &str = "GET /whoami";
const READER: &[&[u8]] = &[b"Authorization: Bearer {reader}"];
const RECOVERED: &[Step] = &[Step::new(WHOAMI, READER, OK).after(&[Act::Store(Answer)])];

pub(super) const ROWS: &[Row] = &[
    Row::new("the store fails, then recovers", Plain, WHOAMI, READER, UNAVAILABLE)
        .after(&[Act::Store(Fail)])
        .then(RECOVERED),
    Row::new("the store fails twice", Plain, WHOAMI, READER, UNAVAILABLE)
        .after(&[Act::Store(Fail)])
        .then(&[Step::new(WHOAMI, READER, UNAVAILABLE)]),
    Row::new("the store panics, then recovers", Plain, WHOAMI, READER, UNAVAILABLE)
        .after(&[Act::Store(Panic)])
        .then(RECOVERED),
    Row::new("the store panics at once, then recovers", Plain, WHOAMI, READER, UNAVAILABLE)
        .after(&[Act::Store(PanicAtOnce)])
        .then(RECOVERED),
    Row::new("the store keeps silent", Impatient, WHOAMI, READER, UNAVAILABLE)
        .after(&[Act::Store(Hang)])
        .then(&[Step::new(WHOAMI, READER, UNAVAILABLE)]),
    Row::new(
        "the store fails for a key that it does not know",
        Plain,
        WHOAMI,
        &[b"Authorization: Bearer {unknown}"],
        UNAVAILABLE,
    )
    .after(&[Act::Store(Fail)]),
    Row::new("the store fails where a key is optional", Optional, "GET /maybe", READER, UNAVAILABLE)
        .after(&[Act::Store(Fail)]),
    Row::new("the store fails where a scope is required", Plain, "GET /read", READER, UNAVAILABLE)
        .after(&[Act::Store(Fail)]),
    Row::new("the store fails for a key in the cache", Plain, WHOAMI, READER, OK).then(&[Step::new(
        WHOAMI,
        READER,
        OK.cached(),
    )
    .after(&[Act::Store(Fail)])]),
    Row::new("the store fails for a key no longer fresh", Plain, WHOAMI, READER, OK).then(&[
        Step::new(WHOAMI, READER, UNAVAILABLE).after(&[Act::Store(Fail), Act::Wait(60)]),
        Step::new(WHOAMI, READER, OK).after(&[Act::Store(Answer)]),
    ]),
    Row::new("the store is down: what needs no store is answered as ever", Plain, WHOAMI, &[], MISSING)
        .after(&[Act::Store(Fail)])
        .then(&[
            Step::new(WHOAMI, &[b"Authorization: Bearer {mistyped}"], INVALID),
            Step::new(WHOAMI, &[b"Authorization: Bearer {of-test}"], INVALID),
            Step::new(WHOAMI, &[b"Authorization: Bearer a,b"], MALFORMED),
        ]),
];
