//! Who asks for a change, and with which rights. What rights allow is for [`rights`](crate::rights) to say.

use apikey_core::{ActorId, AuthenticatedKey, IdError, KeyDigest, KeyId, OrganizationId, ScopeSet, Timestamp};

const MAX_REQUEST_ID: usize = 128;

/// Who asks for an operation, in which organization, with which rights.
///
/// ```
/// use apikey_core::ScopeSet;
/// use apikey_manager::{Actor, OrganizationId, Rights};
///
/// let acme = OrganizationId::new("acme")?;
/// // The service itself, at a terminal or in a job:
/// let host = Actor::host("cli", acme.clone())?;
/// // Somebody who has logged in to the service:
/// let alice = Actor::user("alice@example.com", acme, Rights::scopes(ScopeSet::parse("keys:write files:*")?))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Actor {
    pub(crate) id: ActorId,
    pub(crate) organization: OrganizationId,
    pub(crate) rights: Rights,
    /// The key that asks: looked at again inside its own change.
    pub(crate) key: Option<KeyId>,
    /// The secret it presented, which may have ended while the key lives on.
    pub(crate) secret: Option<KeyDigest>,
    pub(crate) request_id: Option<String>,
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

/// What an [`Actor`] may do and hand out.
#[derive(Clone, Debug)]
pub struct Rights {
    /// What it has itself: `keys:read`, `keys:write` and `keys:admin` among it say what it may do with keys.
    pub(crate) scopes: ScopeSet,
    /// Until when it has it.
    pub(crate) expires_at: Option<Timestamp>,
    /// The host may do what no caller may.
    pub(crate) is_host: bool,
}

impl Rights {
    /// Rights that follow from scopes, as those of a key do: `keys:read`, `keys:write` or `keys:admin` among them say
    /// what may be done, and nothing is handed out that they don't cover.
    #[must_use]
    pub fn scopes(scopes: ScopeSet) -> Self {
        Rights { scopes, expires_at: None, is_host: false }
    }

    /// The rights end at this moment, and so must whatever is handed out by them.
    #[must_use]
    pub fn until(mut self, expires_at: impl Into<Timestamp>) -> Self {
        self.expires_at = Some(expires_at.into());
        self
    }
}

impl Actor {
    /// The service itself: every right in `organization`.
    ///
    /// # Security
    ///
    /// For terminals, jobs and tests; never for a caller of the service.
    ///
    /// # Errors
    ///
    /// [`ActorError::Id`] when `host:` and `id` are not an [`ActorId`].
    pub fn host(id: impl AsRef<str>, organization: OrganizationId) -> Result<Self, ActorError> {
        let rights = Rights { scopes: ScopeSet::everything(), expires_at: None, is_host: true };
        Actor::user(format!("host:{}", id.as_ref()), organization, rights)
    }

    /// Somebody whom the service itself knows, by a login of its own.
    ///
    /// # Errors
    ///
    /// [`ActorError::Id`] when `id` is not an [`ActorId`], [`ActorError::Reserved`] when it begins with `key:` or `host:`.
    pub fn user(id: impl AsRef<str>, organization: OrganizationId, rights: Rights) -> Result<Self, ActorError> {
        let id = ActorId::new(id)?;
        let is_reserved = id.as_str().starts_with("key:") || (id.as_str().starts_with("host:") && !rights.is_host);
        match is_reserved {
            true => Err(ActorError::Reserved),
            false => Ok(Actor { id, organization, rights, key: None, secret: None, request_id: None }),
        }
    }

    /// The key of a request. `None` if it belongs to no organization.
    ///
    /// What it may do is read again from the store, inside each change: a key that lost its rights meanwhile, or whose
    /// presented secret has ended, changes nothing. What a secret in its overlap hands out ends with it.
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
        })
    }

    /// Names the request, for the audit trail. Of its id the first 128 characters are kept, and those of ASCII that can be
    /// seen; any other becomes `?`.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl AsRef<str>) -> Self {
        let seen = |c: char| if c.is_ascii_graphic() { c } else { '?' };
        self.request_id = Some(request_id.as_ref().chars().take(MAX_REQUEST_ID).map(seen).collect());
        self
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> &ActorId {
        &self.id
    }

    /// Where it acts.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// What it may do and hand out, roles by their names; a key's are those it was let in with.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.rights.scopes
    }

    /// Until when it may.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.rights.expires_at
    }

    /// The key that it is, if it is one.
    #[must_use]
    pub fn key_id(&self) -> Option<&KeyId> {
        self.key.as_ref()
    }
}
