//! The limits on concurrent reads, of one organization and in total. Callers choose the cost of a read, such as a
//! search or a year of usage, and reads must not delay verification or revocation.
//!
//! A reader waits for a moment and is then rejected. A read runs to its end on a task, so that disconnecting and
//! retrying doesn't multiply the store's work.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use apikey_core::OrganizationId;
use tokio::{
    runtime::Handle,
    sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};

use super::{KeyManager, Shared};
use crate::{
    actor::Actor,
    error::{Busy, ManageError},
    store::StoreError,
};

/// The longest time that a reader waits for pending usage or activity to be written.
const PATIENCE: Duration = Duration::from_secs(1);
/// The shortest interval between such writes, for any number of readers.
const FLUSHES: Duration = Duration::from_millis(200);

/// The bounds on concurrent reads of keys, accounts, usage and the audit trail, in this process.
///
/// ```
/// use std::time::Duration;
/// use apikey_manager::ReadSettings;
///
/// let settings = ReadSettings::new().at_once(32).per_organization(2).patience(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct ReadSettings {
    at_once: usize,
    per_organization: usize,
    patience: Duration,
}

impl ReadSettings {
    /// Creates the defaults: 16 in total, 4 of one organization, and a second of waiting.
    pub fn new() -> Self {
        ReadSettings { at_once: 16, per_organization: 4, patience: Duration::from_secs(1) }
    }

    /// Sets the number of concurrent reads in total: at least one.
    pub fn at_once(mut self, readers: usize) -> Self {
        self.at_once = readers.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets the number of concurrent reads of one organization: at least one.
    pub fn per_organization(mut self, readers: usize) -> Self {
        self.per_organization = readers.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets how long a reader waits before it is rejected as [`Busy`].
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl Default for ReadSettings {
    fn default() -> Self {
        ReadSettings::new()
    }
}

#[derive(Debug)]
pub(crate) struct Readers {
    settings: ReadSettings,
    all: Arc<Semaphore>,
    organizations: Mutex<HashMap<OrganizationId, Weak<Semaphore>>>,
    usage: Flushes,
    activity: Flushes,
}

/// The permit of a read.
struct Reading {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn new(settings: ReadSettings) -> Self {
        let all = Arc::new(Semaphore::new(settings.at_once));
        let (usage, activity) = (Flushes::default(), Flushes::default());
        Readers { settings, all, organizations: Mutex::default(), usage, activity }
    }

    async fn take(&self, organization: &OrganizationId) -> Result<Reading, Busy> {
        let mut busy = Busy::Organization;
        let taken = timeout(self.settings.patience, async {
            // In this order, so that an organization occupies no more than its share of the global queue. The
            // semaphores are never closed.
            let own = self.organization(organization).acquire_owned().await.ok()?;
            busy = Busy::Service;
            let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Reading { _own: own, _all: all })
        });
        taken.await.ok().flatten().ok_or(busy)
    }

    fn organization(&self, organization: &OrganizationId) -> Arc<Semaphore> {
        let mut organizations = self.organizations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(readers) = organizations.get(organization).and_then(Weak::upgrade) {
            return readers;
        }
        // Unused entries are removed whenever the table would grow.
        if organizations.len() == organizations.capacity() {
            organizations.retain(|_, readers| readers.strong_count() > 0);
        }
        let readers = Arc::new(Semaphore::new(self.settings.per_organization));
        organizations.insert(organization.clone(), Arc::downgrade(&readers));
        readers
    }
}

impl KeyManager {
    /// Runs `read` with the actor's permit. Every read on behalf of a caller goes through this.
    pub(super) async fn read<T, F>(
        &self,
        actor: &Actor,
        read: impl FnOnce(Arc<Shared>) -> F + Send + 'static,
    ) -> Result<T, ManageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ManageError>> + Send + 'static,
    {
        self.run_within(&self.0.readers, actor, read).await
    }

    /// Runs `read` with the actor's permit of `readers`.
    pub(super) async fn run_within<T, F>(
        &self,
        readers: &Readers,
        actor: &Actor,
        read: impl FnOnce(Arc<Shared>) -> F + Send + 'static,
    ) -> Result<T, ManageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ManageError>> + Send + 'static,
    {
        let reading = readers.take(&actor.organization).await?;
        let read = self.run(async move |shared| {
            let read = read(shared).await;
            drop(reading);
            read
        });
        match read.await {
            // A read has no unknown outcome.
            Err(ManageError::Stopped) => Err(StoreError::unavailable("the runtime is shutting down").into()),
            read => read,
        }
    }

    /// Writes pending usage, if the store accepts it soon.
    pub(super) async fn flush_usage(&self) {
        let flush = |shared: Arc<Shared>| async move { shared.background.usage.flush().await };
        self.0.readers.usage.share(&self.0, flush, "usage").await;
    }

    /// Writes pending activity, if the store accepts it soon.
    pub(super) async fn flush_activity(&self) {
        let flush = |shared: Arc<Shared>| async move {
            match &shared.background.activity {
                Some(log) => log.flush().await,
                None => Ok(()),
            }
        };
        self.0.readers.activity.share(&self.0, flush, "activity").await;
    }
}

/// Writes for readers. Concurrent readers share one write.
#[derive(Debug, Default)]
struct Flushes {
    /// The number of writes begun.
    begun: AtomicU64,
    /// The start of the last write. Locked until it is over.
    last: Arc<AsyncMutex<Option<Instant>>>,
}

impl Flushes {
    async fn share<F>(&self, shared: &Arc<Shared>, flush: impl FnOnce(Arc<Shared>) -> F + Send, what: &'static str)
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let begun = self.begun.load(Ordering::Acquire);
        let flushed = timeout(PATIENCE, async {
            let mut last = Arc::clone(&self.last).lock_owned().await;
            // A write that began and ended since then has written what this reader wants.
            if self.begun.load(Ordering::Acquire) > begun {
                return true;
            }
            if let Some(last) = *last {
                sleep_until(last + FLUSHES).await;
            }
            *last = Some(Instant::now());
            self.begun.fetch_add(1, Ordering::AcqRel);
            let flush = flush(Arc::clone(shared));
            let runtime: &Handle = &shared.runtime;
            // On a task, so that a reader that goes away doesn't cancel the write.
            let flushed = runtime.spawn(async move {
                let flushed = flush.await;
                drop(last);
                flushed.is_ok()
            });
            flushed.await.unwrap_or(false)
        });
        if !flushed.await.unwrap_or(false) {
            tracing::debug!(target: "apikey", what, "reads don't include pending data");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{ops::Range, pin::Pin};

    use apikey_core::{
        KeyFormat, KeyId, Timestamp,
        adapter::{Authentication, Header, HeaderLines, RequestView},
    };
    use futures_util::future::join_all;

    use super::*;
    use crate::{
        ActivitySettings, AuditFilter, Bucket, IssuedKey, KeyFilter, NewAccount, NewKey, PageRequest, ServiceAccountId,
        UsageOf, UsageSettings, test_store::TestStore,
    };

    const HOUR: Duration = Duration::from_secs(3_600);

    struct Service {
        keys: KeyManager,
        store: TestStore,
        key: IssuedKey,
        account: ServiceAccountId,
    }

    fn host(organization: &str) -> Actor {
        Actor::host("test", OrganizationId::new(organization).unwrap()).unwrap()
    }

    /// Returns the hour of a moment and the one before it.
    fn around(now: Timestamp) -> Range<Timestamp> {
        let hour = Bucket::Hour.start(now);
        hour - HOUR..hour + HOUR
    }

    impl Service {
        async fn new(settings: ReadSettings) -> Self {
            let store = TestStore::default();
            let keys = KeyManager::builder(store.clone())
                .format(KeyFormat::builder("t").build().unwrap())
                .activity(ActivitySettings::new().interval(HOUR))
                .usage(UsageSettings::new().interval(HOUR))
                .reads(settings)
                .build()
                .unwrap();
            let key = keys.issue(&host("acme"), NewKey::new("k")).await.unwrap();
            let account = keys.create_account(&host("acme"), NewAccount::new("a")).await.unwrap().id;
            Service { keys, store, key, account }
        }

        /// Returns every read operation, by name.
        fn reads(&self, organization: &str) -> Vec<(&'static str, Read)> {
            let (keys, host, id) = (&self.keys, host(organization), self.key.id());
            let span = around(keys.now());
            macro_rules! read {
                ($name:literal, |$keys:ident, $host:ident, $id:ident, $account:ident, $span:ident| $read:expr) => {{
                    let ($keys, $host, $id) = (keys.clone(), host.clone(), id.clone());
                    let ($account, $span) = (self.account.clone(), span.clone());
                    let _ = (&$id, &$account, &$span);
                    let read: Read = Box::pin(async move {
                        let read = timeout(HOUR, $read).await;
                        read.unwrap_or_else(|_| panic!("{}: the store is asked, and doesn't answer", $name)).map(drop)
                    });
                    ($name, read)
                }};
            }
            let page = PageRequest::first();
            vec![
                read!("get", |k, host, id, _a, _s| k.get(&host, &id)),
                read!("list", |k, host, _i, _a, _s| k.list(&host, KeyFilter::default(), PageRequest::first())),
                read!("search", |k, host, _i, _a, _s| k.list(&host, searched(), PageRequest::first())),
                read!("account", |k, host, _i, account, _s| k.account(&host, &account)),
                read!("accounts", |k, host, _i, _a, _s| k.accounts(&host, PageRequest::first())),
                read!("audit", |k, host, _i, _a, _s| k.audit(&host, AuditFilter::default(), PageRequest::first())),
                read!("activity", |k, host, id, _a, span| k.activity(&host, &id, span, page)),
                read!("usage", |k, host, _i, _a, span| k.usage(
                    &host,
                    UsageOf::Organization,
                    span.start,
                    span.end,
                    Bucket::Hour
                )),
                read!("limits", |k, host, _i, _a, _s| k.limits(&host)),
            ]
        }

        async fn is_let_in(&self, key: &IssuedKey) -> bool {
            struct Bearer(String);
            impl RequestView for Bearer {
                fn lines(&self, header: Header) -> HeaderLines<'_> {
                    (header == Header::Authorization).then_some(self.0.as_bytes()).into_iter().collect()
                }
            }
            let request = Bearer(format!("Bearer {}", key.secret().expose_secret()));
            match self.keys.authenticator().authenticate(&request) {
                Authentication::Done(decision) => decision.is_ok(),
                Authentication::Loading(loading) => loading.await.is_ok(),
            }
        }

        /// Starts this many reads that are never answered.
        async fn occupy(&self, organization: &str, readers: usize) -> Vec<tokio::task::JoinHandle<()>> {
            let before = self.keys.0.readers.all.available_permits();
            let read = |_| {
                let (keys, host, id) = (self.keys.clone(), host(organization), KeyId::new("unknown").unwrap());
                tokio::spawn(async move { drop(keys.get(&host, &id).await.unwrap_err()) })
            };
            let reading = (0..readers).map(read).collect();
            for _ in 0..1_000 {
                if self.keys.0.readers.all.available_permits() == before - readers {
                    return reading;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            panic!("readers that take no turn");
        }
    }

    type Read = Pin<Box<dyn Future<Output = Result<(), ManageError>> + Send>>;

    fn searched() -> KeyFilter {
        KeyFilter { text: Some("k".to_owned()), ..KeyFilter::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn given_as_many_readers_as_may_be_when_more_read_then_each_is_refused_and_nothing_else_is() {
        let service = Service::new(ReadSettings::new().at_once(3).per_organization(2)).await;
        let closed = Arc::clone(&service.store.gate).write_owned().await;
        let mut reading = service.occupy("acme", 2).await;
        for (name, read) in service.reads("acme") {
            assert!(matches!(read.await, Err(ManageError::Busy(Busy::Organization))), "{name}");
        }
        reading.extend(service.occupy("other", 1).await);
        for (name, read) in service.reads("other") {
            assert!(matches!(read.await, Err(ManageError::Busy(Busy::Service))), "{name}");
        }
        // Other operations continue, even with a key that is not cached.
        let key = service.keys.issue(&host("acme"), NewKey::new("cold")).await.unwrap();
        assert!(service.is_let_in(&key).await);
        service.keys.readiness().await.unwrap();
        drop(closed);
        for reading in reading {
            reading.await.unwrap();
        }
        for (name, read) in service.reads("acme") {
            assert!(read.await.is_ok(), "{name}");
        }
        service.keys.revoke(&host("acme"), key.id(), "").await.unwrap();
        assert!(!service.is_let_in(&key).await);
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_turn_that_comes_soon_when_waited_for_then_the_reader_reads() {
        let service = Service::new(ReadSettings::new().at_once(1).per_organization(1)).await;
        let closed = Arc::clone(&service.store.gate).write_owned().await;
        let reading = service.occupy("acme", 1).await;
        let waiting = join_all(service.reads("acme").into_iter().map(|(_, read)| read));
        let opening = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(closed);
        };
        let (read, ()) = tokio::join!(waiting, opening);
        assert!(read.iter().all(Result::is_ok), "{read:?}");
        drop(reading);
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_reader_who_hangs_up_when_the_store_is_still_at_it_then_the_turn_is_not_another_s() {
        let service = Service::new(ReadSettings::new().at_once(1)).await;
        let closed = Arc::clone(&service.store.gate).write_owned().await;
        for reading in service.occupy("acme", 1).await {
            reading.abort();
            assert!(reading.await.unwrap_err().is_cancelled());
        }
        let unknown = KeyId::new("unknown").unwrap();
        let refused = service.keys.get(&host("acme"), &unknown).await;
        assert!(matches!(refused, Err(ManageError::Busy(Busy::Service))), "{refused:?}");
        drop(closed);
        assert!(matches!(service.keys.get(&host("acme"), &unknown).await, Err(ManageError::NotFound(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn given_usage_between_readers_when_each_asks_then_all_of_it_is_told_and_few_writes_are_made() {
        let service = Service::new(ReadSettings::new()).await;
        let mut told = 0;
        let start = Instant::now();
        for round in 1..=10 {
            assert!(service.is_let_in(&service.key).await);
            let ask = async || {
                let (host, span) = (host("acme"), around(service.keys.now()));
                let usage = service.keys.usage(&host, UsageOf::Organization, span.start, span.end, Bucket::Hour);
                usage.await.unwrap().ok
            };
            let answers = join_all((0..4).map(|_| ask())).await;
            assert_eq!(answers, [round; 4]);
            told += answers.len();
        }
        assert_eq!(told, 40);
        assert!(service.store.batch_ids().len() <= 10);
        assert!(start.elapsed() >= 9 * FLUSHES, "written again and again at once");
    }

    #[tokio::test(start_paused = true)]
    async fn given_many_who_ask_for_health_and_hang_up_then_the_store_is_asked_once_a_second() {
        let service = Service::new(ReadSettings::new()).await;
        let checks = || service.store.checks.load(Ordering::Relaxed);
        for _ in 0..100 {
            let mut asking = Box::pin(service.keys.readiness());
            let hung_up = std::future::poll_fn(|cx| std::task::Poll::Ready(asking.as_mut().poll(cx))).await;
            drop(hung_up);
            drop(asking);
        }
        service.keys.readiness().await.unwrap();
        assert_eq!(checks(), 1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        service.keys.readiness().await.unwrap();
        assert_eq!(checks(), 2);
    }
}
