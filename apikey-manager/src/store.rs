//! What a database has to do, and nothing of what may be done: every rule about rights, limits and states is the
//! manager's, and decided between [`KeyStore::begin`] and [`Transaction::commit`].

use std::{error::Error, fmt};

use apikey_core::{ActorId, JsonObject, KeyDigest, KeyId, OrganizationId, ScopeSet, ServiceAccountId, Timestamp};
use async_trait::async_trait;

use crate::{
    account::ServiceAccount,
    audit::AuditEvent,
    organization::{OrganizationRecord, Switched},
    query::{
        AccountQuery, Activity, ActivityQuery, AuditQuery, Cursor, KeyFilter, KeyQuery, KeySort, Prune, Pruned, Reach,
        ReachQuery, UsageBatch, UsageBucket, UsageQuery,
    },
    record::{KeyHead, KeyRecord, Revocation, SecretRecord},
};

/// Keeps the records of keys.
///
/// Implement it for a database of your own, and let the checks of `apikey-conformance` say what is missing.
///
/// No text has a NUL character, since some databases keep none: what is asked for with one is not found, and what is to be
/// kept with one is refused; of activity alone, which callers make up, it becomes U+FFFD.
///
/// # Errors
///
/// Every method fails with a [`StoreError`] when the store can't answer or doesn't know whether it has. Nothing is half
/// done: a transaction is whole or absent. After a failure, of whatever kind, the next call works as soon as the store can.
///
/// A row that can't be read ([`StoreError::corrupt`]) fails the question for that row alone. Lists, scans and batches leave
/// it out, go on behind it, and name it in the log.
///
/// # Who waits for whom
///
/// Requests wait for [`find`](KeyStore::find), and somebody's access for a change to end it. Neither they nor
/// [`check`](KeyStore::check) may wait for what only reads (lists, searches, sums, scans), however much of that there is.
/// A store that has a number of connections keeps some for each. How many read at once the manager bounds besides
/// ([`ReadSettings`](crate::ReadSettings)), except for its own sweep.
#[async_trait]
pub trait KeyStore: fmt::Debug + Send + Sync + 'static {
    /// Begins a change within `organization`, and holds that organization's lock until the transaction ends: of two that
    /// change one organization the second waits, in every process. The organization need not be known yet. Dropping the
    /// transaction undoes it.
    async fn begin(&self, organization: &OrganizationId) -> Result<Box<dyn Transaction>, StoreError>;

    /// Everything a verdict on these digests needs, in one statement, so that all of it is of one moment. Digests that
    /// are unknown have no answer.
    async fn find(&self, digests: &[KeyDigest]) -> Result<Vec<Found>, StoreError>;

    /// A key of `organization`, with its secrets.
    async fn key(&self, organization: &OrganizationId, id: &KeyId) -> Result<Option<KeyRecord>, StoreError>;

    /// A page of keys, with their secrets.
    async fn keys(&self, query: &KeyQuery) -> Result<Vec<KeyRecord>, StoreError>;

    /// The place of the `count`-th of an organization's keys after `after`, in the order of a list; `None` if there are not
    /// so many left. Stores that find it without reading the keys say so here.
    async fn place(
        &self,
        organization: &OrganizationId,
        after: Option<&Cursor>,
        count: usize,
    ) -> Result<Option<Cursor>, StoreError> {
        let query = KeyQuery {
            sort: KeySort::Created,
            organization: organization.clone(),
            filter: KeyFilter::default(),
            now: Timestamp::UNIX_EPOCH,
            after: after.cloned(),
            limit: count,
        };
        let keys = self.keys(&query).await?;
        let last = keys.last().filter(|_| keys.len() == count);
        Ok(last.map(|key| Cursor { at: key.created_at, id: key.id.to_string() }))
    }

    /// What a bulk revocation would end.
    async fn reach(&self, query: &ReachQuery) -> Result<Reach, StoreError>;

    /// A service account of `organization`.
    async fn account(
        &self,
        organization: &OrganizationId,
        id: &ServiceAccountId,
    ) -> Result<Option<ServiceAccount>, StoreError>;

    /// A page of service accounts.
    async fn accounts(&self, query: &AccountQuery) -> Result<Vec<ServiceAccount>, StoreError>;

    /// What is kept of an organization; one that is not known is not suspended.
    async fn organization(&self, id: &OrganizationId) -> Result<OrganizationRecord, StoreError>;

    /// How much of its limits an organization uses at `now`.
    async fn counts(&self, organization: &OrganizationId, now: Timestamp) -> Result<Counts, StoreError>;

    /// A page of audit events.
    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError>;

    /// Adds usage, all of the batch or none; `false` if a batch of this id has been added before. A row counts for whom it
    /// names, whatever became of the key, the account or the organization meanwhile. Sets `last_used_at` of keys and
    /// secrets that are there, never to an earlier moment than it is.
    async fn add_usage(&self, batch: &UsageBatch) -> Result<bool, StoreError>;

    /// Usage, bucket by bucket. What this costs must not grow with the number of keys times the number of hours: callers
    /// may ask for a year of an organization by the day, or for a month by the hour.
    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageBucket>, StoreError>;

    /// Adds activity.
    async fn add_activity(&self, activity: &[Activity]) -> Result<(), StoreError>;

    /// A page of a key's activity; ids within it are the store's own.
    async fn activity(&self, query: &ActivityQuery) -> Result<Vec<(String, Activity)>, StoreError>;

    /// Removes what is old, and forgets ids of batches older than a day.
    async fn prune(&self, prune: &Prune, now: Timestamp) -> Result<Pruned, StoreError>;

    /// The keys of every organization whose `expires_at` lies in `from..to` and that are not revoked, oldest expiry
    /// first, at most `limit`.
    async fn expiring(&self, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<KeyRecord>, StoreError>;

    /// The keys of every organization, by id and after `after`, at most `limit`: for the sweep.
    async fn scan(&self, after: Option<&KeyId>, limit: usize) -> Result<Vec<KeyRecord>, StoreError>;

    /// The revision of the last change that affected who may call.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// Is a marker set, and to what?
    async fn marker(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Sets a marker to `to` if it is `from` now (`None`: if it is not set), in one step; `false` if it was not.
    async fn advance_marker(&self, name: &str, from: Option<&str>, to: &str) -> Result<bool, StoreError>;

    /// Can it be read and written?
    async fn check(&self) -> Result<(), StoreError>;

    /// Finishes what is under way and closes.
    async fn close(&self);
}

/// A change under way, within one organization. Everything it reads is as its own lock keeps it.
#[async_trait]
pub trait Transaction: Send {
    /// The organization itself.
    async fn organization(&mut self) -> Result<OrganizationRecord, StoreError>;

    /// One of the organization's keys, with its secrets.
    async fn key(&mut self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError>;

    /// The ids of all of the organization's keys that pass, in any order.
    async fn ids(&mut self, filter: &KeyFilter, now: Timestamp) -> Result<Vec<KeyId>, StoreError>;

    /// The heads of those of these keys that are the organization's, in any order. Whatever else of a key can't be read,
    /// its head can.
    async fn heads(&mut self, ids: &[KeyId]) -> Result<Vec<KeyHead>, StoreError>;

    /// What a bulk revocation would end.
    async fn reach(&mut self, query: &ReachQuery) -> Result<Reach, StoreError>;

    /// One of the organization's service accounts.
    async fn account(&mut self, id: &ServiceAccountId) -> Result<Option<ServiceAccount>, StoreError>;

    /// How much of its limits the organization uses at `now`.
    async fn counts(&mut self, now: Timestamp) -> Result<Counts, StoreError>;

    /// Which of these digests are, or were, some key's in any organization.
    async fn taken(&mut self, digests: &[KeyDigest]) -> Result<Vec<KeyDigest>, StoreError>;

    /// Which of these ids are, or were, some key's in any organization.
    async fn taken_ids(&mut self, ids: &[KeyId]) -> Result<Vec<KeyId>, StoreError>;

    /// Returns `true` if the actor made `secret` by a rotation, presenting the secret `presented`.
    async fn has_made(
        &mut self,
        actor: &ActorId,
        presented: &KeyDigest,
        secret: &KeyDigest,
    ) -> Result<bool, StoreError>;

    /// What a marker is set to.
    async fn marker(&mut self, name: &str) -> Result<Option<String>, StoreError>;

    /// Applies the changes in their order and commits. Where they affect who may call, the last thing before the commit
    /// is to take the next revision; it is returned.
    ///
    /// # Errors
    ///
    /// [`is_conflict`](StoreError::is_conflict) when a digest, an id or a marker is taken, a row to be changed is not there
    /// or not of the version before, or a row belongs to another organization: nothing was changed.
    /// [`is_unknown`](StoreError::is_unknown) when the commit's answer never came.
    async fn commit(self: Box<Self>, changes: Changes) -> Result<Option<u64>, StoreError>;
}

/// What a transaction does.
#[derive(Debug, Default)]
pub struct Changes {
    /// In this order.
    pub changes: Vec<Change>,
    /// Do they change who may call?
    pub affects_callers: bool,
}

/// One step of a transaction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A new key with its secrets.
    InsertKey(Box<KeyRecord>),
    /// A key's record in place of the one of the version before, `last_used_at` excepted; secrets it did not have are
    /// new, those it has get the windows given here, and none is removed.
    UpdateKey(Box<KeyRecord>),
    /// Whether a key is disabled or revoked, in place of what it was in the version before.
    SetState(Box<KeyState>),
    /// Secrets of a key end: their windows are closed at this moment, unless they were before, and they are marked as
    /// ended. The key's version becomes the one given, from the one before.
    EndSecrets(KeyId, u64, Vec<KeyDigest>, Timestamp),
    /// Who made what.
    Lineage(Lineage),
    /// Some of a key's secrets, not all of them, are gone from its record, and nothing is found by them; their digests
    /// can't come back. When the key was last used stays, whichever secret that was.
    RetireSecrets(KeyId, Vec<KeyDigest>),
    /// A key and its secrets are gone; the digests and the id can't come back.
    DeleteKey(KeyId),
    /// A new service account.
    InsertAccount(ServiceAccount),
    /// A service account's record in place of the one of the version before.
    UpdateAccount(ServiceAccount),
    /// A service account is gone. Its keys keep its id.
    DeleteAccount(ServiceAccountId),
    /// What is kept of the organization.
    SetOrganization(OrganizationRecord),
    /// A marker that must not be set yet.
    SetMarker(String, String),
    /// What is told of all this.
    Audit(AuditEvent),
}

/// What of a key's record says whether it is let in, its windows apart.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyState {
    /// The key.
    pub id: KeyId,
    /// The version that the record becomes.
    pub version: u64,
    /// Since when, and on whose word, it is disabled.
    pub disabled: Option<Switched>,
    /// When, by whom and why it was revoked.
    pub revoked: Option<Revocation>,
}

/// That somebody made a key or a secret, or let a key do more. A revocation with descendants follows it. It outlives the
/// keys that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Who did it.
    pub actor: ActorId,
    /// The secret that the actor presented, if the actor is a key.
    pub presented: Option<KeyDigest>,
    /// The key.
    pub key: KeyId,
    /// What the actor made of it.
    pub made: Made,
}

/// What somebody made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// The key itself: whoever issues a key has its first secret.
    Key,
    /// This secret, by a rotation.
    Secret(KeyDigest),
    /// Nothing, but the key may do more than before, or lives longer.
    Widening,
}

/// What a digest finds.
#[derive(Debug)]
pub enum Found {
    /// A key.
    Key(Box<FoundKey>),
    /// A row that can't be read. Its holder is told that the store is not available.
    Corrupt {
        /// The digest.
        digest: KeyDigest,
        /// What is wrong with the row.
        error: StoreError,
    },
}

/// A key as the read path finds it: all that decides whether its holder is let in, and as what; and no more, since it is
/// read for every request that no cache answers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FoundKey {
    /// The digest that it was found by, as stored.
    pub digest: KeyDigest,
    /// From when on its holder is not let in with this secret.
    pub secret_ends_at: Option<Timestamp>,
    /// Whether somebody has ended this secret.
    pub is_secret_ended: bool,
    /// The key.
    pub id: KeyId,
    /// The organization.
    pub organization: OrganizationId,
    /// The program it was issued to, if to one.
    pub service_account: Option<ServiceAccountId>,
    /// The name.
    pub name: String,
    /// The environment.
    pub environment: Option<String>,
    /// What was granted, roles by their names.
    pub scopes: ScopeSet,
    /// The time before which the key is rejected.
    pub not_before: Option<Timestamp>,
    /// The time from which it is rejected.
    pub expires_at: Option<Timestamp>,
    /// Additional data of the service.
    pub metadata: JsonObject,
    /// Is it revoked?
    pub is_revoked: bool,
    /// Is it switched off, by itself?
    pub is_disabled: bool,
    /// Is its service account disabled, or gone?
    pub is_account_disabled: bool,
    /// Is its organization suspended?
    pub is_organization_suspended: bool,
    /// The revision all of this was read at.
    pub revision: u64,
}

impl FoundKey {
    /// A key found by `digest`, which may do nothing yet, and is neither switched off nor limited in time.
    #[must_use]
    pub fn new(id: KeyId, organization: OrganizationId, digest: KeyDigest, revision: u64) -> Self {
        FoundKey {
            digest,
            secret_ends_at: None,
            is_secret_ended: false,
            id,
            organization,
            service_account: None,
            name: String::new(),
            environment: None,
            scopes: ScopeSet::empty(),
            not_before: None,
            expires_at: None,
            metadata: JsonObject::new(),
            is_revoked: false,
            is_disabled: false,
            is_account_disabled: false,
            is_organization_suspended: false,
            revision,
        }
    }

    /// `key`, found by `secret`, in an organization that is not suspended and with an account that is not disabled.
    #[must_use]
    pub fn of(key: &KeyRecord, secret: &SecretRecord, revision: u64) -> Self {
        FoundKey {
            secret_ends_at: secret.ends_at,
            is_secret_ended: secret.ended_at.is_some(),
            service_account: key.service_account.clone(),
            name: key.name.clone(),
            environment: key.environment.clone(),
            scopes: key.scopes.clone(),
            not_before: key.not_before,
            expires_at: key.expires_at,
            metadata: key.metadata.clone(),
            is_revoked: key.revoked.is_some(),
            is_disabled: key.disabled.is_some(),
            ..FoundKey::new(key.id.clone(), key.organization.clone(), secret.digest.clone(), revision)
        }
    }
}

/// How much of its limits an organization uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys that are neither revoked nor expired.
    pub keys: u64,
    /// Service accounts.
    pub service_accounts: u64,
}

/// What a store could not do.
#[derive(Debug)]
pub struct StoreError {
    kind: Kind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unavailable,
    Conflict,
    Unknown,
    Corrupt,
}

impl StoreError {
    /// The store can't be reached, is too slow, or may not be written. Nothing was changed.
    #[must_use]
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StoreError {
            kind: Kind::Unavailable,
            message: "the store is not available".to_owned(),
            source: Some(source.into()),
        }
    }

    /// A row is taken, or has changed since it was read. Nothing was changed.
    #[must_use]
    pub fn conflict(what: impl Into<String>) -> Self {
        StoreError { kind: Kind::Conflict, message: what.into(), source: None }
    }

    /// The commit was sent and no answer came: it may hold or not.
    #[must_use]
    pub fn unknown(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StoreError {
            kind: Kind::Unknown,
            message: "whether the store has made the change is not known".to_owned(),
            source: Some(source.into()),
        }
    }

    /// What the store has, or is to keep, is nothing that this crate writes.
    #[must_use]
    pub fn corrupt(what: impl Into<String>) -> Self {
        StoreError { kind: Kind::Corrupt, message: what.into(), source: None }
    }

    /// Can't it be reached?
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// Was a row taken, or changed?
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    /// Returns `true` if a row could not be read.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    /// May the change hold or not?
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.kind == Kind::Unknown
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
