//! The manager: the operations on keys, each of them a transaction.
//!
//! An operation runs to its end on its own task, so that every committed change reaches the cache even if the caller
//! disconnects.

mod accounts;
mod alerts;
mod bootstrap;
mod builder;
mod bulk;
mod duplicate;
mod event_ids;
mod imports;
mod issue;
mod operation;
mod organizations;
mod prune;
mod read;
mod readers;
mod rotate;
mod status;
mod update;
mod usage;
mod webhooks;
mod write_queue;

use std::{fmt, future::Future, panic::resume_unwind, sync::Arc, time::Duration};

use apikey_core::{Authenticator, Clock, KeyFormat, KeyHasher, Scope, ScopeCatalog, Timestamp};
use tokio::{runtime::Handle, sync::Mutex, time::Instant};

use self::{event_ids::EventIds, readers::Readers, write_queue::WriteQueue};

pub use self::{
    accounts::{AccountUpdate, NewAccount},
    builder::{BuildError, KeyManagerBuilder},
    bulk::{BulkRevocation, BulkRevoked},
    issue::{Expiry, IssuedKey, NewKey},
    read::PageRequest,
    readers::ReadSettings,
    rotate::Overlap,
    update::{KeyUpdate, Patch},
    usage::{LimitsInUse, Usage},
    webhooks::{NewWebhook, WebhookUpdate},
};
use crate::{
    activity::ActivityLog,
    actor::Actor,
    courier::Courier,
    error::ManageError,
    events::{Due, Thresholds, due},
    fleet::Membership,
    limits::LimitsOf,
    record::KeyRecord,
    store::{KeyStore, StoreError},
    sweep::Sweep,
    usage::CountedUsage,
    writer::Writer,
};

/// The time for which a health check's result is reused.
const CHECKED_EVERY: Duration = Duration::from_secs(1);

/// Manages API keys: issues, changes, rotates, revokes and deletes them.
///
/// Clones are cheap and share everything. A service has one manager and its
/// [`authenticator`](KeyManager::authenticator) in its layer: a change takes effect there before the operation returns.
///
/// ```
/// use apikey_core::{KeyFormat, ScopeSet};
/// use apikey_manager::{Actor, KeyManager, MemoryStore, NewKey, OrganizationId, Overlap};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let format = KeyFormat::builder("acme").environment("live").build()?;
/// let keys = KeyManager::builder(MemoryStore::new()).format(format).build()?;
///
/// let host = Actor::host("setup", OrganizationId::new("acme")?)?;
/// let issued = keys.issue(&host, NewKey::new("nightly-build").scopes(["files:read"])).await?;
/// println!("shown once: {}", issued.secret().expose_secret());
///
/// let rotated = keys.rotate(&host, issued.id(), Overlap::UntilEnded).await?;
/// keys.end_overlap(&host, rotated.id()).await?;
/// keys.revoke(&host, rotated.id(), "the pipeline is gone").await?;
/// keys.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Every operation returns a [`ManageError`] if it fails. It has changed nothing then, unless the store doesn't know
/// the outcome ([`StoreError::is_unknown`]).
#[derive(Clone)]
pub struct KeyManager(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn KeyStore>,
    pub(crate) authenticator: Authenticator,
    /// The issuing format first, then the others that are accepted.
    pub(crate) format: KeyFormat,
    pub(crate) formats: Vec<KeyFormat>,
    pub(crate) hasher: KeyHasher,
    pub(crate) catalog: ScopeCatalog,
    /// `true` if scopes that the catalog doesn't know are rejected.
    pub(crate) knows_all_scopes: bool,
    pub(crate) limits: LimitsOf,
    pub(crate) clock: Clock,
    pub(crate) courier: Arc<Courier>,
    /// `true` if the process serves no requests.
    pub(crate) is_visitor: bool,
    pub(crate) thresholds: Thresholds,
    pub(crate) background: Background,
    pub(crate) membership: Membership,
    pub(crate) write_queue: WriteQueue,
    pub(crate) readers: Readers,
    /// The bounds on tests of webhooks, which may take as long as their receivers like.
    pub(crate) webhook_tests: Readers,
    pub(crate) event_ids: EventIds,
    pub(crate) checked: Arc<Mutex<Option<Checked>>>,
    /// The runtime of operations, on which the manager was built.
    pub(crate) runtime: Handle,
}

/// The time and result of the last health check.
type Checked = (Instant, Result<(), String>);

/// The background tasks, until the manager is shut down or its last clone is dropped.
pub(crate) struct Background {
    pub(crate) usage: Writer<CountedUsage>,
    pub(crate) activity: Option<ActivityLog>,
    /// A process that serves no requests doesn't sweep: it may not have the service's settings.
    pub(crate) sweep: Option<Sweep>,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.wall()
    }
}

impl KeyManager {
    /// Creates a builder for a manager of the keys in `store`.
    pub fn builder(store: impl KeyStore) -> KeyManagerBuilder {
        KeyManagerBuilder::new(Arc::new(store))
    }

    /// Returns the authenticator of these keys, for the service's layer.
    #[must_use]
    pub fn authenticator(&self) -> Authenticator {
        self.0.authenticator.clone()
    }

    /// Returns the scopes that keys can be granted, including those of key management.
    #[must_use]
    pub fn catalog(&self) -> &ScopeCatalog {
        &self.0.catalog
    }

    /// Returns the environments that keys can be issued for, the default one first.
    pub fn environments(&self) -> impl Iterator<Item = &str> {
        self.0.format.environments()
    }

    /// Returns the time of the manager's clock. Use it for a key's [`status`](crate::KeyRecord::status).
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Returns `true` if `actor` has this scope, with roles expanded. It lets services reject a request before they
    /// read its body. Every operation does its own, stricter check.
    ///
    /// ```
    /// # use apikey_core::{KeyFormat, ScopeSet};
    /// # use apikey_manager::{Actor, KEYS_READ, KeyManager, MemoryStore, OrganizationId, Rights};
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let format = KeyFormat::builder("acme").build()?;
    /// let keys = KeyManager::builder(MemoryStore::new()).format(format).build()?;
    /// let rights = Rights::scopes(ScopeSet::parse("keys:write")?);
    /// let alice = Actor::user("alice@example.com", OrganizationId::new("acme")?, rights)?;
    /// assert!(keys.has_scope(&alice, &KEYS_READ));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_scope(&self, actor: &Actor, scope: &Scope) -> bool {
        self.0.catalog.expand(&actor.rights.scopes).covers(scope)
    }

    /// Checks whether keys can be looked up and changed, and whether this process has a lease.
    ///
    /// # Errors
    ///
    /// Returns the store's error, or why there is no lease.
    ///
    /// The store's result is reused for a second, however often this is called.
    pub async fn readiness(&self) -> Result<(), StoreError> {
        self.0.membership.readiness().await?;
        let mut checked = Arc::clone(&self.0.checked).lock_owned().await;
        if let Some((_, result)) = checked.as_ref().filter(|(at, _)| at.elapsed() < CHECKED_EVERY) {
            return result.clone().map_err(StoreError::unavailable);
        }
        let store = Arc::clone(&self.0.store);
        // On a task, so that callers that go away neither cancel nor repeat it.
        let check = self.0.runtime.spawn(async move {
            let result = store.check().await.map_err(|error| error.described());
            checked.insert((Instant::now(), result)).1.clone()
        });
        check.await.map_err(StoreError::unavailable)?.map_err(StoreError::unavailable)
    }

    /// Returns what is due for a key by the manager's thresholds: that it expires soon, or should be rotated.
    #[must_use]
    pub fn due(&self, key: &KeyRecord) -> Vec<Due> {
        due(key, self.0.now(), &self.0.thresholds)
    }

    /// Returns the activity log, if activity is recorded, for uses of a key apart from requests.
    #[must_use]
    pub fn activity_log(&self) -> Option<&ActivityLog> {
        self.0.background.activity.as_ref()
    }

    /// Leaves the processes on the database, writes pending usage and activity, delivers the alerts that are due, for a few
    /// seconds, and closes the store. Call it when no request is running. The manager can't be used afterwards, and its authenticator
    /// answers 503.
    ///
    /// Usage that the store doesn't accept even then is lost and logged.
    pub async fn shutdown(&self) {
        // First, so that nobody waits for this process while it ends.
        self.0.membership.leave().await;
        let Background { usage, activity, sweep } = &self.0.background;
        if let Some(sweep) = sweep {
            sweep.shutdown().await;
        }
        usage.shutdown().await;
        if let Some(activity) = activity {
            activity.shutdown().await;
        }
        self.0.courier.shutdown().await;
        self.0.store.close().await;
    }

    /// Runs `operation` to its end, even if the caller is dropped.
    async fn run<T, F>(&self, operation: impl FnOnce(Arc<Shared>) -> F) -> Result<T, ManageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ManageError>> + Send + 'static,
    {
        match self.0.runtime.spawn(operation(Arc::clone(&self.0))).await {
            Ok(result) => result,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(ManageError::Stopped),
            },
        }
    }
}

impl fmt::Debug for KeyManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyManager")
            .field("store", &self.0.store)
            .field("authenticator", &self.0.authenticator)
            .finish_non_exhaustive()
    }
}
