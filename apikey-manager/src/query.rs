//! Queries: filters, pages and spans of time.

use std::{cmp::Ordering, fmt, str::FromStr, time::Duration};

use apikey_core::{ActorId, KeyDigest, KeyId, OrganizationId, ScopeSet, ServiceAccountId, Timestamp};
use serde::Serialize;

use crate::{
    audit::Action,
    names::names,
    record::{KeyRecord, Status},
};

/// The largest page.
pub const MAX_PAGE: usize = 200;

/// A page of a list, with the place of the next one.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The place of the next page, or `None` on the last one.
    pub next: Option<Cursor>,
}

/// A place in a list: after the row with this time and id. Callers get it as text, and must use it with the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The time of the last row, in the order of the list.
    pub at: Timestamp,
    /// The id of the last row.
    pub id: String,
}

/// The error for a text that is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor from a page")]
pub struct CursorError(pub(crate) ());

impl Cursor {
    /// Returns `true` if the cursor can be written as text and parsed again.
    pub(crate) fn is_written(&self) -> bool {
        KeyId::new(&self.id).is_ok()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.as_millis(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (millis, id) = text.split_once('.').ok_or(CursorError(()))?;
        let at = millis.parse::<i64>().ok().and_then(Timestamp::from_millis).ok_or(CursorError(()))?;
        match KeyId::new(id) {
            Ok(_) => Ok(Cursor { at, id: id.to_owned() }),
            Err(_) => Err(CursorError(())),
        }
    }
}

/// A filter of keys. A key must match everything that is set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct KeyFilter {
    /// Only keys of this status.
    pub status: Option<Status>,
    /// Only keys of this environment.
    pub environment: Option<String>,
    /// Only keys of this service account.
    pub service_account: Option<ServiceAccountId>,
    /// Only keys issued by this actor.
    pub created_by: Option<ActorId>,
    /// Only keys issued by this key.
    pub created_by_key: Option<KeyId>,
    /// Only keys with this text in their name, description or hint, or with this id. Only ASCII letters are
    /// case-insensitive (`é` doesn't match `É`), and nothing is normalized (`fi` doesn't match `ﬁ`), in any store.
    pub text: Option<String>,
    /// Only keys that were used, but not since this time. Usage is written in batches, so that a use may take
    /// [`UsageSettings::interval`](crate::UsageSettings::interval) to appear.
    pub last_used_before: Option<Timestamp>,
    /// `true` for keys that were never used, `false` for keys that were. A first use appears with the delay of
    /// [`last_used_before`](KeyFilter::last_used_before).
    pub unused: Option<bool>,
    /// Only keys that expire before this time, or have expired.
    pub expires_before: Option<Timestamp>,
    /// Only keys whose newest secret is at least this old.
    pub rotation_due: Option<Duration>,
    /// Only keys down to this place in the list, inclusive. Searches without an index read a list in parts.
    pub down_to: Option<Cursor>,
}

impl KeyFilter {
    /// Creates a filter for keys with this text; see [`text`](KeyFilter::text).
    #[must_use]
    pub fn containing(text: impl Into<String>) -> Self {
        KeyFilter { text: Some(text.into()), ..KeyFilter::default() }
    }

    /// Returns `true` if finding the matching keys requires reading others.
    pub(crate) fn is_search(&self) -> bool {
        self.text.is_some()
            || self.status == Some(Status::Rotating)
            || self.last_used_before.is_some()
            || self.unused.is_some()
            || self.expires_before.is_some()
            || self.rotation_due.is_some()
    }

    /// Returns `true` if `key` matches: the specification of the filter for every store.
    #[must_use]
    pub fn matches(&self, key: &KeyRecord, now: Timestamp) -> bool {
        let has = |text: &String| {
            let wanted = text.to_ascii_lowercase();
            let within = |field: &str| field.to_ascii_lowercase().contains(&wanted);
            within(&key.name) || within(&key.description) || within(&key.hint) || key.id.as_str() == text
        };
        self.status.is_none_or(|status| key.status(now) == status)
            && self.environment.as_ref().is_none_or(|wanted| key.environment.as_ref() == Some(wanted))
            && self.service_account.as_ref().is_none_or(|wanted| key.service_account.as_ref() == Some(wanted))
            && self.created_by.as_ref().is_none_or(|wanted| key.created_by == *wanted)
            && self.created_by_key.as_ref().is_none_or(|wanted| key.created_by_key.as_ref() == Some(wanted))
            && self.text.as_ref().is_none_or(has)
            && self.last_used_before.is_none_or(|before| key.last_used_at.is_some_and(|used| used < before))
            && self.unused.is_none_or(|unused| key.last_used_at.is_none() == unused)
            && self.expires_before.is_none_or(|before| key.expires_at.is_some_and(|expires_at| expires_at < before))
            && self.rotation_due.is_none_or(|age| {
                key.secrets.first().is_some_and(|newest| newest.created_at <= now.saturating_sub(age))
            })
            && self.down_to.as_ref().is_none_or(|last| {
                !last.id.contains('\0') && (key.created_at, key.id.as_str()) >= (last.at, last.id.as_str())
            })
    }
}

/// The order of a list of keys. Ties are broken by id, so that every key has its own place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeySort {
    /// Newest first, then greatest id first.
    #[default]
    Created,
    /// Soonest expiry first, then smallest id first. Keys without an expiry come last, as if they expired at
    /// [`Timestamp::MAX`].
    Expiry,
    /// Longest unused first, then smallest id first. Keys that were never used come before all others, as if they had
    /// been used at [`Timestamp::UNIX_EPOCH`].
    LastUse,
}

impl KeySort {
    /// Returns the place of a key in a list of this order.
    #[must_use]
    pub fn place(self, key: &KeyRecord) -> Cursor {
        let at = match self {
            KeySort::Created => key.created_at,
            KeySort::Expiry => key.expires_at.unwrap_or(Timestamp::MAX),
            KeySort::LastUse => key.last_used_at.unwrap_or(Timestamp::UNIX_EPOCH),
        };
        Cursor { at, id: key.id.to_string() }
    }

    /// Returns the order of two places in a list of this order.
    #[must_use]
    pub fn compare(self, a: &Cursor, b: &Cursor) -> Ordering {
        let order = (a.at, a.id.as_str()).cmp(&(b.at, b.id.as_str()));
        if self == KeySort::Created { order.reverse() } else { order }
    }
}

/// A query for a page of keys.
#[derive(Clone, Debug)]
pub struct KeyQuery {
    /// The organization.
    pub organization: OrganizationId,
    /// The filter.
    pub filter: KeyFilter,
    /// The order.
    pub sort: KeySort,
    /// The time at which a status applies.
    pub now: Timestamp,
    /// Only rows after this one.
    pub after: Option<Cursor>,
    /// The largest number of rows.
    pub limit: usize,
}

/// A query for a page of service accounts, newest first.
#[derive(Clone, Debug)]
pub struct AccountQuery {
    /// The organization.
    pub organization: OrganizationId,
    /// Only rows after this one.
    pub after: Option<Cursor>,
    /// The largest number of rows.
    pub limit: usize,
}

/// A filter of audit events.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AuditFilter {
    /// Only actions of this actor.
    pub actor: Option<ActorId>,
    /// Only this action.
    pub action: Option<Action>,
    /// Only this key, account or organization.
    pub target: Option<String>,
    /// Only at this time or later.
    pub from: Option<Timestamp>,
    /// Only before this time.
    pub to: Option<Timestamp>,
}

/// A query for a page of audit events, newest first (by `at`, then id, both descending).
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// The organization.
    pub organization: OrganizationId,
    /// The filter.
    pub filter: AuditFilter,
    /// Only rows after this one.
    pub after: Option<Cursor>,
    /// The largest number of rows.
    pub limit: usize,
}

/// The subject of usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageOf {
    /// A key, deleted or not.
    Key(KeyId),
    /// A service account.
    Account(ServiceAccountId),
    /// An environment.
    Environment(String),
    /// The whole organization.
    Organization,
}

/// The size of usage buckets, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bucket {
    /// By the hour.
    #[default]
    Hour,
    /// By the day.
    Day,
}

names!(Bucket, "a bucket");

impl Bucket {
    /// Every bucket.
    pub const ALL: [Bucket; 2] = [Bucket::Hour, Bucket::Day];

    /// Returns its name: `hour` or `day`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Bucket::Hour => "hour",
            Bucket::Day => "day",
        }
    }

    /// Returns the length.
    #[must_use]
    pub const fn length(self) -> Duration {
        match self {
            Bucket::Hour => HOUR,
            Bucket::Day => Duration::from_secs(24 * 3_600),
        }
    }

    /// Returns the span that is read where none is asked for: a day by the hour, 30 days by the day.
    #[must_use]
    pub const fn usual_span(self) -> Duration {
        match self {
            Bucket::Hour => Bucket::Day.length(),
            Bucket::Day => Duration::from_secs(30 * 24 * 3_600),
        }
    }

    /// Returns the beginning of the bucket that contains `moment`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use apikey_core::Timestamp;
    /// use apikey_manager::Bucket;
    ///
    /// let half_past_two = Timestamp::UNIX_EPOCH + Duration::from_secs(2 * 3_600 + 1_800);
    /// assert_eq!(Bucket::Hour.start(half_past_two), Timestamp::UNIX_EPOCH + Duration::from_secs(2 * 3_600));
    /// assert_eq!(Bucket::Day.start(half_past_two), Timestamp::UNIX_EPOCH);
    /// ```
    #[must_use]
    pub fn start(self, moment: Timestamp) -> Timestamp {
        let since = moment.saturating_since(Timestamp::UNIX_EPOCH).as_millis() % self.length().as_millis();
        moment.saturating_sub(Duration::from_millis(since as u64))
    }

    /// Returns the end of the bucket that contains `moment`, which is the beginning of the next.
    #[must_use]
    pub fn end(self, moment: Timestamp) -> Timestamp {
        self.start(moment).saturating_add(self.length())
    }
}

/// A query for the usage in a span of time, by bucket, oldest first, without empty buckets.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    /// The organization.
    pub organization: OrganizationId,
    /// The subject.
    pub of: UsageOf,
    /// The beginning. A day that begins earlier counts from here.
    pub from: Timestamp,
    /// The end. A day that ends later counts up to here.
    pub to: Timestamp,
    /// The bucket size.
    pub bucket: Bucket,
}

/// The keys that a bulk revocation begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// This key.
    Key(KeyId),
    /// The keys that this actor issued.
    CreatedBy(ActorId),
    /// The keys of this service account.
    ServiceAccount(ServiceAccountId),
    /// The keys of this environment.
    Environment(String),
    /// All keys, the actor's own included.
    Everything,
}

/// A query for the keys that a bulk revocation would end, without those that are revoked already.
#[derive(Clone, Debug)]
pub struct ReachQuery {
    /// The organization.
    pub organization: OrganizationId,
    /// The keys it begins with.
    pub selection: Selection,
    /// `true` to follow [`Lineage`](crate::Lineage) from those keys, and from the actor of [`Selection::CreatedBy`], to
    /// the keys that they issued and the secrets that they made, recursively.
    pub descendants: bool,
    /// `true` to leave out the keys of service accounts, with all that they made.
    pub keep_accounts: bool,
    /// The time at which secrets are valid.
    pub now: Timestamp,
    /// The key to end last. A caller that revokes itself needs its key until the rest is done.
    pub last: Option<KeyId>,
    /// Only targets after this key.
    pub after: Option<KeyId>,
    /// The largest number of targets.
    pub limit: usize,
}

/// The extent of a bulk revocation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reach {
    /// `true` if the selection names a key in any state, or anything in the lineage.
    pub is_known: bool,
    /// The sets of scopes among the remaining keys, with the number of keys of each.
    pub scopes: Vec<(ScopeSet, u64)>,
    /// The first of the targets, by the ids of their keys.
    pub targets: Vec<Target>,
    /// Keys that stay valid and whose rights were widened by a reached key, at most [`MAX_PAGE`], by id.
    pub widened: Vec<KeyId>,
}

/// A key or secret that a bulk revocation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The key.
    pub key: KeyId,
    /// One of its secrets, or `None` for the whole key.
    pub secret: Option<KeyDigest>,
}

/// The usage of an hour or a day, or of the requested part of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UsageBucket {
    /// The beginning of the hour or day, in UTC.
    pub start: Timestamp,
    /// Accepted requests.
    pub ok: u64,
    /// Requests that were refused for a missing scope.
    pub refused: u64,
}

/// The usage of one key in one hour, with the owner of the key at that time.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRow {
    /// The key.
    pub key: KeyId,
    /// The organization that owned the key.
    pub organization: OrganizationId,
    /// The service account that owned it, if any.
    pub service_account: Option<ServiceAccountId>,
    /// The environment of the key.
    pub environment: Option<String>,
    /// The hour's beginning.
    pub hour: Timestamp,
    /// Accepted requests.
    pub ok: u64,
    /// Requests that were refused for a missing scope.
    pub refused: u64,
    /// The last use of each secret.
    pub last_used: Vec<(KeyDigest, Timestamp)>,
}

/// A batch of usage. A batch with a known id changes nothing.
#[derive(Clone, Debug)]
pub struct UsageBatch {
    /// The unique id, which stores remember for at least a day.
    pub id: String,
    /// The time of creation.
    pub at: Timestamp,
    /// The rows, sorted by key and hour, so that concurrent batches lock rows in one order.
    pub rows: Vec<UsageRow>,
}

/// One request of a key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Activity {
    /// The organization that owns the key.
    pub organization: OrganizationId,
    /// The key.
    pub key: KeyId,
    /// The time of arrival.
    pub at: Timestamp,
    /// The method.
    pub method: String,
    /// The template of the route, such as `/files/{name}`, or the path if the service describes its requests by paths.
    pub route: Option<String>,
    /// The status of the response.
    pub status: u16,
    /// The client's address.
    pub address: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
}

impl Activity {
    /// Creates the activity of one request without further details.
    #[must_use]
    pub fn new(
        organization: OrganizationId,
        key: KeyId,
        at: Timestamp,
        method: impl Into<String>,
        status: u16,
    ) -> Self {
        Activity { organization, key, at, method: method.into(), route: None, status, address: None, user_agent: None }
    }
}

/// A query for a page of a key's activity, newest first.
#[derive(Clone, Debug)]
pub struct ActivityQuery {
    /// The organization.
    pub organization: OrganizationId,
    /// The key.
    pub key: KeyId,
    /// Only at this time or later.
    pub from: Timestamp,
    /// Only before this time.
    pub to: Timestamp,
    /// Only rows after this one.
    pub after: Option<Cursor>,
    /// The largest number of rows.
    pub limit: usize,
}

/// The ages at which rows are deleted. Audit events are deleted in no other way.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Prune {
    /// Deletes the usage of days, in UTC, that ended before this time. Whole days are deleted, so that hours and days
    /// add up.
    pub usage_before: Option<Timestamp>,
    /// Deletes activity from before this time.
    pub activity_before: Option<Timestamp>,
    /// Deletes alerts from before this time with their deliveries, except [those](crate::Event::is_lasting) that would be
    /// written again as long as the key exists.
    pub alerts_before: Option<Timestamp>,
    /// Deletes audit events from before this time.
    pub audit_before: Option<Timestamp>,
}

/// The numbers of deleted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows of usage, each of one key and hour.
    pub usage: u64,
    /// Requests.
    pub activity: u64,
    /// Alerts.
    pub alerts: u64,
    /// Audit events.
    pub audit: u64,
}

/// The default length of a page.
pub(crate) const DEFAULT_PAGE: usize = 50;

/// An hour.
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3_600);
