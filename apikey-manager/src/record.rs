//! What is kept of a key, and the status that follows from it.

use apikey_core::{ActorId, JsonObject, KeyDigest, KeyId, OrganizationId, ScopeSet, ServiceAccountId, Timestamp};
use serde::Serialize;

use crate::names::names;
use crate::organization::Switched;

/// A key's record: everything but the key.
///
/// Times are kept to the millisecond.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyRecord {
    /// Its public id, for ever the same.
    pub id: KeyId,
    /// The organization.
    pub organization: OrganizationId,
    /// The program it was issued to, if to one.
    pub service_account: Option<ServiceAccountId>,
    /// What people call it; 1–100 characters.
    pub name: String,
    /// What it is for; up to 500 characters.
    pub description: String,
    /// The environment it belongs to, where its format has some.
    pub environment: Option<String>,
    /// Enough of the newest secret to tell it from others, such as `tsk_live_7fQ2…9dKp`; empty for keys whose text was
    /// never seen.
    pub hint: String,
    /// What was granted, roles by their names.
    pub scopes: ScopeSet,
    /// The time of issue.
    pub created_at: Timestamp,
    /// Who issued it.
    pub created_by: ActorId,
    /// The key that issued it, if a key did.
    pub created_by_key: Option<KeyId>,
    /// The time before which the key is rejected.
    pub not_before: Option<Timestamp>,
    /// The time from which it is rejected.
    pub expires_at: Option<Timestamp>,
    /// The time of the last accepted request, to within the interval at which usage is written.
    pub last_used_at: Option<Timestamp>,
    /// Since when, and on whose word, it is switched off.
    pub disabled: Option<Switched>,
    /// When, by whom and why it was ended for good.
    pub revoked: Option<Revocation>,
    /// The host's own notes, up to 8 KiB as JSON.
    pub metadata: JsonObject,
    /// Counts its changes, from 1.
    pub version: u64,
    /// Its secrets, the newest first; empty only where the rest of the record could not be read.
    pub secrets: Vec<SecretRecord>,
}

/// The part of a [`KeyRecord`] that rights and states are decided by: everything but its description, its metadata and its
/// secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyHead {
    /// The key's public id.
    pub id: KeyId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// The service account it was issued to, if any.
    pub service_account: Option<ServiceAccountId>,
    /// The name people gave it.
    pub name: String,
    /// The environment.
    pub environment: Option<String>,
    /// The hint of its newest secret.
    pub hint: String,
    /// What was granted, roles by their names.
    pub scopes: ScopeSet,
    /// The time of issue.
    pub created_at: Timestamp,
    /// Who issued it.
    pub created_by: ActorId,
    /// The key that issued it, if a key did.
    pub created_by_key: Option<KeyId>,
    /// The moment before which it is not let in.
    pub not_before: Option<Timestamp>,
    /// The moment from which on it is not let in.
    pub expires_at: Option<Timestamp>,
    /// When, and by whom, it was disabled.
    pub disabled: Option<Switched>,
    /// When, by whom and why it was revoked.
    pub revoked: Option<Revocation>,
    /// Counts the record's changes, from 1.
    pub version: u64,
}

impl KeyHead {
    /// The head of a key that nothing is set of, as a store fills it in.
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

/// What is kept of one of a key's secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SecretRecord {
    /// What it is found by.
    #[serde(skip)]
    pub digest: KeyDigest,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time when a newer secret replaced it.
    pub superseded_at: Option<Timestamp>,
    /// Not let in from this moment on. A superseded secret without one lives until its overlap is ended.
    pub ends_at: Option<Timestamp>,
    /// When somebody ended it. Whatever the clock says, it is not let in any more.
    pub ended_at: Option<Timestamp>,
    /// The time of the last accepted request.
    pub last_used_at: Option<Timestamp>,
}

/// How a key ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revocation {
    /// The moment.
    pub at: Timestamp,
    /// Who did it.
    pub by: ActorId,
    /// Why, in their words; empty if they gave none.
    pub reason: String,
}

/// Where a key stands in its life. Follows from its record and the time, and is stored nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Let in.
    Active,
    /// Let in, under two secrets: an overlap is under way.
    Rotating,
    /// Not let in yet.
    NotYetValid,
    /// Switched off, by itself. Whether its account or its organization is, their records say.
    Disabled,
    /// Past its expiry. It may be extended.
    Expired,
    /// Ended for good.
    Revoked,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 6] =
        [Status::Active, Status::Rotating, Status::NotYetValid, Status::Disabled, Status::Expired, Status::Revoked];

    /// Its name, such as `not_yet_valid`.
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

    /// Does a key of this status count toward its organization's limit? Those that are over do not.
    #[must_use]
    pub fn is_counted(self) -> bool {
        !matches!(self, Status::Expired | Status::Revoked)
    }
}

names!(Status, "a status");

impl KeyRecord {
    /// A record as a key begins with: nameless, without scopes, under one secret.
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

    /// What the head of a key whose record can't be read tells of it.
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

    /// Where the key stands at `now`. Of several that apply, the one that is hardest to undo.
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

    /// The secrets that are let in at `now`, if the key is: the newest, and one whose overlap is under way.
    pub fn live_secrets(&self, now: Timestamp) -> impl Iterator<Item = &SecretRecord> {
        self.secrets.iter().filter(move |secret| secret.is_live(now))
    }
}

impl SecretRecord {
    /// A secret without an end.
    #[must_use]
    pub fn new(digest: KeyDigest, created_at: Timestamp) -> Self {
        SecretRecord { digest, created_at, superseded_at: None, ends_at: None, ended_at: None, last_used_at: None }
    }

    /// Returns `true` if the secret is let in at `now`: nobody has ended it, and its window is open.
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
