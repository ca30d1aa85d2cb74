//! Who asks for a change, and with which rights. What rights allow is for [`rights`](crate::rights) to say.

use std::{fmt, str::FromStr, sync::Arc};

use apikey_core::{AuthenticatedKey, KeyDigest, KeyId, ScopeSet, Timestamp};

use crate::{
    organization::{IdError, OrganizationId},
    validate,
};

const MAX_REQUEST_ID: usize = 128;

/// Who did something, as the audit trail names them: `key:…` for a key, and whatever the host says for others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(Arc<str>);

impl ActorId {
    /// Checks and takes an id: 1–128 characters that can be seen, as in [`text_pattern`](crate::text_pattern).
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn new(id: impl AsRef<str>) -> Result<Self, IdError> {
        match validate::is_foreign_id(id.as_ref()) {
            true => Ok(ActorId(id.as_ref().into())),
            false => Err(IdError(())),
        }
    }

    /// How the audit trail names a key.
    #[must_use]
    pub fn of_key(key: &KeyId) -> Self {
        ActorId(format!("key:{key}").into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ActorId {
    type Err = IdError;

    fn from_str(id: &str) -> Result<Self, IdError> {
        ActorId::new(id)
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorId({})", self.0)
    }
}

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
    /// When `id` is no [`ActorId`].
    pub fn host(id: impl AsRef<str>, organization: OrganizationId) -> Result<Self, IdError> {
        let everything = ScopeSet::parse("*").map_err(|_| IdError(()))?;
        let rights = Rights { scopes: everything, expires_at: None, is_host: true };
        Actor::user(format!("host:{}", id.as_ref()), organization, rights)
    }

    /// Somebody whom the service itself knows, by a login of its own.
    ///
    /// # Errors
    ///
    /// When `id` is no [`ActorId`], or could be taken for a key's or the host's (`key:…`, `host:…`).
    pub fn user(id: impl AsRef<str>, organization: OrganizationId, rights: Rights) -> Result<Self, IdError> {
        let id = ActorId::new(id)?;
        let is_reserved = id.as_str().starts_with("key:") || (id.as_str().starts_with("host:") && !rights.is_host);
        match is_reserved {
            true => Err(IdError(())),
            false => Ok(Actor { id, organization, rights, key: None, secret: None, request_id: None }),
        }
    }

    /// The key of a request. `None` if it belongs to no organization.
    ///
    /// What it may do is read again from the store, inside each change: a key that lost its rights meanwhile, or whose
    /// presented secret has ended, changes nothing. What a secret in its overlap hands out ends with it.
    #[must_use]
    pub fn key(key: &AuthenticatedKey) -> Option<Self> {
        let organization = OrganizationId::new(key.organization()?).ok()?;
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
