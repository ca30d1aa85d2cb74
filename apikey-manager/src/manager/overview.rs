//! How much keys were used, and how much of a plan.

use std::time::SystemTime;

use super::KeyManager;
use crate::{
    actor::Actor,
    error::ManageError,
    limits::Limits,
    query::{HOUR, UsageHour, UsageOf, UsageQuery},
    store::Counts,
    time,
};

/// A year of hours, and a day more.
const LONGEST_SPAN: u32 = 367 * 24;

/// How finely usage is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bucket {
    /// By the hour.
    #[default]
    Hour,
    /// By the day, in UTC.
    Day,
}

/// What was counted in a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Requests that were let in and had the scopes they needed.
    pub ok: u64,
    /// Requests that were let in and refused for a missing scope.
    pub refused: u64,
    /// Hour by hour or day by day, oldest first; those without any are left out.
    pub buckets: Vec<UsageHour>,
}

/// What a plan allows, and what is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitsInUse {
    /// What the host allows.
    pub limits: Limits,
    /// What there is.
    pub used: Counts,
}

impl KeyManager {
    /// How much was used in `from..to`, of whole hours. What this process has counted is written first.
    ///
    /// A key that was deleted still has its usage.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden); [`Invalid`](ManageError::Invalid) (`to`) unless it is later than `from`, by
    /// at most 367 days; [`Busy`](ManageError::Busy).
    pub async fn usage(
        &self,
        actor: &Actor,
        of: UsageOf,
        from: SystemTime,
        to: SystemTime,
        bucket: Bucket,
    ) -> Result<Usage, ManageError> {
        self.may_read(actor)?;
        match to.duration_since(from) {
            Ok(span) if span <= HOUR * LONGEST_SPAN && !span.is_zero() => {}
            Ok(span) if !span.is_zero() => {
                return Err(ManageError::field("to", "too_late", "at most 367 days can be asked for"));
            }
            _ => return Err(ManageError::field("to", "before_start", "must be later than from")),
        }
        self.flush_usage().await;
        let query = UsageQuery { organization: actor.organization.clone(), of, from: floor(from, Bucket::Hour), to };
        self.read(actor, async move |shared| Ok(sum(shared.store.usage(&query).await?, bucket))).await
    }

    /// What the actor's organization may have, and what it has.
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

fn floor(moment: SystemTime, bucket: Bucket) -> SystemTime {
    let length = match bucket {
        Bucket::Hour => 3_600_000,
        Bucket::Day => 86_400_000,
    };
    let millis = time::to_millis(moment);
    time::from_millis(millis - millis.rem_euclid(length))
}

fn sum(hours: Vec<UsageHour>, bucket: Bucket) -> Usage {
    let mut usage = Usage::default();
    for UsageHour { hour, ok, refused } in hours {
        usage.ok += ok;
        usage.refused += refused;
        let begins = floor(hour, bucket);
        match usage.buckets.last_mut().filter(|last| last.hour == begins) {
            Some(last) => {
                last.ok += ok;
                last.refused += refused;
            }
            None => usage.buckets.push(UsageHour { hour: begins, ok, refused }),
        }
    }
    usage
}
