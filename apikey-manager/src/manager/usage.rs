//! Usage of keys, and use of a plan's limits.

use super::KeyManager;
use crate::{
    actor::Actor,
    error::ManageError,
    limits::Limits,
    query::{Bucket, UsageBucket, UsageOf, UsageQuery},
    store::Counts,
    validate::Fields,
};
use apikey_core::Timestamp;
use serde::Serialize;

/// The longest span of usage in days: a month by the hour, a year by the day, and one more for spans that begin in
/// another time zone.
const fn longest_span(bucket: Bucket) -> u32 {
    match bucket {
        Bucket::Hour => 32,
        Bucket::Day => 367,
    }
}

/// The usage in a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Accepted requests.
    pub ok: u64,
    /// Requests that lacked a scope.
    pub refused: u64,
    /// The buckets, oldest first, without empty ones. A day at the edge of the span counts the part inside the span.
    pub buckets: Vec<UsageBucket>,
}

/// The limits of a plan, and their use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitsInUse {
    /// The limits.
    pub limits: Limits,
    /// The numbers in use.
    pub used: Counts,
}

impl KeyManager {
    /// Returns the usage in `from..to`. This process's pending usage is written first.
    ///
    /// Both ends are full hours in UTC, as [`Bucket::start`] returns them, because usage is counted by the hour.
    /// Adjoining spans therefore share no request and miss none: the usage in `a..b` and in `b..c` adds up to that in
    /// `a..c`, with any buckets.
    ///
    /// Deleted keys and accounts keep their usage.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Busy`](ManageError::Busy), [`Invalid`](ManageError::Invalid) (`from`,
    /// `to`) unless both are full hours and `to` is later than `from`, by at most 32 days by the hour and 367 by the
    /// day.
    ///
    /// ```
    /// # use apikey_manager::{Actor, Bucket, KeyManager, ManageError, Usage, UsageOf};
    /// # async fn usage(keys: &KeyManager, actor: &Actor) -> Result<Usage, ManageError> {
    /// // The last 24 hours, up to the end of the current one.
    /// let to = Bucket::Hour.end(keys.now());
    /// keys.usage(actor, UsageOf::Organization, to - Bucket::Day.length(), to, Bucket::Hour).await
    /// # }
    /// ```
    pub async fn usage(
        &self,
        actor: &Actor,
        of: UsageOf,
        from: Timestamp,
        to: Timestamp,
        bucket: Bucket,
    ) -> Result<Usage, ManageError> {
        self.may_read(actor)?;
        let mut fields = Fields::default();
        if let UsageOf::Environment(environment) = &of {
            fields.wanted("environment", Some(environment));
        }
        check_span(&mut fields, from, to, bucket);
        fields.finish().map_err(ManageError::Invalid)?;
        self.flush_usage().await;
        let query = UsageQuery { organization: actor.organization.clone(), of, from, to, bucket };
        self.read(actor, async move |shared| {
            let buckets = shared.store.usage(&query).await?;
            let sum = |count: fn(&UsageBucket) -> u64| buckets.iter().map(count).fold(0, u64::saturating_add);
            Ok(Usage { ok: sum(|bucket| bucket.ok), refused: sum(|bucket| bucket.refused), buckets })
        })
        .await
    }

    /// Returns the limits of the actor's organization, and their use.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Limits`](ManageError::Limits), [`Busy`](ManageError::Busy).
    pub async fn limits(&self, actor: &Actor) -> Result<LimitsInUse, ManageError> {
        self.may_read(actor)?;
        let asked = actor.clone();
        self.read(actor, async move |shared| {
            let limits = shared.limits(&asked).await?;
            let used = shared.store.counts(&asked.organization, shared.now()).await?;
            Ok(LimitsInUse { limits, used })
        })
        .await
    }
}

fn check_span(fields: &mut Fields, from: Timestamp, to: Timestamp, bucket: Bucket) {
    for (field, moment) in [("from", from), ("to", to)] {
        if Bucket::Hour.start(moment) != moment {
            let message = "must be a full hour in UTC, such as 14:00:00Z: usage is counted by the hour";
            fields.push(field, "not_full_hour", message);
        }
    }
    let days = longest_span(bucket);
    let span = to.saturating_since(from);
    if span.is_zero() {
        fields.push("to", "before_start", "must be later than from");
    } else if span > days * Bucket::Day.length() {
        let by = if bucket == Bucket::Hour { "hour" } else { "day" };
        fields.push("to", "too_late", format!("at most {days} days can be asked for by the {by}"));
    }
}
