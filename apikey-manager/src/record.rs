//! The record of a key, and the status that follows from it.

use apikey_core::{ActorId, JsonObject, KeyDigest, KeyId, OrganizationId, ScopeSet, ServiceAccountId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::names::names;
use crate::organization::Switched;

/// The record of a key, without the key itself.
///
/// Times are kept to the millisecond.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyRecord {
    /// The public id, which never changes.
    pub id: KeyId,
    /// The organization.
    pub organization: OrganizationId,
    /// The service account that owns the key, if any.
    pub service_account: Option<ServiceAccountId>,
    /// The name, 1–100 characters.
    pub name: String,
    /// The purpose, up to 500 characters.
    pub description: String,
    /// The environment, if the format has environments.
    pub environment: Option<String>,
    /// The beginning and the end of the newest secret, such as `tsk_live_7fQ2…9dKp`. Empty for keys that were imported
    /// by digest.
    pub hint: String,
    /// The grants, with roles by name.
    pub scopes: ScopeSet,
    /// The time of issue.
    pub created_at: Timestamp,
    /// The actor who issued the key.
    pub created_by: ActorId,
    /// The key that issued this one, if a key did.
    pub created_by_key: Option<KeyId>,
    /// The time before which the key is rejected.
    pub not_before: Option<Timestamp>,
    /// The time from which it is rejected.
    pub expires_at: Option<Timestamp>,
    /// The time of the last accepted request, to within the interval at which usage is written.
    pub last_used_at: Option<Timestamp>,
    /// The time since when it is disabled, and who disabled it.
    pub disabled: Option<Switched>,
    /// The revocation: its time, actor and reason.
    pub revoked: Option<Revocation>,
    /// Additional data of the service, up to 8 KiB as JSON.
    pub metadata: JsonObject,
    /// The version: the number of changes, from 1.
    pub version: u64,
    /// The secrets, newest first. Empty only if the rest of the record could not be read.
    pub secrets: Vec<SecretRecord>,
}

/// The part of a [`KeyRecord`] that decides rights and states: everything except description, metadata and secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyHead {
    /// The key's public id.
    pub id: KeyId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// The service account that owns the key, if any.
    pub service_account: Option<ServiceAccountId>,
    /// The name.
    pub name: String,
    /// The environment.
    pub environment: Option<String>,
    /// The hint of the newest secret.
    pub hint: String,
    /// The grants, with roles by name.
    pub scopes: ScopeSet,
    /// The time of issue.
    pub created_at: Timestamp,
    /// The actor who issued the key.
    pub created_by: ActorId,
    /// The key that issued this one, if a key did.
    pub created_by_key: Option<KeyId>,
    /// The time before which the key is rejected.
    pub not_before: Option<Timestamp>,
    /// The time from which the key is rejected.
    pub expires_at: Option<Timestamp>,
    /// The time since when it is disabled, and who disabled it.
    pub disabled: Option<Switched>,
    /// The revocation: its time, actor and reason.
    pub revoked: Option<Revocation>,
    /// The version: the number of changes, from 1.
    pub version: u64,
}

impl KeyHead {
    /// Creates the head of a key without any values, for stores to fill in.
    #[must_use]
    pub fn new(id: KeyId, organization: OrganizationId, created_at: Timestamp, created_by: ActorId) -> Self {
        KeyHead {
            id,
            organization,
            service_account: None,
            name: String::new(),
            environment: None,
            hint: String::new(),
            scopes: ScopeSet::empty(),
            created_at,
            created_by,
            created_by_key: None,
            not_before: None,
            expires_at: None,
            disabled: None,
            revoked: None,
            version: 1,
        }
    }

    /// Returns `true` if the key is revoked or expired at `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.revoked.is_some() || self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

impl From<&KeyRecord> for KeyHead {
    fn from(key: &KeyRecord) -> Self {
        KeyHead {
            id: key.id.clone(),
            organization: key.organization.clone(),
            service_account: key.service_account.clone(),
            name: key.name.clone(),
            environment: key.environment.clone(),
            hint: key.hint.clone(),
            scopes: key.scopes.clone(),
            created_at: key.created_at,
            created_by: key.created_by.clone(),
            created_by_key: key.created_by_key.clone(),
            not_before: key.not_before,
            expires_at: key.expires_at,
            disabled: key.disabled.clone(),
            revoked: key.revoked.clone(),
            version: key.version,
        }
    }
}

/// The record of one of a key's secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SecretRecord {
    /// The digest.
    #[serde(skip)]
    pub digest: KeyDigest,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time at which a newer secret replaced it.
    pub superseded_at: Option<Timestamp>,
    /// The time from which the secret is rejected. A superseded secret without one stays valid until its overlap is
    /// ended.
    pub ends_at: Option<Timestamp>,
    /// The time at which the secret was ended. It is rejected independently of the clock.
    pub ended_at: Option<Timestamp>,
    /// The time of the last accepted request.
    pub last_used_at: Option<Timestamp>,
}

/// The revocation of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The moment.
    pub at: Timestamp,
    /// Who did it.
    pub by: ActorId,
    /// The reason that the actor gave, or an empty text.
    pub reason: String,
}

/// The status of a key. It follows from the record and the time, and is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The key is accepted.
    Active,
    /// The key is accepted with two secrets during a rotation's overlap.
    Rotating,
    /// The key is not valid yet.
    NotYetValid,
    /// The key itself is disabled. A disabled account or a suspended organization doesn't show here.
    Disabled,
    /// The key has expired and may be extended.
    Expired,
    /// The key is revoked for good.
    Revoked,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 6] =
        [Status::Active, Status::Rotating, Status::NotYetValid, Status::Disabled, Status::Expired, Status::Revoked];

    /// Returns its name, such as `not_yet_valid`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Rotating => "rotating",
            Status::NotYetValid => "not_yet_valid",
            Status::Disabled => "disabled",
            Status::Expired => "expired",
            Status::Revoked => "revoked",
        }
    }

    /// Returns `true` if a key of this status counts towards its organization's limit. Revoked and expired ones don't.
    #[must_use]
    pub fn is_counted(self) -> bool {
        !matches!(self, Status::Expired | Status::Revoked)
    }
}

names!(Status, "a status");

impl KeyRecord {
    /// Creates a record without name and scopes, with one secret.
    #[must_use]
    pub fn new(
        id: KeyId,
        organization: OrganizationId,
        digest: KeyDigest,
        created_at: Timestamp,
        created_by: ActorId,
    ) -> Self {
        KeyRecord {
            id,
            organization,
            service_account: None,
            name: String::new(),
            description: String::new(),
            environment: None,
            hint: String::new(),
            scopes: ScopeSet::empty(),
            created_at,
            created_by,
            created_by_key: None,
            not_before: None,
            expires_at: None,
            last_used_at: None,
            disabled: None,
            revoked: None,
            metadata: JsonObject::new(),
            version: 1,
            secrets: vec![SecretRecord::new(digest, created_at)],
        }
    }

    /// Creates a record from the head of a key whose record can't be read.
    pub(crate) fn of_head(head: KeyHead) -> Self {
        let KeyHead { id, organization, service_account, name, environment, hint, scopes, created_at, .. } = head;
        KeyRecord {
            id,
            organization,
            service_account,
            name,
            description: String::new(),
            environment,
            hint,
            scopes,
            created_at,
            created_by: head.created_by,
            created_by_key: head.created_by_key,
            not_before: head.not_before,
            expires_at: head.expires_at,
            last_used_at: None,
            disabled: head.disabled,
            revoked: head.revoked,
            metadata: JsonObject::new(),
            version: head.version,
            secrets: Vec::new(),
        }
    }

    /// Returns the status at `now`. If several apply, it is the one that is hardest to undo.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        if self.revoked.is_some() {
            Status::Revoked
        } else if self.expires_at.is_some_and(|expires_at| expires_at <= now) {
            Status::Expired
        } else if self.disabled.is_some() {
            Status::Disabled
        } else if self.not_before.is_some_and(|not_before| not_before > now) {
            Status::NotYetValid
        } else if self.live_secrets(now).count() > 1 {
            Status::Rotating
        } else {
            Status::Active
        }
    }

    /// Returns the secrets that are valid at `now` while the key is: the newest one, and one in its overlap.
    pub fn live_secrets(&self, now: Timestamp) -> impl Iterator<Item = &SecretRecord> {
        self.secrets.iter().filter(move |secret| secret.is_live(now))
    }
}

impl SecretRecord {
    /// Creates a secret without an end.
    #[must_use]
    pub fn new(digest: KeyDigest, created_at: Timestamp) -> Self {
        SecretRecord { digest, created_at, superseded_at: None, ends_at: None, ended_at: None, last_used_at: None }
    }

    /// Returns `true` if the secret is valid at `now`: it has not been ended, and its window is open.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && self.ends_at.is_none_or(|ends_at| now < ends_at)
    }

    /// Ends the secret at `now`, for good.
    pub(crate) fn end(&mut self, now: Timestamp) {
        self.ended_at.get_or_insert(now);
        self.ends_at = Some(self.ends_at.map_or(now, |earlier| earlier.min(now)));
        self.superseded_at.get_or_insert(now);
    }
}
