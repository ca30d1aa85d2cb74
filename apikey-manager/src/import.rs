//! Imports of other systems' keys, raw or hashed.

use std::fmt;

use apikey_core::{KeyDigest, KeyId, PlaintextKey, ServiceAccountId, Timestamp};
use serde_json::{Map, Value};

use crate::validate::FieldError;

/// A key to import.
///
/// ```
/// use apikey_manager::ImportKey;
///
/// let digest = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".parse()?;
/// let hashed = ImportKey::hashed("nightly-build", digest).scopes(["files:read"]);
/// let raw = ImportKey::raw("backend", "acme_live_6dNrQ3vLq0bT".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct ImportKey {
    pub(crate) secret: ImportSecret,
    pub(crate) id: Option<KeyId>,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) environment: Option<String>,
    pub(crate) service_account: Option<ServiceAccountId>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) is_disabled: bool,
}

/// The form in which the key is known.
pub(crate) enum ImportSecret {
    Raw(PlaintextKey),
    Hashed(KeyDigest),
}

impl fmt::Debug for ImportSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ImportSecret::Raw(_) => "Raw",
            ImportSecret::Hashed(_) => "Hashed",
        })
    }
}

impl ImportKey {
    /// Imports a key by its text, which must match a format that the manager accepts.
    pub fn raw(name: impl Into<String>, key: PlaintextKey) -> Self {
        ImportKey::new(name.into(), ImportSecret::Raw(key))
    }

    /// Imports a key by its digest, whose algorithm the manager's hasher must accept.
    pub fn hashed(name: impl Into<String>, digest: KeyDigest) -> Self {
        ImportKey::new(name.into(), ImportSecret::Hashed(digest))
    }

    fn new(name: String, secret: ImportSecret) -> Self {
        ImportKey {
            secret,
            id: None,
            name,
            description: String::new(),
            scopes: Vec::new(),
            environment: None,
            service_account: None,
            created_at: None,
            expires_at: None,
            metadata: Map::new(),
            is_disabled: false,
        }
    }

    /// Sets the id. The default is a new one.
    pub fn id(mut self, id: KeyId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the description.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Adds scopes and roles to the grants.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Sets the environment. The text of a raw key takes precedence.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = Some(environment.into());
        self
    }

    /// Sets the service account that owns the key. It must exist.
    pub fn service_account(mut self, account: ServiceAccountId) -> Self {
        self.service_account = Some(account);
        self
    }

    /// Sets the time of issue. The default is now.
    pub fn created_at(mut self, created_at: impl Into<Timestamp>) -> Self {
        self.created_at = Some(created_at.into());
        self
    }

    /// Sets the expiry.
    pub fn expires_at(mut self, expires_at: impl Into<Timestamp>) -> Self {
        self.expires_at = Some(expires_at.into());
        self
    }

    /// Sets the service's additional data.
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = metadata;
        self
    }

    /// Sets whether the key is disabled. [`KeyManager::enable`](crate::KeyManager::enable) enables it later. The
    /// default is `false`.
    pub fn disabled(mut self, is_disabled: bool) -> Self {
        self.is_disabled = is_disabled;
        self
    }
}

/// An invalid row of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowError {
    /// The row's number in the whole import, from 0.
    pub row: usize,
    /// The mistake. It doesn't tell who owns an existing key.
    pub error: FieldError,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {}", self.row, self.error)
    }
}

/// The progress of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportProgress {
    /// The number of rows that are in the store.
    pub done: usize,
    /// The number of those rows that an earlier run imported.
    pub skipped: usize,
}
