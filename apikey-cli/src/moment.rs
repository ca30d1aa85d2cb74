//! Times on the command line: a moment, or a span before or after now.

use std::{str::FromStr, time::Duration};

use apikey_core::Timestamp;
use apikey_manager::{Expiry, Overlap};

/// A time such as `2026-01-31T12:00:00Z`, or a span such as `90d`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    At(Timestamp),
    Away(Duration),
}

impl Moment {
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::At(moment) => moment,
            Moment::Away(span) => now.saturating_sub(span),
        }
    }

    pub(crate) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::At(moment) => moment,
            Moment::Away(span) => now.saturating_add(span),
        }
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(moment) = text.parse() {
            return Ok(Moment::At(moment));
        }
        let span = humantime::parse_duration(text);
        span.map(Moment::Away).map_err(|_| "must be a time such as 2026-01-31T12:00:00Z, or a span such as 90d")
    }
}

pub(crate) fn expiry(text: &str) -> Result<Expiry, &'static str> {
    match text {
        "never" => Ok(Expiry::Never),
        _ => text.parse().map(|moment| match moment {
            Moment::At(moment) => Expiry::At(moment),
            Moment::Away(span) => Expiry::In(span),
        }),
    }
}

pub(crate) fn overlap(text: &str) -> Result<Overlap, &'static str> {
    match text {
        "none" => Ok(Overlap::None),
        "until-ended" => Ok(Overlap::UntilEnded),
        _ => humantime::parse_duration(text)
            .map(Overlap::For)
            .map_err(|_| "must be a span such as 7d, or none, or until-ended"),
    }
}
