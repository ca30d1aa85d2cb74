//! The manager: every operation on keys, each one transaction.
//!
//! An operation runs on a task of its own, to its end: a caller that hangs up leaves no change that the cache has not
//! heard of.

mod accounts;
mod bootstrap;
mod builder;
mod bulk;
mod duplicate;
mod event_ids;
mod imports;
mod issue;
mod operation;
mod organizations;
mod overview;
mod read;
mod readers;
mod rotate;
mod switch;
mod turns;
mod update;

use std::{fmt, future::Future, panic::resume_unwind, sync::Arc, time::Duration};

use apikey_core::{Authenticator, Clock, KeyFormat, KeyHasher, Scope, ScopeCatalog, Timestamp};
use tokio::{runtime::Handle, sync::Mutex, time::Instant};

use self::{event_ids::EventIds, readers::Readers, turns::Turns};

pub use self::{
    accounts::{AccountUpdate, NewAccount},
    builder::{BuildError, KeyManagerBuilder},
    bulk::{BulkRevocation, BulkRevoked},
    issue::{Expiry, IssuedKey, NewKey},
    overview::{LimitsInUse, Usage},
    read::PageRequest,
    readers::ReadSettings,
    rotate::Overlap,
    update::{KeyUpdate, Patch},
};
use crate::{
    activity::ActivityLog,
    actor::Actor,
    error::ManageError,
    events::{Due, Events, Sweep, Thresholds, due},
    limits::LimitsOf,
    record::KeyRecord,
    store::{KeyStore, StoreError},
    usage::CountedUsage,
    writer::Writer,
};

/// How long an answer about the store's health holds.
const CHECKED_EVERY: Duration = Duration::from_secs(1);

/// Issues keys and governs them to their end.
///
/// Cheap to clone; clones share everything. One for a service, with its [`authenticator`](KeyManager::authenticator) in
/// the service's layer: what the manager changes holds there before the operation returns.
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
/// let issued = keys.issue(&host, NewKey::new("ci-pipeline").scopes(["files:read"])).await?;
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
/// Every operation fails with a [`ManageError`] and then has changed nothing, unless the store itself does not know
/// ([`StoreError::is_unknown`]).
#[derive(Clone)]
pub struct KeyManager(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn KeyStore>,
    pub(crate) authenticator: Authenticator,
    /// The one that issues, and all that are accepted.
    pub(crate) format: KeyFormat,
    pub(crate) formats: Vec<KeyFormat>,
    pub(crate) hasher: KeyHasher,
    pub(crate) catalog: ScopeCatalog,
    /// Are scopes that the catalog doesn't know refused?
    pub(crate) knows_all_scopes: bool,
    pub(crate) limits: LimitsOf,
    pub(crate) clock: Clock,
    pub(crate) events: Events,
    pub(crate) thresholds: Thresholds,
    pub(crate) background: Background,
    pub(crate) turns: Turns,
    pub(crate) readers: Readers,
    pub(crate) event_ids: EventIds,
    pub(crate) checked: Arc<Mutex<Option<Checked>>>,
    /// Where operations run: the one that the manager was built on.
    pub(crate) runtime: Handle,
}

/// When the store was last checked, and what came of it.
type Checked = (Instant, Result<(), String>);

/// What goes on beside the requests, until the manager is shut down or its last clone is gone.
pub(crate) struct Background {
    pub(crate) usage: Writer<CountedUsage>,
    pub(crate) activity: Option<ActivityLog>,
    pub(crate) sweep: Sweep,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.wall()
    }
}

impl KeyManager {
    /// Begins to configure a manager of the keys in `store`.
    pub fn builder(store: impl KeyStore) -> KeyManagerBuilder {
        KeyManagerBuilder::new(Arc::new(store))
    }

    /// What lets the holders of these keys in: for the service's layer.
    #[must_use]
    pub fn authenticator(&self) -> Authenticator {
        self.0.authenticator.clone()
    }

    /// The scopes that keys may be given, those of key management included.
    #[must_use]
    pub fn catalog(&self) -> &ScopeCatalog {
        &self.0.catalog
    }

    /// The environments that keys can be issued for: the first one is used unless another is asked for.
    pub fn environments(&self) -> impl Iterator<Item = &str> {
        self.0.format.environments()
    }

    /// The time by the manager's clock: what a key's [`status`](crate::KeyRecord::status) is to be asked for.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Has `actor` this scope, roles expanded? For services that want to refuse before they read a body: every operation
    /// asks by itself, and more closely.
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

    /// Can keys be looked up and changed?
    ///
    /// # Errors
    ///
    /// What keeps the store from it.
    ///
    /// An answer holds for a second: however often this is asked, by whomever, the store is not.
    pub async fn readiness(&self) -> Result<(), StoreError> {
        let mut checked = Arc::clone(&self.0.checked).lock_owned().await;
        if let Some((_, result)) = checked.as_ref().filter(|(at, _)| at.elapsed() < CHECKED_EVERY) {
            return result.clone().map_err(StoreError::unavailable);
        }
        let store = Arc::clone(&self.0.store);
        // On a task: those who ask and go away at once don't break it off, nor have it done again.
        let check = self.0.runtime.spawn(async move {
            let result = store.check().await.map_err(|error| describe(&error));
            checked.insert((Instant::now(), result)).1.clone()
        });
        check.await.map_err(StoreError::unavailable)?.map_err(StoreError::unavailable)
    }

    /// What time has made of a key, by the manager's thresholds: that it expires soon, or should be rotated.
    #[must_use]
    pub fn due(&self, key: &KeyRecord) -> Vec<Due> {
        due(key, self.0.now(), &self.0.thresholds)
    }

    /// Where activity goes, if it is recorded: for what a service does with keys apart from requests.
    #[must_use]
    pub fn activity_log(&self) -> Option<&ActivityLog> {
        self.0.background.activity.as_ref()
    }

    /// Writes what was counted and recorded, waits for the host's handler of events, and closes the store. To be called
    /// once no request is under way; the manager is not to be used any more.
    ///
    /// Usage that the store doesn't take even then is lost, and that is logged.
    pub async fn shutdown(&self) {
        let Background { usage, activity, sweep } = &self.0.background;
        sweep.shutdown().await;
        usage.shutdown().await;
        if let Some(activity) = activity {
            activity.shutdown().await;
        }
        self.0.events.flush().await;
        self.0.store.close().await;
    }

    /// Runs `operation` to its end, whatever becomes of the caller.
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

/// An error and its causes, for those who are told of it later.
fn describe(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

impl fmt::Debug for KeyManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyManager")
            .field("store", &self.0.store)
            .field("authenticator", &self.0.authenticator)
            .finish_non_exhaustive()
    }
}
