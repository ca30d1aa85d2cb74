//! The manager: every operation on keys, each one transaction.
//!
//! An operation runs on a task of its own, to its end: a caller that hangs up leaves no change that the cache has not
//! heard of.

mod accounts;
mod bootstrap;
mod builder;
mod bulk;
mod duplicate;
mod imports;
mod issue;
mod operation;
mod organizations;
mod overview;
mod read;
mod rotate;
mod switch;
mod update;

use std::{fmt, future::Future, panic::resume_unwind, sync::Arc, time::SystemTime};

use apikey_core::{Authenticator, Clock, KeyFormat, KeyHasher, ScopeCatalog};

pub use self::{
    accounts::{AccountUpdate, NewAccount},
    builder::{BuildError, KeyManagerBuilder},
    bulk::Selection,
    issue::{Expiry, IssuedKey, NewKey},
    overview::{Bucket, LimitsInUse, Usage},
    read::PageRequest,
    rotate::Overlap,
    update::{KeyUpdate, Set},
};
use crate::{
    error::ManageError,
    limits::LimitsOf,
    store::{KeyStore, StoreError},
    time,
};

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
}

impl Shared {
    pub(crate) fn now(&self) -> SystemTime {
        time::truncated(self.clock.wall())
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

    /// Can keys be looked up and changed?
    ///
    /// # Errors
    ///
    /// What keeps the store from it.
    pub async fn readiness(&self) -> Result<(), StoreError> {
        self.0.store.check().await
    }

    /// Runs `operation` to its end, whatever becomes of the caller.
    async fn run<T, F>(&self, operation: impl FnOnce(Arc<Shared>) -> F) -> Result<T, ManageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ManageError>> + Send + 'static,
    {
        match tokio::spawn(operation(Arc::clone(&self.0))).await {
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
