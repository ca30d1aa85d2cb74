//! Reads a request's header lines by a second implementation of the documented rules, and compares.
//!
//! The first line of the input has settings, a letter each: `o`ptional, foreign tokens `p`ass, an additional `l`egacy
//! format, `e`nvironment live only, and `x` or `y` for one or two extra headers. Each further line is a header line:
//! `a` for `Authorization`, `0` or `1` for an extra header, and its value.

use std::{cell::RefCell, collections::HashMap};

use apikey_core::{
    Authenticator, Checksum, Claims, ForeignTokens, KeyFormat, KeyId, KeyStatus, PresentedKey, RejectionKind,
    Resolution, Timestamp,
    adapter::{Authentication, Decision, Header, HeaderLines, RequestView},
    resolver_fn,
};
use regex::bytes::Regex;

/// The keys in the store, with the ids of valid ones.
pub(crate) const KEYS: [(&str, Record); 8] = [
    ("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", Record::Good("npm")),
    ("tsk_live_kkkkkkkkkkkkkkkkkkkkkk", Record::Good("live")),
    ("tsk_test_kkkkkkkkkkkkkkkkkkkkkk", Record::Good("test")),
    ("old-key==", Record::Good("old")),
    ("tsk_live_dddddddddddddddddddddd", Record::Disabled),
    ("tsk_live_rrrrrrrrrrrrrrrrrrrrrr", Record::Revoked),
    ("tsk_live_xxxxxxxxxxxxxxxxxxxxxx", Record::Expired),
    ("tsk_live_ffffffffffffffffffffff", Record::Failing),
];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Record {
    Good(&'static str),
    Disabled,
    Revoked,
    Expired,
    Failing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Settings {
    optional: bool,
    foreign_pass: bool,
    legacy: bool,
    live_only: bool,
    extras: usize,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Key(String),
    Anonymous,
    Refused(RejectionKind),
}

#[derive(Default)]
struct Request<'a> {
    authorization: Vec<&'a [u8]>,
    extra: [Vec<&'a [u8]>; 2],
}

impl RequestView for Request<'_> {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => self.authorization.iter().copied().collect(),
            Header::Extra(n) => self.extra[n].iter().copied().collect(),
        }
    }
}

/// Panics if the authenticator and the rules disagree about `input`.
pub(crate) fn holds(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let letters = lines.next().unwrap_or_default();
    let has = |letter: u8| letters.contains(&letter);
    let settings = Settings {
        optional: has(b'o'),
        foreign_pass: has(b'p'),
        legacy: has(b'l'),
        live_only: has(b'e'),
        extras: if has(b'y') { 2 } else { usize::from(has(b'x')) },
    };
    let mut request = Request::default();
    for line in lines {
        match line.split_first() {
            Some((b'a', value)) => request.authorization.push(value),
            Some((b'0', value)) => request.extra[0].push(value),
            Some((b'1', value)) => request.extra[1].push(value),
            _ => {}
        }
    }
    let expected = by_the_rules(settings, &request);
    STAND.with_borrow_mut(|stand| {
        let Stand { runtime, authenticators } = stand;
        let authenticator = authenticators.entry(settings).or_insert_with(|| build(settings));
        // The second answer comes from the cache, if it was cached.
        for _ in 0..2 {
            let decision = match authenticator.authenticate(&request) {
                Authentication::Done(decision) => decision,
                Authentication::Loading(loading) => runtime.block_on(loading),
            };
            assert_eq!(answer(decision), expected, "{settings:?}");
        }
    });
}

/// Authenticators are reused between inputs, so that no answer may depend on earlier ones.
struct Stand {
    runtime: tokio::runtime::Runtime,
    authenticators: HashMap<Settings, Authenticator>,
}

thread_local! {
    static STAND: RefCell<Stand> = RefCell::new(Stand {
        runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
        authenticators: HashMap::new(),
    });
}

fn build(settings: Settings) -> Authenticator {
    let tsk = KeyFormat::builder("tsk").environment("live").environment("test").length(22).checksum(Checksum::None);
    let mut builder = Authenticator::builder(resolver_fn(|key| std::future::ready(look_up(&key))))
        .format(KeyFormat::builder("npm").build().unwrap())
        .format(tsk.build().unwrap())
        // So small that keys displace each other.
        .cache_capacity(2)
        .refused_capacity(2)
        .optional(settings.optional);
    if settings.foreign_pass {
        builder = builder.foreign_tokens(ForeignTokens::PassThrough);
    }
    if settings.legacy {
        builder = builder.format(KeyFormat::legacy(4..=12).unwrap());
    }
    if settings.live_only {
        builder = builder.environments(["live"]);
    }
    for name in &["x-api-key", "x-other-key"][..settings.extras] {
        builder = builder.header(name);
    }
    builder.build().unwrap()
}

fn look_up(key: &PresentedKey) -> Result<Option<Resolution>, &'static str> {
    let Some((_, record)) = KEYS.iter().find(|(known, _)| *known == key.plaintext().expose_secret()) else {
        return Ok(None);
    };
    let resolution = |claims| Resolution::new(key.digest().clone(), claims);
    let claims = |id| Claims::new(KeyId::new(id).unwrap());
    match *record {
        Record::Good(id) => Ok(Some(resolution(claims(id)))),
        Record::Disabled => Ok(Some(resolution(claims("no")).with_status(KeyStatus::Disabled))),
        Record::Revoked => Ok(Some(resolution(claims("no")).with_status(KeyStatus::Revoked))),
        Record::Expired => Ok(Some(resolution(claims("no").with_expiry(Timestamp::UNIX_EPOCH)))),
        Record::Failing => Err("the store is down"),
    }
}

fn answer(decision: Decision) -> Answer {
    match decision {
        Ok(Some(key)) => Answer::Key(key.key_id().to_string()),
        Ok(None) => Answer::Anonymous,
        Err(rejection) => {
            if rejection.kind() == RejectionKind::InvalidToken {
                let challenge =
                    r#"Bearer realm="api", error="invalid_token", error_description="The API key is not valid.""#;
                assert_eq!((rejection.status(), rejection.challenge().as_deref()), (401, Some(challenge)));
            }
            Answer::Refused(rejection.kind())
        }
    }
}

fn by_the_rules(settings: Settings, request: &Request<'_>) -> Answer {
    let malformed = Answer::Refused(RejectionKind::InvalidRequest);
    let invalid = Answer::Refused(RejectionKind::InvalidToken);
    let matches = |pattern: &str, text: &[u8]| PATTERNS.with(|patterns| patterns[pattern].is_match(text));

    let mut credentials = Vec::new();
    for line in &request.authorization {
        let bearer = PATTERNS.with(|patterns| patterns[BEARER].captures(line));
        match bearer.and_then(|captures| captures.get(1)) {
            Some(token) => credentials.push((token.as_bytes(), true)),
            None if matches(OTHER_SCHEME, line) && !matches(BEARER_ALONE, line) => {}
            None => return malformed,
        }
    }
    let extras = &request.extra[..settings.extras];
    credentials.extend(extras.iter().flatten().map(|line| (*line, false)));
    if request.authorization.len() > 1 || credentials.len() > 1 {
        return malformed;
    }
    let Some((token, from_authorization)) = credentials.pop() else {
        return match settings.optional {
            true => Answer::Anonymous,
            false => Answer::Refused(RejectionKind::MissingCredential),
        };
    };
    if !matches(TOKEN68, token) {
        return malformed;
    }
    let is_npm = matches(NPM, token) && token[34..] == digits_of_crc32(&token[4..34]);
    let is_tsk = matches(TSK, token);
    let is_legacy = settings.legacy && (4..=12).contains(&token.len());
    if !is_npm && !is_tsk && !is_legacy {
        let is_foreign = !token.starts_with(b"npm_") && !token.starts_with(b"tsk_");
        return if settings.foreign_pass && from_authorization && is_foreign { Answer::Anonymous } else { invalid };
    }
    // No record here names an environment, so the text must.
    if settings.live_only && !token.starts_with(b"tsk_live_") {
        return invalid;
    }
    match KEYS.iter().find(|(known, _)| known.as_bytes() == token) {
        Some((_, Record::Good(id))) => Answer::Key((*id).to_owned()),
        Some((_, Record::Failing)) => Answer::Refused(RejectionKind::Unavailable),
        _ => invalid,
    }
}

const BEARER: &str = r"(?s-u)^(?i:bearer) +(.*)$";
const BEARER_ALONE: &str = r"(?s-u)^(?i:bearer)(?:[^!#$%&'*+.^_`|~0-9A-Za-z-].*)?$";
const OTHER_SCHEME: &str = r"(?-u)^[!#$%&'*+.^_`|~0-9A-Za-z-]";
const TOKEN68: &str = r"(?-u)^[A-Za-z0-9._~+/-]+=*$";
const NPM: &str = r"(?-u)^npm_[0-9A-Za-z]{36}$";
const TSK: &str = r"(?-u)^tsk_(?:live|test)_[0-9A-Za-z]{22}$";

thread_local! {
    static PATTERNS: HashMap<&'static str, Regex> = [BEARER, BEARER_ALONE, OTHER_SCHEME, TOKEN68, NPM, TSK]
        .map(|pattern| (pattern, Regex::new(pattern).unwrap()))
        .into();
}

/// CRC-32/ISO-HDLC, bit by bit, in six base62 digits.
fn digits_of_crc32(bytes: &[u8]) -> [u8; 6] {
    let crc = !bytes
        .iter()
        .fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1))));
    let digits: Vec<u8> = (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z').collect();
    std::array::from_fn(|place| digits[(crc / 62_u32.pow(5 - place as u32) % 62) as usize])
}
