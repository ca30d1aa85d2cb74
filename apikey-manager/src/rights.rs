//! The rules of rights, as pure functions.
//!
//! - `keys:read` allows reading and `keys:write` changing. `keys:admin` alone allows granting `keys:…`, binding keys to service
//!   accounts, and changing keys that exceed the actor's rights.
//! - Nobody grants what their own scopes don't cover, or what outlives them. This holds for everything that yields a secret or
//!   raises rights, with or without `keys:admin`.

use apikey_core::{Scope, ScopeCatalog, ScopeError, ScopeSet, Timestamp};

use crate::{actor::Rights, error::Forbidden, record::KeyHead};

/// Allows reading keys, their usage and their history.
pub const KEYS_READ: Scope = Scope::from_static("keys:read");
/// Allows issuing and changing keys. Includes [`KEYS_READ`].
pub const KEYS_WRITE: Scope = Scope::from_static("keys:write");
/// Allows every operation on keys and service accounts. Includes [`KEYS_WRITE`].
pub const KEYS_ADMIN: Scope = Scope::from_static("keys:admin");

/// Returns the scopes of key management and their implications. A [`KeyManager`](crate::KeyManager) adds them to its
/// catalog.
///
/// # Errors
///
/// Never; the names are fixed.
pub fn management_scopes() -> Result<ScopeCatalog, ScopeError> {
    ScopeCatalog::new()
        .scope(KEYS_READ, "See API keys, their usage and their history.")
        .scope(KEYS_WRITE, "Issue, change, rotate and revoke API keys.")
        .scope(KEYS_ADMIN, "Manage every API key and service account.")
        .implies("keys:admin", ["keys:write"])?
        .implies("keys:write", ["keys:read"])
}

/// An actor's level of access to keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Requires no scope, as revoking one's own key.
    Nothing,
    Read,
    Write,
    Admin,
}

/// An actor's rights, with roles expanded.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    level: Level,
    effective: ScopeSet,
    expires_at: Option<Timestamp>,
    is_host: bool,
}

impl Standing {
    pub(crate) fn of(rights: &Rights, catalog: &ScopeCatalog) -> Self {
        let effective = catalog.expand(&rights.scopes);
        let level = if effective.covers(&KEYS_ADMIN) {
            Level::Admin
        } else if effective.covers(&KEYS_WRITE) {
            Level::Write
        } else if effective.covers(&KEYS_READ) {
            Level::Read
        } else {
            Level::Nothing
        };
        Standing { level, effective, expires_at: rights.expires_at, is_host: rights.is_host }
    }

    pub(crate) fn needs(&self, level: Level) -> Result<(), Forbidden> {
        let name = match level {
            Level::Nothing => return Ok(()),
            Level::Read => "keys:read",
            Level::Write => "keys:write",
            Level::Admin => "keys:admin",
        };
        match self.level >= level {
            true => Ok(()),
            false => Err(Forbidden::Needs(name)),
        }
    }

    pub(crate) fn needs_host(&self) -> Result<(), Forbidden> {
        match self.is_host {
            true => Ok(()),
            false => Err(Forbidden::HostOnly),
        }
    }

    /// Returns `true` if the actor may change a key with these scopes without raising its rights: its own scopes cover
    /// them, or it has `keys:admin`.
    pub(crate) fn may_touch(&self, scopes: &ScopeSet, catalog: &ScopeCatalog) -> Result<(), Forbidden> {
        self.needs(Level::Write)?;
        match self.effective.covers_grants(&catalog.expand(scopes)) {
            true => Ok(()),
            false => self.needs(Level::Admin),
        }
    }

    /// Checks whether the actor may issue such a key, or raise one to these rights.
    pub(crate) fn may_hand_out(&self, key: &KeyHead, catalog: &ScopeCatalog) -> Result<(), Forbidden> {
        self.needs(Level::Write)?;
        let handed_out = catalog.expand(&key.scopes);
        if key.service_account.is_some() || handed_out.iter().any(manages_keys) {
            self.needs(Level::Admin)?;
        }
        if let Some(beyond) = handed_out.iter().find(|grant| !covers(&self.effective, grant)) {
            return Err(Forbidden::BeyondScopes(beyond.to_owned()));
        }
        let outlives = self.expires_at.is_some_and(|own| key.expires_at.is_none_or(|expires_at| expires_at > own));
        match outlives {
            true => Err(Forbidden::BeyondExpiry),
            false => Ok(()),
        }
    }
}

fn covers(effective: &ScopeSet, grant: &str) -> bool {
    ScopeSet::from_grants([grant]).is_ok_and(|grant| effective.covers_grants(&grant))
}

/// Returns `true` if the grant covers a scope of `keys:…`.
fn manages_keys(grant: &str) -> bool {
    grant == "*" || grant.starts_with("keys:")
}
