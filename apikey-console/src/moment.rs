//! Moments as the API writes and reads them: RFC 3339, in UTC, to the millisecond.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use apikey_manager::time;
use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

/// The last millisecond that RFC 3339 can write.
const LAST_MILLIS: i64 = 253_402_300_799_999;

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) SystemTime);

impl Moment {
    /// Reads an RFC 3339 date and time, of any offset. `None` if it is none, or before 1970.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        let text = text.to_ascii_uppercase();
        if text.ends_with('Z') {
            return humantime::parse_rfc3339(&text).ok().map(Moment);
        }
        let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
        let (hours, minutes) = offset.get(1..)?.split_once(':')?;
        let two_digits = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() == 2 {
            true => digits.parse::<u64>().ok(),
            false => None,
        };
        let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
        if hours > 23 || minutes > 59 {
            return None;
        }
        let offset_seconds = Duration::from_secs((hours * 60 + minutes) * 60);
        let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
        let moment = match offset.as_bytes()[0] {
            b'+' => local.checked_sub(offset_seconds),
            b'-' => local.checked_add(offset_seconds),
            _ => None,
        };
        moment.filter(|moment| *moment >= UNIX_EPOCH).map(Moment)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writable = time::from_millis(time::to_millis(self.0).clamp(0, LAST_MILLIS));
        humantime::format_rfc3339_millis(writable).fmt(f)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Moment {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_times_when_read_then_they_are_written_in_utc() {
        let cases = [
            ("2026-01-02T03:04:05Z", Some("2026-01-02T03:04:05.000Z")),
            ("2026-01-02t03:04:05.678z", Some("2026-01-02T03:04:05.678Z")),
            ("2026-01-02T03:04:05+02:30", Some("2026-01-02T00:34:05.000Z")),
            ("2026-01-02T03:04:05.5-01:00", Some("2026-01-02T04:04:05.500Z")),
            ("9999-12-31T23:59:59.999Z", Some("9999-12-31T23:59:59.999Z")),
            ("9999-12-31T23:59:59-01:00", Some("9999-12-31T23:59:59.999Z")),
            ("1970-01-01T00:30:00+01:00", None),
            ("2026-01-02T03:04:05", None),
            ("2026-01-02", None),
            ("2026-01-02T03:04:05+2:30", None),
            ("2026-01-02T03:04:05+24:00", None),
            ("2026-01-02T03:04:05+-1:00", None),
            ("2026-13-02T03:04:05Z", None),
            ("1767322245", None),
            ("", None),
            ("é2026-01-02T03:04:05Z", None),
        ];
        for (text, written) in cases {
            assert_eq!(Moment::parse(text).map(|moment| moment.to_string()).as_deref(), written, "{text:?}");
        }
    }
}
