//! The actor of an operation, and its rights. [`rights`](crate::rights) decides what they allow.

use crate::{fleet::Receipts, idempotency::Once};
use apikey_core::{ActorId, AuthenticatedKey, IdError, KeyDigest, KeyId, OrganizationId, ScopeSet, Timestamp};

const MAX_REQUEST_ID: usize = 128;

/// The actor of an operation: its name, organization and rights.
///
/// ```
/// use apikey_core::ScopeSet;
/// use apikey_manager::{Actor, OrganizationId, Rights};
///
/// let acme = OrganizationId::new("acme")?;
/// // The service itself, in a command or a job:
/// let host = Actor::host("cli", acme.clone())?;
/// // A user who has logged in to the service:
/// let alice = Actor::user("alice@example.com", acme, Rights::scopes(ScopeSet::parse("keys:write files:*")?))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Actor {
    pub(crate) id: ActorId,
    pub(crate) organization: OrganizationId,
    pub(crate) rights: Rights,
    /// An acting key, which is checked again inside its change.
    pub(crate) key: Option<KeyId>,
    /// The presented secret, which may end before the key does.
    pub(crate) secret: Option<KeyDigest>,
    pub(crate) request_id: Option<String>,
    pub(crate) once: Option<Once>,
    pub(crate) receipts: Option<Receipts>,
}

/// Why an [`Actor`] can't have an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActorError {
    /// The text is not an [`ActorId`].
    #[error(transparent)]
    Id(#[from] IdError),
    /// The id begins with `key:` or `host:`, which name keys and the host.
    #[error("ids that begin with key: or host: are reserved")]
    Reserved,
}

/// The rights of an [`Actor`].
#[derive(Clone, Debug)]
pub struct Rights {
    /// Its scopes. `keys:read`, `keys:write` and `keys:admin` decide what it may do with keys.
    pub(crate) scopes: ScopeSet,
    /// The time at which the rights end.
    pub(crate) expires_at: Option<Timestamp>,
    /// `true` for the host, which has every right.
    pub(crate) is_host: bool,
}

impl Rights {
    /// Creates rights from scopes, as a key has them. `keys:read`, `keys:write` and `keys:admin` decide what is
    /// allowed, and only covered scopes can be granted.
    #[must_use]
    pub fn scopes(scopes: ScopeSet) -> Self {
        Rights { scopes, expires_at: None, is_host: false }
    }

    /// Sets the time at which the rights end. Grants may not outlive them.
    #[must_use]
    pub fn until(mut self, expires_at: impl Into<Timestamp>) -> Self {
        self.expires_at = Some(expires_at.into());
        self
    }
}

impl Actor {
    /// Creates an actor for the service itself, with every right in `organization`.
    ///
    /// # Security
    ///
    /// For commands, jobs and tests. Never use it for a caller of the service.
    ///
    /// # Errors
    ///
    /// [`ActorError::Id`] when `host:` and `id` are not an [`ActorId`].
    pub fn host(id: impl AsRef<str>, organization: OrganizationId) -> Result<Self, ActorError> {
        let rights = Rights { scopes: ScopeSet::everything(), expires_at: None, is_host: true };
        Actor::user(format!("host:{}", id.as_ref()), organization, rights)
    }

    /// Creates an actor for a user whom the service has logged in.
    ///
    /// # Errors
    ///
    /// [`ActorError::Id`] when `id` is not an [`ActorId`], [`ActorError::Reserved`] when it begins with `key:` or
    /// `host:`.
    pub fn user(id: impl AsRef<str>, organization: OrganizationId, rights: Rights) -> Result<Self, ActorError> {
        let id = ActorId::new(id)?;
        let is_reserved = id.as_str().starts_with("key:") || (id.as_str().starts_with("host:") && !rights.is_host);
        match is_reserved {
            true => Err(ActorError::Reserved),
            false => Ok(Actor {
                id,
                organization,
                rights,
                key: None,
                secret: None,
                request_id: None,
                once: None,
                receipts: None,
            }),
        }
    }

    /// Creates an actor for the key of a request. Returns `None` if the key has no organization.
    ///
    /// Each change reads the key's rights again from the store. A key that has lost them, or whose presented secret has
    /// ended, changes nothing. Grants by a secret in its overlap end with that secret.
    #[must_use]
    pub fn key(key: &AuthenticatedKey) -> Option<Self> {
        let organization = key.organization()?.clone();
        let rights = Rights { scopes: key.scopes().clone(), expires_at: key.expires_at(), is_host: false };
        Some(Actor {
            id: ActorId::of_key(key.key_id()),
            organization,
            rights,
            key: Some(key.key_id().clone()),
            secret: Some(key.secret_digest()),
            request_id: None,
            once: None,
            receipts: None,
        })
    }

    /// Sets the request's id for the audit trail: the first 128 characters, with those that aren't visible ASCII
    /// replaced by `?`.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl AsRef<str>) -> Self {
        let seen = |c: char| if c.is_ascii_graphic() { c } else { '?' };
        self.request_id = Some(request_id.as_ref().chars().take(MAX_REQUEST_ID).map(seen).collect());
        self
    }

    /// Makes the actor's next change happen once, even if the request is sent again because its answer was lost.
    ///
    /// `key` is the caller's `Idempotency-Key`, `operation` names the operation, such as a request's method and path,
    /// and `input` is the request's body. If the actor has done the operation with this key and input within the last
    /// 24 hours, [`issue`], [`duplicate`], [`rotate`], [`rotate_account`] and [`revoke_selected`] fail with
    /// [`AlreadyDone`]. With another input, they fail with [`IdempotencyKeyReused`]. Other operations can be repeated
    /// safely, and ignore the key.
    ///
    /// No secret is stored for a repetition: [rotate](crate::KeyManager::rotate) the key to get one. A change that
    /// fails is not remembered. An organization's latest 10,000 changes are remembered.
    ///
    /// [`issue`]: crate::KeyManager::issue
    /// [`duplicate`]: crate::KeyManager::duplicate
    /// [`rotate`]: crate::KeyManager::rotate
    /// [`rotate_account`]: crate::KeyManager::rotate_account
    /// [`revoke_selected`]: crate::KeyManager::revoke_selected
    /// [`AlreadyDone`]: crate::ManageError::AlreadyDone
    /// [`IdempotencyKeyReused`]: crate::ManageError::IdempotencyKeyReused
    #[must_use]
    pub fn with_idempotency_key(mut self, key: &str, operation: &str, input: &[u8]) -> Self {
        self.once = Some(Once::new(&self.id, key, operation, input));
        self
    }

    /// Collects the receipts of the actor's changes: in how many processes they hold.
    #[must_use]
    pub fn with_receipts(mut self, receipts: &Receipts) -> Self {
        self.receipts = Some(receipts.clone());
        self
    }

    /// Returns the actor's id.
    #[must_use]
    pub fn id(&self) -> &ActorId {
        &self.id
    }

    /// Returns the organization in which it acts.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// Returns the granted scopes, with roles by name. For a key, these are the scopes with which it was authenticated.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.rights.scopes
    }

    /// Returns the time at which its rights end.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.rights.expires_at
    }

    /// Returns the id of the acting key, if the actor is a key.
    #[must_use]
    pub fn key_id(&self) -> Option<&KeyId> {
        self.key.as_ref()
    }
}
