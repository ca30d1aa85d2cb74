//! Keys that are not accepted. All get the same answer, and keys of the wrong shape never reach the store.

use super::{
    Act, Row, Step,
    answers::{INVALID, OK, REFUSED_BY_STORE},
};
use crate::{
    stand::Setting::{ExplainRefusals, ExtraHeaders, Plain},
    store::Behaviour,
};

const WHOAMI: &str = "GET /whoami";
const READER: &[&[u8]] = &[b"Authorization: Bearer {reader}"];

/// Also compared byte by byte with each other: see `requests.rs`.
pub(super) const ROWS: &[Row] = &[
    Row::new("refused: a wrong checksum", Plain, WHOAMI, &[b"Authorization: Bearer {mistyped}"], INVALID),
    Row::new("refused: another prefix", Plain, WHOAMI, &[b"Authorization: Bearer myapp_live_abcdef"], INVALID),
    Row::new("refused: half a prefix", Plain, WHOAMI, &[b"Authorization: Bearer my_live_abcdef"], INVALID),
    Row::new("refused: a prefix alone", Plain, WHOAMI, &[b"Authorization: Bearer my_app_live_"], INVALID),
    Row::new(
        "refused: an undeclared environment",
        Plain,
        WHOAMI,
        &[b"Authorization: Bearer my_app_prod_abcdef"],
        INVALID,
    ),
    Row::new("refused: another environment's key", Plain, WHOAMI, &[b"Authorization: Bearer {of-test}"], INVALID),
    Row::new(
        "refused: another environment by its record",
        Plain,
        WHOAMI,
        &[b"Authorization: Bearer {mislabelled}"],
        REFUSED_BY_STORE,
    ),
    Row::new("refused: unknown", Plain, WHOAMI, &[b"Authorization: Bearer {unknown}"], REFUSED_BY_STORE),
    Row::new("refused: not yet valid", Plain, WHOAMI, &[b"Authorization: Bearer {future}"], REFUSED_BY_STORE),
    Row::new("refused: expired", Plain, WHOAMI, &[b"Authorization: Bearer {expired}"], REFUSED_BY_STORE),
    Row::new("refused: a secret that has ended", Plain, WHOAMI, &[b"Authorization: Bearer {ended}"], REFUSED_BY_STORE),
    Row::new("refused: disabled", Plain, WHOAMI, &[b"Authorization: Bearer {disabled}"], REFUSED_BY_STORE),
    Row::new("refused: revoked", Plain, WHOAMI, &[b"Authorization: Bearer {revoked}"], REFUSED_BY_STORE),
    Row::new("refused: a record of another key", Plain, WHOAMI, READER, REFUSED_BY_STORE)
        .after(&[Act::Store(Behaviour::Mistake)]),
    Row::new("refused: again", Plain, WHOAMI, &[b"Authorization: Bearer {unknown}"], REFUSED_BY_STORE)
        .then(&[Step::new(WHOAMI, &[b"Authorization: Bearer {unknown}"], INVALID)]),
    Row::new("refused: in x-api-key", ExtraHeaders, WHOAMI, &[b"x-api-key: {unknown}"], REFUSED_BY_STORE),
    Row::new("a key in other letters", Plain, WHOAMI, &[b"Authorization: Bearer MY_APP_LIVE_abcdef"], INVALID),
    Row::new("a key, three times", Plain, WHOAMI, READER, OK)
        .then(&[Step::new(WHOAMI, READER, OK.cached()), Step::new(WHOAMI, READER, OK.cached())]),
    Row::new("a key, no longer fresh", Plain, WHOAMI, READER, OK)
        .then(&[Step::new(WHOAMI, READER, OK).after(&[Act::Wait(60)])]),
    Row::new("a key, then its like", Plain, WHOAMI, READER, OK).then(&[Step::new(
        WHOAMI,
        &[b"Authorization: Bearer {mistyped}"],
        INVALID,
    )]),
    Row::new(
        "a key not yet valid, an hour later",
        Plain,
        WHOAMI,
        &[b"Authorization: Bearer {future}"],
        REFUSED_BY_STORE,
    )
    .then(&[Step::new(WHOAMI, &[b"Authorization: Bearer {future}"], OK.says("future")).after(&[Act::Wait(3_600)])]),
    Row::new("a key revoked while cached", Plain, WHOAMI, READER, OK).then(&[Step::new(
        WHOAMI,
        READER,
        REFUSED_BY_STORE,
    )
    .after(&[Act::Revoke("reader")])]),
    Row::new(
        "told: expired",
        ExplainRefusals,
        WHOAMI,
        &[b"Authorization: Bearer {expired}"],
        REFUSED_BY_STORE.tells(EXPIRED),
    ),
    Row::new(
        "told: a secret that has ended",
        ExplainRefusals,
        WHOAMI,
        &[b"Authorization: Bearer {ended}"],
        REFUSED_BY_STORE.tells(EXPIRED),
    ),
    Row::new(
        "told: disabled",
        ExplainRefusals,
        WHOAMI,
        &[b"Authorization: Bearer {disabled}"],
        REFUSED_BY_STORE.tells(DISABLED),
    ),
    Row::new(
        "told: revoked",
        ExplainRefusals,
        WHOAMI,
        &[b"Authorization: Bearer {revoked}"],
        REFUSED_BY_STORE.tells(REVOKED),
    ),
    Row::new(
        "told: not yet valid",
        ExplainRefusals,
        WHOAMI,
        &[b"Authorization: Bearer {future}"],
        REFUSED_BY_STORE.tells(NOT_YET),
    ),
    Row::new(
        "told: another environment's key",
        ExplainRefusals,
        WHOAMI,
        &[b"Authorization: Bearer {of-test}"],
        INVALID.tells(ELSEWHERE),
    ),
    Row::new(
        "guessers are told nothing: unknown",
        ExplainRefusals,
        WHOAMI,
        &[b"Authorization: Bearer {unknown}"],
        REFUSED_BY_STORE,
    ),
    Row::new(
        "guessers are told nothing: mistyped",
        ExplainRefusals,
        WHOAMI,
        &[b"Authorization: Bearer {mistyped}"],
        INVALID,
    ),
    Row::new(
        "guessers are told nothing: nonsense",
        ExplainRefusals,
        WHOAMI,
        &[b"Authorization: Bearer nonsense"],
        INVALID,
    ),
];

const EXPIRED: &str = "The key has expired.";
const DISABLED: &str = "The key is disabled.";
const REVOKED: &str = "The key has been revoked.";
const NOT_YET: &str = "The key is not valid yet.";
const ELSEWHERE: &str = "The key belongs to another environment.";
