//! The sweep: checks all keys every few minutes, writes an alert for everything that is due and not in its organization's
//! log yet, and prunes old data.
//!
//! A marker in the store contains the time at which keys were last swept and the node that is sweeping: `until`, or
//! `until claimed_until node` during a sweep. It is moved by compare-and-swap, so one of several nodes sweeps. A sweep
//! that fails or dies is repeated. The log has each event once, whoever writes it.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use apikey_core::{Clock, KeyId, OrganizationId, Timestamp};
use futures_util::FutureExt;
use tokio::task::JoinHandle;

use crate::{
    alerts::NewAlert,
    courier::Courier,
    events::{Due, Event, Spike, Thresholds, due, last_written_hour, usual_from},
    query::{Bucket, DAY, HOUR, Prune, UsageOf, UsageQuery},
    record::{KeyHead, KeyRecord, Status},
    store::{Change, Changes, KeyStore, StoreError},
};

/// The marker's name.
const MARKER: &str = "swept_until";
/// The name of the marker which tells processes that serve no requests whether the host has a handler of alerts.
pub(crate) const HAS_HANDLER: &str = "has_alert_handler";
const PAGE: usize = 500;
/// After so many organizations whose alerts can't be written, the rest is left to the next sweep.
const MOST_FAILURES: usize = 5;
/// The time after which an unrenewed claim of a sweep ends.
const CLAIM: Duration = Duration::from_secs(300);
/// How long it is news that a key has expired.
const EXPIRED_LATELY: Duration = DAY.saturating_mul(7);

/// How often keys are swept, which thresholds apply, and what is pruned.
#[derive(Clone, Debug)]
pub(crate) struct SweepSettings {
    pub(crate) interval: Duration,
    pub(crate) thresholds: Thresholds,
    pub(crate) retention: Retention,
}

impl Default for SweepSettings {
    fn default() -> Self {
        SweepSettings { interval: Duration::from_secs(300), thresholds: Thresholds::new(), retention: Retention::new() }
    }
}

/// How long data is kept; `None` means forever.
///
/// ```
/// use std::time::Duration;
/// use apikey_manager::Retention;
///
/// let day = Duration::from_secs(24 * 3_600);
/// let retention = Retention::new().usage(day * 730).activity(day * 7).audit(None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Retention {
    usage: Option<Duration>,
    activity: Option<Duration>,
    alerts: Option<Duration>,
    audit: Option<Duration>,
}

impl Retention {
    /// Creates the defaults: usage for 400 days, activity for 30 days, alerts for 90 days, and the audit trail forever.
    pub fn new() -> Self {
        let day = 24 * HOUR;
        Retention { usage: Some(400 * day), activity: Some(30 * day), alerts: Some(90 * day), audit: None }
    }

    /// Sets how long usage is kept. A day, in UTC, is deleted when all of it is older. Spikes need the last 7 days.
    pub fn usage(mut self, span: impl Into<Option<Duration>>) -> Self {
        self.usage = span.into();
        self
    }

    /// Sets how long activity is kept.
    pub fn activity(mut self, span: impl Into<Option<Duration>>) -> Self {
        self.activity = span.into();
        self
    }

    /// Sets how long alerts and their deliveries are kept: at least 7 days. What is due for a key that still exists stays
    /// in the log as long as the key does, so that nobody is told of it again.
    pub fn alerts(mut self, span: impl Into<Option<Duration>>) -> Self {
        self.alerts = span.into().map(|span| span.max(EXPIRED_LATELY));
        self
    }

    /// Sets how long audit events are kept.
    pub fn audit(mut self, span: impl Into<Option<Duration>>) -> Self {
        self.audit = span.into();
        self
    }

    /// Returns what is pruned at `now`.
    pub(crate) fn prune(&self, now: Timestamp) -> Prune {
        let before = |span: Option<Duration>| span.map(|span| now.saturating_sub(span));
        Prune {
            usage_before: before(self.usage),
            activity_before: before(self.activity),
            alerts_before: before(self.alerts),
            audit_before: before(self.audit),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Retention::new()
    }
}

/// Sweeps until it is shut down or dropped.
pub(crate) struct Sweep(Mutex<Option<JoinHandle<()>>>);

impl Sweep {
    /// Spawns the task that sweeps. The first sweep starts after a part of the interval, so that nodes that start
    /// together don't all query at once.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub(crate) fn start(
        store: Arc<dyn KeyStore>,
        clock: Clock,
        settings: SweepSettings,
        courier: Arc<Courier>,
    ) -> Self {
        let sweeper = Sweeper::new(store, clock, settings, courier);
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = sweeper.announce().await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(target: "apikey", error, "commands were not told whether there is a handler of alerts");
                }
                tokio::time::sleep(sweeper.pause()).await;
                let swept = AssertUnwindSafe(sweeper.sweep()).catch_unwind().await;
                match swept.unwrap_or_else(|_| Err(StoreError::unknown("the sweep panicked"))) {
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(target: "apikey", error = &error as &dyn std::error::Error, "keys were not swept");
                    }
                }
            }
        });
        Sweep(Mutex::new(Some(task)))
    }

    /// Stops the task. This or another node repeats an unfinished sweep.
    pub(crate) async fn shutdown(&self) {
        let task = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        if let Some(task) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep").finish_non_exhaustive()
    }
}

pub(super) struct Sweeper {
    store: Arc<dyn KeyStore>,
    clock: Clock,
    settings: SweepSettings,
    courier: Arc<Courier>,
    node: String,
}

/// The parsed value of the marker.
#[derive(Clone, Debug, PartialEq)]
struct Marker {
    until: Timestamp,
    claim: Option<(Timestamp, String)>,
}

impl Sweeper {
    pub(super) fn new(store: Arc<dyn KeyStore>, clock: Clock, settings: SweepSettings, courier: Arc<Courier>) -> Self {
        // The name only has to differ from other nodes'. Without randomness, two nodes that start in one millisecond
        // may sweep at the same time.
        let now = clock.wall();
        let node = KeyId::generate(now).map_or_else(|_| format!("at_{}", now.as_millis()), |id| id.to_string());
        Sweeper { store, clock, settings, courier, node }
    }

    /// Returns between half and all of the interval.
    fn pause(&self) -> Duration {
        let mut random = [0; 1];
        let jitter = getrandom::fill(&mut random).map_or(255, |()| random[0]);
        self.settings.interval.mul_f64(0.5 + f64::from(jitter) / 510.0)
    }

    /// Sweeps, unless another node is sweeping or has just done so. Returns `true` if this node swept.
    pub(super) async fn sweep(&self) -> Result<bool, StoreError> {
        let now = self.clock.wall();
        let found = self.store.marker(MARKER).await?;
        let marker = found.as_deref().and_then(Marker::parse);
        // A clock that was far ahead must not prevent all sweeps until that time.
        let marker = marker.filter(|marker| marker.until <= now + HOUR);
        let marker = marker.unwrap_or_else(|| Marker::done(Timestamp::UNIX_EPOCH));
        let is_recent = now < marker.until + self.settings.interval / 2;
        let is_claimed = marker.claim.as_ref().is_some_and(|(until, node)| *until > now && *node != self.node);
        if is_recent || is_claimed {
            return Ok(false);
        }
        let mut claim = Claim { sweeper: self, until: marker.until, written: found };
        if !claim.renew().await? {
            return Ok(false);
        }
        let written = self.write_what_is_due(&mut claim, now).await;
        if let Ok(false) = written {
            return Ok(false);
        }
        // Old data is deleted even where alerts can't be written.
        self.store.prune(&self.settings.retention.prune(now), now).await?;
        written?;
        claim.finish(now).await
    }

    /// Lets processes that serve no requests know whether the host has a handler of alerts.
    async fn announce(&self) -> Result<(), StoreError> {
        let has_handler = self.courier.outlets().host.is_some().to_string();
        let known = self.store.marker(HAS_HANDLER).await?;
        if known.as_deref().unwrap_or("false") != has_handler {
            self.store.advance_marker(HAS_HANDLER, known.as_deref(), &has_handler).await?;
        }
        Ok(())
    }

    /// Writes what is due and not in the log. Returns `false` if the claim was lost. An organization whose alerts can't be
    /// written holds up no other; its error is returned in the end.
    async fn write_what_is_due(&self, claim: &mut Claim<'_>, now: Timestamp) -> Result<bool, StoreError> {
        // Hours are compared once: in the first sweep after their counts have been written.
        let compares = last_written_hour(now).1 > claim.until;
        let mut thresholds = HashMap::new();
        let mut after = None;
        let mut failures = Vec::new();
        loop {
            let keys = self.store.scan(after.as_ref(), PAGE).await?;
            let Some(last) = keys.last() else {
                return failures.pop().map_or(Ok(true), Err);
            };
            after = Some(last.id.clone());
            self.load_thresholds(&mut thresholds, &keys).await?;
            let mut alerts = Vec::new();
            for key in &keys {
                let head = Arc::new(KeyHead::from(key));
                let thresholds = thresholds.get(&key.organization).unwrap_or(&self.settings.thresholds);
                let is_news = |due: &Due| match due {
                    Due::Expired { expired_at } => *expired_at >= now.saturating_sub(EXPIRED_LATELY),
                    _ => true,
                };
                let due = due(key, now, thresholds).into_iter().filter(is_news);
                let mut events: Vec<_> = due.map(|due| Event::of(&head, due)).collect();
                if compares {
                    let spike = self.spike(key, thresholds, now).await?;
                    events.extend(spike.map(|spike| Event::UsageSpike { key: Arc::clone(&head), spike }));
                }
                alerts.extend(events.into_iter().map(|event| {
                    let reference = event.reference();
                    let mut alert = NewAlert::new(now, event, reference);
                    alert.for_host = self.courier.outlets().host.is_some();
                    alert
                }));
            }
            self.write(alerts, &mut failures).await?;
            if failures.len() >= MOST_FAILURES {
                return failures.pop().map_or(Ok(true), Err);
            }
            if !claim.keep().await? {
                return Ok(false);
            }
        }
    }

    /// Adds the thresholds of these keys' organizations to the known ones.
    async fn load_thresholds(
        &self,
        known: &mut HashMap<OrganizationId, Thresholds>,
        keys: &[KeyRecord],
    ) -> Result<(), StoreError> {
        let of: HashSet<_> = keys.iter().map(|key| &key.organization).filter(|of| !known.contains_key(of)).collect();
        let of: Vec<_> = of.into_iter().cloned().collect();
        if of.is_empty() {
            return Ok(());
        }
        let set: HashMap<_, _> = self.store.alerts().alert_settings(&of).await?.into_iter().collect();
        for organization in of {
            let thresholds = set.get(&organization).map(|settings| settings.thresholds());
            known.insert(organization, thresholds.unwrap_or_else(|| self.settings.thresholds.clone()));
        }
        Ok(())
    }

    /// Writes those alerts that the log doesn't have, an organization's at a time.
    async fn write(&self, alerts: Vec<NewAlert>, failures: &mut Vec<StoreError>) -> Result<(), StoreError> {
        if alerts.is_empty() {
            return Ok(());
        }
        let references: Vec<_> = alerts.iter().map(|alert| alert.reference.clone()).collect();
        let known: HashSet<_> = self.store.alerts().known_alerts(&references).await?.into_iter().collect();
        let mut of: BTreeMap<OrganizationId, Vec<NewAlert>> = BTreeMap::new();
        for alert in alerts.into_iter().filter(|alert| !known.contains(&alert.reference)) {
            of.entry(alert.organization().clone()).or_default().push(alert);
        }
        for (organization, alerts) in of {
            if let Err(error) = self.write_of(&organization, alerts).await {
                let (organization, told) = (organization.as_str(), &error as &dyn std::error::Error);
                tracing::warn!(target: "apikey", organization, error = told, "alerts were not written");
                failures.push(error);
                if failures.len() >= MOST_FAILURES {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Writes an organization's alerts of keys that have not changed since they were read: what a change has settled, or
    /// the key that it has deleted, is not told of any more.
    async fn write_of(&self, organization: &OrganizationId, mut alerts: Vec<NewAlert>) -> Result<(), StoreError> {
        let mut transaction = self.store.begin(organization).await?;
        let ids: BTreeSet<_> = alerts.iter().map(|alert| alert.event.key().id.clone()).collect();
        let heads = transaction.heads(&ids.into_iter().collect::<Vec<_>>()).await?;
        let versions: HashMap<_, _> = heads.into_iter().map(|head| (head.id, head.version)).collect();
        alerts.retain(|alert| versions.get(&alert.event.key().id) == Some(&alert.event.key().version));
        if !alerts.is_empty() {
            let changes = alerts.into_iter().map(|alert| Change::Alert(Box::new(alert))).collect();
            transaction.commit(Changes { changes, ..Changes::default() }).await?;
            self.courier.wake();
        }
        Ok(())
    }

    async fn spike(
        &self,
        key: &KeyRecord,
        thresholds: &Thresholds,
        now: Timestamp,
    ) -> Result<Option<Spike>, StoreError> {
        let Some(threshold) = thresholds.spike else { return Ok(None) };
        let (hour, _) = last_written_hour(now);
        // Most keys were not used since, so their usage need not be read.
        if key.last_used_at.is_none_or(|at| at < hour) || key.status(now) == Status::Revoked {
            return Ok(None);
        }
        let query = UsageQuery {
            organization: key.organization.clone(),
            of: UsageOf::Key(key.id.clone()),
            from: usual_from(hour, key.created_at),
            to: hour + HOUR,
            bucket: Bucket::Hour,
        };
        let usage = self.store.usage(&query).await?;
        Ok(threshold.spike(hour, key.created_at, &usage))
    }
}

/// The right to sweep, as long as it is renewed.
struct Claim<'s> {
    sweeper: &'s Sweeper,
    /// The time of the last sweep before.
    until: Timestamp,
    /// The last known value of the marker.
    written: Option<String>,
}

impl Claim<'_> {
    async fn renew(&mut self) -> Result<bool, StoreError> {
        let claimed_until = self.sweeper.clock.wall() + CLAIM;
        self.write(Marker { until: self.until, claim: Some((claimed_until, self.sweeper.node.clone())) }).await
    }

    /// Renews the claim once half of it is over. Returns `false` if another node has taken it.
    async fn keep(&mut self) -> Result<bool, StoreError> {
        let claimed = self.written.as_deref().and_then(Marker::parse).and_then(|marker| marker.claim);
        let half = self.sweeper.clock.wall() + CLAIM / 2;
        match claimed {
            Some((until, _)) if until > half => Ok(true),
            _ => self.renew().await,
        }
    }

    async fn finish(mut self, now: Timestamp) -> Result<bool, StoreError> {
        self.write(Marker::done(now)).await
    }

    async fn write(&mut self, marker: Marker) -> Result<bool, StoreError> {
        let marker = marker.to_string();
        let is_written = self.sweeper.store.advance_marker(MARKER, self.written.as_deref(), &marker).await?;
        if is_written {
            self.written = Some(marker);
        }
        Ok(is_written)
    }
}

impl Marker {
    fn done(until: Timestamp) -> Self {
        Marker { until, claim: None }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let moment =
            |words: &mut std::str::Split<'_, char>| words.next()?.parse().ok().and_then(Timestamp::from_millis);
        let until = moment(&mut words)?;
        let claim = moment(&mut words).zip(words.next().map(str::to_owned));
        Some(Marker { until, claim })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.until.as_millis())?;
        match &self.claim {
            Some((until, node)) => write!(f, " {} {node}", until.as_millis()),
            None => Ok(()),
        }
    }
}
