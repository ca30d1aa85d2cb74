//! Moments with millisecond precision, and their text form.

use std::{
    fmt,
    ops::{Add, AddAssign, Sub},
    str::FromStr,
    time::{Duration, SystemTime},
};

use jiff::{
    SignedDuration,
    civil::{DateTime, date},
    fmt::temporal::Pieces,
};

/// A moment: whole milliseconds since the Unix epoch, from 1970 to the end of the year 9999.
///
/// As text (and with `serde`) it is an RFC 3339 date and time. It is written in UTC and read with any offset. `{:.0}`
/// writes whole seconds.
///
/// Methods that take a moment accept a [`SystemTime`], too.
///
/// ```
/// use apikey_core::Timestamp;
///
/// let moment: Timestamp = "2030-01-01T02:00:00+02:00".parse()?;
/// assert_eq!(moment.as_millis(), 1_893_456_000_000);
/// assert_eq!(moment.to_string(), "2030-01-01T00:00:00.000Z");
/// assert_eq!(format!("{moment:.0}"), "2030-01-01T00:00:00Z");
/// # Ok::<(), apikey_core::TimestampError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The error for text that is not a [`Timestamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an RFC 3339 date and time with an offset, from 1970 to 9999, such as 2030-01-01T00:00:00Z")]
pub struct TimestampError(());

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
const DAY: SignedDuration = SignedDuration::from_hours(24);

impl Timestamp {
    /// The first moment: 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Timestamp = Timestamp(0);
    /// The last moment: 9999-12-31T23:59:59.999Z.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// Returns the system's time.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Returns the moment `millis` milliseconds after the Unix epoch, or `None` if it is not a `Timestamp`.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Option<Self> {
        if 0 <= millis && millis <= Self::MAX.0 { Some(Timestamp(millis)) } else { None }
    }

    /// Returns the milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the moment `duration` later, or `None` past [`MAX`](Timestamp::MAX). Drops fractions of a millisecond.
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration.as_millis().try_into().ok()?).and_then(Timestamp::from_millis)
    }

    /// Returns the moment `duration` later, at most [`MAX`](Timestamp::MAX).
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or(Timestamp::MAX)
    }

    /// Returns the moment `duration` earlier, at least [`UNIX_EPOCH`](Timestamp::UNIX_EPOCH).
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(millis).max(0))
    }

    /// Returns the time from `earlier` to this moment; zero if this one is earlier.
    #[must_use]
    pub fn saturating_since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

/// # Panics
///
/// Panics if the sum is past [`MAX`](Timestamp::MAX).
impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    #[expect(clippy::expect_used, reason = "like the standard library's time types")]
    fn add(self, duration: Duration) -> Timestamp {
        self.checked_add(duration).expect("a moment before the year 10000")
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// # Panics
///
/// Panics if the difference is before 1970.
impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    #[expect(clippy::expect_used, reason = "like the standard library's time types")]
    fn sub(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).ok();
        millis.and_then(|millis| Timestamp::from_millis(self.0 - millis)).expect("a moment after 1970")
    }
}

/// Drops fractions of a millisecond. Times that are too early or too late become the first or the last moment.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::UNIX_EPOCH.saturating_add(since)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(moment: Timestamp) -> Self {
        SystemTime::UNIX_EPOCH + moment.saturating_since(Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = f.precision().unwrap_or(3);
        write!(f, "{:.precision$}Z", EPOCH + SignedDuration::from_millis(self.0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        if is_rfc3339(text.as_bytes()) { read(text).ok_or(TimestampError(())) } else { Err(TimestampError(())) }
    }
}

fn read(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    // Not `jiff::Timestamp`, whose range ends a day before RFC 3339's.
    let offset = SignedDuration::from_secs(pieces.to_numeric_offset()?.seconds().into());
    let since = local.duration_since(EPOCH) - offset;
    if since.is_negative() || offset.abs() >= DAY {
        return None;
    }
    since.as_millis().try_into().ok().and_then(Timestamp::from_millis)
}

/// Returns `true` if the text has the form of RFC 3339. jiff also reads shorter and longer forms.
fn is_rfc3339(text: &[u8]) -> bool {
    let has_form = |text: &[u8], form: &[u8]| {
        text.len() == form.len()
            && text.iter().zip(form).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'+' => matches!(byte, b'+' | b'-'),
                form => byte.eq_ignore_ascii_case(form),
            })
    };
    let Some((date_time, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else { return false };
    let fraction = rest.strip_prefix(b".").map(|rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let offset = match fraction {
        Some(0) => return false,
        Some(digits) => &rest[1 + digits..],
        None => rest,
    };
    has_form(date_time, b"0000-00-00T00:00:00") && (has_form(offset, b"Z") || has_form(offset, b"+00:00"))
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "utoipa")]
impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, schema::Type};

        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

#[cfg(feature = "utoipa")]
impl utoipa::ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_offset_are_written_in_utc() {
        let cases = [
            ("2026-01-02T03:04:05Z", Some("2026-01-02T03:04:05.000Z")),
            ("2026-01-02t03:04:05.678z", Some("2026-01-02T03:04:05.678Z")),
            ("2026-01-02T03:04:05.6789Z", Some("2026-01-02T03:04:05.678Z")),
            ("2026-01-02T03:04:05+02:30", Some("2026-01-02T00:34:05.000Z")),
            ("2026-01-02T03:04:05.5-01:00", Some("2026-01-02T04:04:05.500Z")),
            ("2026-01-02T03:04:05-00:00", Some("2026-01-02T03:04:05.000Z")),
            ("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59.000Z")),
            ("9999-12-31T23:59:59.999Z", Some("9999-12-31T23:59:59.999Z")),
            ("9999-12-31T23:59:59-01:00", None),
            ("1970-01-01T01:00:00+01:00", Some("1970-01-01T00:00:00.000Z")),
            ("1970-01-01T00:30:00+01:00", None),
            ("1969-12-31T23:59:59.9999Z", None),
            ("2026-01-02T03:04:05", None),
            ("2026-01-02", None),
            ("20260102T030405Z", None),
            ("2026-01-02 03:04:05Z", None),
            ("2026-01-02T03:04Z", None),
            ("2026-01-02T03:04:05.Z", None),
            ("2026-01-02T03:04:05,5Z", None),
            ("2026-01-02T03:04:05Z[UTC]", None),
            ("2026-01-02T03:04:05+2:30", None),
            ("2026-01-02T03:04:05+02", None),
            ("2026-01-02T03:04:05+24:00", None),
            ("2026-01-02T03:04:05+-1:00", None),
            ("2026-13-02T03:04:05Z", None),
            ("2026-02-29T03:04:05Z", None),
            ("1767322245", None),
            ("", None),
            ("é2026-01-02T03:04:05Z", None),
        ];
        for (text, written) in cases {
            let read = text.parse::<Timestamp>().ok();
            assert_eq!(read.map(|moment| moment.to_string()).as_deref(), written, "{text:?}");
        }
    }

    #[test]
    fn only_the_years_1970_to_9999_are_moments() {
        let last = Timestamp::MAX.as_millis();
        for (millis, is_moment) in [(-1, false), (0, true), (last, true), (last + 1, false), (i64::MIN, false)] {
            assert_eq!(Timestamp::from_millis(millis).is_some(), is_moment, "{millis}");
        }
    }

    #[test]
    fn system_times_lose_fractions_and_saturate() {
        let at = |nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        assert_eq!(Timestamp::from(at(1_999_999)).as_millis(), 1);
        assert_eq!(SystemTime::from(Timestamp(7)), at(7_000_000));
        let second = Duration::from_secs(1);
        assert_eq!(Timestamp::from(SystemTime::UNIX_EPOCH - second), Timestamp::UNIX_EPOCH);
        assert_eq!(Timestamp::from(SystemTime::from(Timestamp::MAX) + second), Timestamp::MAX);
    }

    #[test]
    fn arithmetic_ends_where_moments_end() {
        let (second, ever) = (Duration::from_secs(1), Duration::MAX);
        assert_eq!(Timestamp::MAX.checked_add(Duration::from_millis(1)), None);
        assert_eq!(Timestamp::UNIX_EPOCH.checked_add(ever), None);
        assert_eq!(Timestamp::UNIX_EPOCH.saturating_add(ever), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.saturating_sub(ever), Timestamp::UNIX_EPOCH);
        assert_eq!((Timestamp::UNIX_EPOCH + second).saturating_since(Timestamp::UNIX_EPOCH), second);
        assert_eq!(Timestamp::UNIX_EPOCH.saturating_since(Timestamp::MAX), Duration::ZERO);
    }

    #[test]
    fn json_holds_the_text() {
        let moment = Timestamp(86_400_000);
        let json = serde_json::to_value(moment).unwrap();
        assert_eq!(json, "1970-01-02T00:00:00.000Z");
        assert_eq!(serde_json::from_value::<Timestamp>(json).unwrap(), moment);
        assert!(serde_json::from_str::<Timestamp>("\"tomorrow\"").is_err());
    }
}
