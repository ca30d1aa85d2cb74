//! The contract of a store. The manager decides every rule about rights, limits and states between [`KeyStore::begin`]
//! and [`Transaction::commit`].

mod alerts;
mod fleet;

use std::{error::Error, fmt};

use apikey_core::{
    ActorId, JsonObject, KeyDigest, KeyId, KeyStatus, OrganizationId, ScopeSet, ServiceAccountId, Timestamp,
};
use async_trait::async_trait;

use crate::{
    account::ServiceAccount,
    alerts::{Alert, AlertId, AlertSettings, Delivery, DeliveryId, NewAlert, Webhook, WebhookId},
    audit::AuditEvent,
    organization::{OrganizationRecord, Switched},
    query::{
        AccountQuery, Activity, ActivityQuery, AuditQuery, Cursor, KeyFilter, KeyQuery, KeySort, Prune, Pruned, Reach,
        ReachQuery, UsageBatch, UsageBucket, UsageQuery,
    },
    record::{KeyHead, KeyRecord, Revocation, SecretRecord},
};

pub use self::{
    alerts::AlertStore,
    fleet::{FleetStore, Invalidation, SeenNode, StoreState},
};

/// A store of keys.
///
/// Implement it for another database, and run the checks of `apikey-conformance` on it.
///
/// Texts contain no NUL, because some databases can't store it. A query with a NUL finds nothing, and a change with one
/// is rejected. Activity comes from callers, so a NUL in it becomes U+FFFD.
///
/// # Errors
///
/// Every method fails with a [`StoreError`] if the store can't answer or doesn't know the outcome. A transaction is
/// applied as a whole or not at all. After any failure, the next call works as soon as the store does.
///
/// An unreadable row ([`StoreError::corrupt`]) fails queries for that row alone. Lists, scans and batches skip it, and
/// log it.
///
/// # What must not wait
///
/// [`find`](KeyStore::find), changes and [`check`](KeyStore::check) must not wait for reads (lists, searches, sums,
/// scans), however many there are: keep connections for each. The manager also bounds concurrent reads
/// ([`ReadSettings`](crate::ReadSettings)), except for its own sweep.
#[async_trait]
pub trait KeyStore: fmt::Debug + Send + Sync + 'static {
    /// Begins a change of `organization` and holds that organization's lock until the transaction ends. A second change
    /// of the same organization waits, in every process. The organization need not be known yet. Dropping the
    /// transaction rolls it back.
    async fn begin(&self, organization: &OrganizationId) -> Result<Box<dyn Transaction>, StoreError>;

    /// Returns everything that verdicts on these digests need, from one snapshot. Unknown digests have no answer.
    async fn find(&self, digests: &[KeyDigest]) -> Result<Lookup, StoreError>;

    /// Returns a key of `organization`, with its secrets.
    async fn key(&self, organization: &OrganizationId, id: &KeyId) -> Result<Option<KeyRecord>, StoreError>;

    /// Returns a page of keys, with their secrets.
    async fn keys(&self, query: &KeyQuery) -> Result<Vec<KeyRecord>, StoreError>;

    /// Returns the place of the `count`-th key after `after`, in the order of a list, or `None` if there are fewer.
    /// Override this if the store finds it without reading the keys.
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

    /// Returns the extent of a bulk revocation.
    async fn reach(&self, query: &ReachQuery) -> Result<Reach, StoreError>;

    /// Returns a service account of `organization`.
    async fn account(
        &self,
        organization: &OrganizationId,
        id: &ServiceAccountId,
    ) -> Result<Option<ServiceAccount>, StoreError>;

    /// Returns a page of service accounts.
    async fn accounts(&self, query: &AccountQuery) -> Result<Vec<ServiceAccount>, StoreError>;

    /// Returns the record of an organization. An unknown one is not suspended.
    async fn organization(&self, id: &OrganizationId) -> Result<OrganizationRecord, StoreError>;

    /// Returns an organization's use of its limits at `now`.
    async fn counts(&self, organization: &OrganizationId, now: Timestamp) -> Result<Counts, StoreError>;

    /// Returns a page of audit events.
    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError>;

    /// Adds a batch of usage as a whole. Returns `false` if a batch with this id was added before. A row counts for the
    /// owner that it names, even if the key, the account or the organization has changed since. Also advances
    /// `last_used_at` of existing keys and secrets.
    async fn add_usage(&self, batch: &UsageBatch) -> Result<bool, StoreError>;

    /// Returns usage by bucket. Its cost must not grow with the number of keys times the number of hours: callers may
    /// query a year of an organization by the day, or a month by the hour.
    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageBucket>, StoreError>;

    /// Adds activity.
    async fn add_activity(&self, activity: &[Activity]) -> Result<(), StoreError>;

    /// Returns a page of a key's activity. Ids within it are the store's own.
    async fn activity(&self, query: &ActivityQuery) -> Result<Vec<(String, Activity)>, StoreError>;

    /// Deletes old rows, and forgets ids of batches older than a day.
    async fn prune(&self, prune: &Prune, now: Timestamp) -> Result<Pruned, StoreError>;

    /// Returns the unrevoked keys of all organizations with `expires_at` in `from..to`, oldest expiry first, at most
    /// `limit`.
    async fn expiring(&self, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<KeyRecord>, StoreError>;

    /// Returns the keys of all organizations by id, after `after`, at most `limit`. The sweep uses this.
    async fn scan(&self, after: Option<&KeyId>, limit: usize) -> Result<Vec<KeyRecord>, StoreError>;

    /// Returns the revision of the last change of access.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// Returns a marker's value, if it is set.
    async fn marker(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Sets a marker to `to` if it is `from` (`None`: not set), atomically. Returns `false` if it is not.
    async fn advance_marker(&self, name: &str, from: Option<&str>, to: &str) -> Result<bool, StoreError>;

    /// Returns the part that processes agree through.
    fn fleet(&self) -> &dyn FleetStore;

    /// Returns the part that keeps alerts.
    fn alerts(&self) -> &dyn AlertStore;

    /// Checks whether the store can be read and written.
    async fn check(&self) -> Result<(), StoreError>;

    /// Finishes running operations and closes the store.
    async fn close(&self);
}

/// A transaction within one organization, under that organization's lock.
#[async_trait]
pub trait Transaction: Send {
    /// Returns the organization.
    async fn organization(&mut self) -> Result<OrganizationRecord, StoreError>;

    /// Returns a key of the organization, with its secrets.
    async fn key(&mut self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError>;

    /// Returns the ids of all matching keys of the organization, in any order.
    async fn ids(&mut self, filter: &KeyFilter, now: Timestamp) -> Result<Vec<KeyId>, StoreError>;

    /// Returns the heads of these keys, as far as they are the organization's, in any order. A head can be read even if
    /// the rest of its row is corrupt.
    async fn heads(&mut self, ids: &[KeyId]) -> Result<Vec<KeyHead>, StoreError>;

    /// Returns the extent of a bulk revocation.
    async fn reach(&mut self, query: &ReachQuery) -> Result<Reach, StoreError>;

    /// Returns a service account of the organization.
    async fn account(&mut self, id: &ServiceAccountId) -> Result<Option<ServiceAccount>, StoreError>;

    /// Returns the organization's use of its limits at `now`.
    async fn counts(&mut self, now: Timestamp) -> Result<Counts, StoreError>;

    /// Returns those of these digests that belong, or belonged, to a key of any organization.
    async fn taken(&mut self, digests: &[KeyDigest]) -> Result<Vec<KeyDigest>, StoreError>;

    /// Returns those of these ids that belong, or belonged, to a key of any organization.
    async fn taken_ids(&mut self, ids: &[KeyId]) -> Result<Vec<KeyId>, StoreError>;

    /// Returns `true` if the actor made `secret` by a rotation, presenting the secret `presented`.
    async fn has_made(
        &mut self,
        actor: &ActorId,
        presented: &KeyDigest,
        secret: &KeyDigest,
    ) -> Result<bool, StoreError>;

    /// Returns a marker's value.
    async fn marker(&mut self, name: &str) -> Result<Option<String>, StoreError>;

    /// Returns the organization's thresholds, if it has set any.
    async fn alert_settings(&mut self) -> Result<Option<AlertSettings>, StoreError>;

    /// Returns an alert of the organization.
    async fn alert(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError>;

    /// Returns the organization's webhooks, oldest first.
    async fn webhooks(&mut self) -> Result<Vec<Webhook>, StoreError>;

    /// Returns a delivery of the organization.
    async fn delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// Returns what the organization remembers of a request.
    async fn remembered(&mut self, request: &str) -> Result<Option<Remembered>, StoreError>;

    /// Applies the changes in order and commits. If they change access, the last step before the commit takes the next
    /// revision, which is returned.
    ///
    /// # Errors
    ///
    /// [`is_conflict`](StoreError::is_conflict) if a digest, an id or a marker is taken, a row to change is missing or
    /// has another version, or a row belongs to another organization. Nothing was changed then.
    /// [`is_unknown`](StoreError::is_unknown) if the commit was not answered.
    async fn commit(self: Box<Self>, changes: Changes) -> Result<Option<u64>, StoreError>;
}

/// The changes of a transaction.
#[derive(Debug, Default)]
pub struct Changes {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// `true` if they change access, and so take a revision.
    pub affects_callers: bool,
    /// What they mean for cached keys. The store keeps them beside the revision, for other processes.
    pub invalidations: Vec<Invalidation>,
}

/// A change in a transaction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A new key with its secrets.
    InsertKey(Box<KeyRecord>),
    /// Replaces a key's record of the previous version, except for `last_used_at`. Unknown secrets are added, known
    /// ones get these windows, and none is removed.
    UpdateKey(Box<KeyRecord>),
    /// Replaces a key's state (disabled, revoked) of the previous version.
    SetState(Box<KeyState>),
    /// Ends secrets of a key: closes their windows at this time, unless they closed earlier, and marks them as ended.
    /// The key's version advances to this one.
    EndSecrets(KeyId, u64, Vec<KeyDigest>, Timestamp),
    /// Records who made what.
    Lineage(Lineage),
    /// Removes some of a key's secrets from its record. Nothing is found by them, and their digests can't come back.
    /// The key's last use stays.
    RetireSecrets(KeyId, Vec<KeyDigest>),
    /// Deletes a key and its secrets. The digests and the id can't come back.
    DeleteKey(KeyId),
    /// A new service account.
    InsertAccount(ServiceAccount),
    /// Replaces a service account's record of the previous version.
    UpdateAccount(ServiceAccount),
    /// Deletes a service account. Its keys keep its id.
    DeleteAccount(ServiceAccountId),
    /// Replaces the organization's record.
    SetOrganization(OrganizationRecord),
    /// Sets a marker that must not be set yet.
    SetMarker(String, String),
    /// Remembers a request that the organization doesn't remember yet.
    Remember(Remembered),
    /// Forgets the organization's requests from before `before`, and all but the latest `keep`.
    ForgetRequests {
        /// The time from which requests are kept.
        before: Timestamp,
        /// The most requests to keep.
        keep: usize,
    },
    /// Adds an audit event.
    Audit(AuditEvent),
    /// Adds an alert and its deliveries: to the host if it is for the host, and to each of the organization's webhooks
    /// that wants it. An alert whose reference is known is not added.
    Alert(Box<NewAlert>),
    /// Acknowledges an open alert, which must exist. An acknowledged one stays as it is.
    AcknowledgeAlert(AlertId, Switched),
    /// Acknowledges the open alerts about these keys, as far as their event has one of these names.
    CloseAlerts(Vec<KeyId>, &'static [&'static str], Switched),
    /// Sets the organization's thresholds.
    SetAlertSettings(AlertSettings),
    /// Adds a webhook of version 1, or replaces its record of the previous version.
    SetWebhook(Box<Webhook>),
    /// Deletes a webhook and its deliveries.
    DeleteWebhook(WebhookId),
    /// Makes a parked delivery pending again, due at this time, with the attempts that it had. It must be parked.
    RetryDelivery(DeliveryId, Timestamp),
}

/// The state of a key, apart from its windows.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyState {
    /// The key.
    pub id: KeyId,
    /// The new version of the record.
    pub version: u64,
    /// The time since when it is disabled, and who disabled it.
    pub disabled: Option<Switched>,
    /// The revocation: its time, actor and reason.
    pub revoked: Option<Revocation>,
}

/// A request that was carried out and must not be repeated. It doesn't contain the secrets that it yielded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The digest of its actor, its operation and its `Idempotency-Key`: 64 hexadecimal digits.
    pub request: String,
    /// The digest of its input: 64 hexadecimal digits.
    pub input: String,
    /// The keys that it made or changed.
    pub keys: Vec<KeyId>,
    /// The time at which it was carried out.
    pub at: Timestamp,
}

/// A record that an actor made a key or a secret, or widened a key's rights. Revocations with descendants follow it. It
/// outlives the keys that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Who did it.
    pub actor: ActorId,
    /// The secret that the actor presented, if it is a key.
    pub presented: Option<KeyDigest>,
    /// The key.
    pub key: KeyId,
    /// The kind of relation.
    pub made: Made,
}

/// The subject of a lineage record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// The key itself: its issuer has its first secret.
    Key,
    /// A secret, made by a rotation.
    Secret(KeyDigest),
    /// Wider rights or a longer life of the key.
    Widening,
}

/// The answer to [`KeyStore::find`].
#[derive(Debug)]
pub struct Lookup {
    /// The revision of the snapshot. An old one is the answer of a server that has fallen behind, and is not used.
    pub revision: u64,
    /// What was found, in any order.
    pub found: Vec<Found>,
}

/// The result of a lookup of a digest.
#[derive(Debug)]
pub enum Found {
    /// A key.
    Key(Box<FoundKey>),
    /// A corrupt row. Its holder's requests are answered 503.
    Corrupt {
        /// The digest.
        digest: KeyDigest,
        /// The error of the row.
        error: StoreError,
    },
}

/// A key as the read path finds it: everything that decides whether and with which rights it is accepted, and nothing
/// else, because every request that the cache doesn't answer reads it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FoundKey {
    /// The digest that found it, as stored.
    pub digest: KeyDigest,
    /// The time from which this secret is rejected.
    pub secret_ends_at: Option<Timestamp>,
    /// `true` if this secret was ended.
    pub is_secret_ended: bool,
    /// The key.
    pub id: KeyId,
    /// The organization.
    pub organization: OrganizationId,
    /// The service account that owns the key, if any.
    pub service_account: Option<ServiceAccountId>,
    /// The name.
    pub name: String,
    /// The environment.
    pub environment: Option<String>,
    /// The grants, with roles by name.
    pub scopes: ScopeSet,
    /// The time before which the key is rejected.
    pub not_before: Option<Timestamp>,
    /// The time from which it is rejected.
    pub expires_at: Option<Timestamp>,
    /// Additional data of the service.
    pub metadata: JsonObject,
    /// `true` if the key is revoked.
    pub is_revoked: bool,
    /// `true` if the key itself is disabled.
    pub is_disabled: bool,
    /// `true` if its service account is disabled or deleted.
    pub is_account_disabled: bool,
    /// `true` if its organization is suspended.
    pub is_organization_suspended: bool,
}

impl FoundKey {
    /// Creates a key without scopes and limits, found by `digest`.
    #[must_use]
    pub fn new(id: KeyId, organization: OrganizationId, digest: KeyDigest) -> Self {
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
        }
    }

    /// Returns the state of the key, apart from its windows.
    pub(crate) fn status(&self) -> KeyStatus {
        if self.is_revoked || self.is_secret_ended {
            KeyStatus::Revoked
        } else if self.is_disabled || self.is_account_disabled || self.is_organization_suspended {
            KeyStatus::Disabled
        } else {
            KeyStatus::Active
        }
    }

    /// Returns the end of the key's window or of its secret's, whichever is earlier.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        self.expires_at.into_iter().chain(self.secret_ends_at).min()
    }

    /// Creates the result for `key`, found by `secret`, with an active organization and account.
    #[must_use]
    pub fn of(key: &KeyRecord, secret: &SecretRecord) -> Self {
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
            ..FoundKey::new(key.id.clone(), key.organization.clone(), secret.digest.clone())
        }
    }
}

/// An organization's use of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys that are neither revoked nor expired.
    pub keys: u64,
    /// Service accounts.
    pub service_accounts: u64,
}

/// The error of a store.
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
    /// Formats the error and its cause.
    pub(crate) fn described(&self) -> String {
        let cause = self.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{self}{cause}")
    }

    /// The store can't be reached, is too slow, or is read-only. Nothing was changed.
    #[must_use]
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StoreError {
            kind: Kind::Unavailable,
            message: "the store is not available".to_owned(),
            source: Some(source.into()),
        }
    }

    /// A row is taken or has changed since it was read. Nothing was changed.
    #[must_use]
    pub fn conflict(what: impl Into<String>) -> Self {
        StoreError { kind: Kind::Conflict, message: what.into(), source: None }
    }

    /// The commit was sent and not answered, so its outcome is unknown.
    #[must_use]
    pub fn unknown(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StoreError {
            kind: Kind::Unknown,
            message: "it is unknown whether the store made the change".to_owned(),
            source: Some(source.into()),
        }
    }

    /// The store contains, or was given, data that this crate never writes.
    #[must_use]
    pub fn corrupt(what: impl Into<String>) -> Self {
        StoreError { kind: Kind::Corrupt, message: what.into(), source: None }
    }

    /// Returns `true` if the store is unavailable.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// Returns `true` if a row is taken or has changed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    /// Returns `true` if a row could not be read.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    /// Returns `true` if the outcome of a commit is unknown.
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
