//! Manages the life of API keys: issue, list, scope, rotate, disable, revoke and delete them, count their use and keep
//! an audit trail.
//!
//! A [`KeyManager`] keeps the records of keys in a [`KeyStore`]. Every change reaches the service's
//! [`Authenticator`](apikey_core::Authenticator) before the operation returns. `apikey-sqlx` has stores for SQLite and
//! PostgreSQL; [`MemoryStore`] is for tests.
//!
//! ```
//! use apikey_core::KeyFormat;
//! use apikey_manager::{Actor, KeyManager, MemoryStore, NewKey, OrganizationId, Overlap};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let format = KeyFormat::builder("acme").environment("live").build()?;
//! let keys = KeyManager::builder(MemoryStore::new()).format(format).build()?;
//! let authenticator = keys.authenticator(); // for the layer
//!
//! let host = Actor::host("setup", OrganizationId::new("acme")?)?;
//! let issued = keys.issue(&host, NewKey::new("nightly-build").scopes(["files:read"])).await?;
//! println!("shown once: {}", issued.secret().expose_secret());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Overview
//!
//! - A [`KeyRecord`] is everything that is stored about a key. Its [`Status`] follows from the record and the time. Its
//!   secrets are digests with a window each: a rotation adds one, and the old one stays valid for the [`Overlap`].
//! - An [`Actor`] calls operations: the host, a user of the host, or the key of a request.
//! - [`Limits`] are what an organization's plan allows. The host provides them.
//! - Every change has an [`AuditEvent`], written in the same transaction.
//!
//! # Who may do what
//!
//! Every operation is within the actor's own organization; other organizations' keys are not found. Reading requires
//! `keys:read`, changing requires `keys:write`, which includes it, and `keys:admin` includes both. Moreover:
//!
//! - Nobody grants what their own scopes don't cover, or what outlives them. This holds for issuing, duplicating, rotating,
//!   enabling, extending, widening and ending an overlap, with or without `keys:admin`.
//! - Only `keys:admin` grants scopes of key management (including `*`), binds keys to service accounts, manages service
//!   accounts, and changes keys that exceed the actor's rights.
//! - A key that acts is checked against its current record, under the lock of the change.
//! - Only the host suspends organizations, imports keys and issues the first key.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod activity;
mod actor;
mod alerts;
mod audit;
mod backoff;
mod chance;
mod courier;
mod error;
mod events;
mod fleet;
mod floor;
mod idempotency;
mod import;
mod limits;
mod manager;
mod memory;
mod names;
mod organization;
mod query;
mod record;
mod resolver;
mod rights;
mod store;
mod sweep;
#[cfg(test)]
mod test_store;
mod usage;
mod validate;
mod writer;

pub use account::ServiceAccount;
pub use activity::{ActivityLog, ActivitySettings};
pub use actor::{Actor, ActorError, Rights};
pub use alerts::{
    Alert, AlertFilter, AlertId, AlertQuery, AlertSettings, Claim, Claimed, Delivery, DeliveryId, DeliveryQuery,
    DeliveryState, NewAlert, Receiver, Settled, Webhook, WebhookAnswer, WebhookId, WebhookIdError, WebhookMessage,
    WebhookSecret, WebhookSender,
};
pub use apikey_core::{
    ActorId, IdError, KeyId, OrganizationId, ServiceAccountId, Timestamp, TimestampError, text::pattern as text_pattern,
};
pub use audit::{Action, AuditEvent};
pub use error::{Busy, Forbidden, Limited, ManageError, Missing};
pub use events::{Due, Event, Spike, SpikeThreshold, Thresholds, due};
pub use fleet::{Fleet, FleetNode, FleetStatus, FleetWait, OnStoreLoss, Receipt, Receipts};
pub use import::{ImportKey, ImportProgress, RowError};
pub use limits::Limits;
pub use manager::{
    AccountUpdate, BuildError, BulkRevocation, BulkRevoked, Expiry, IssuedKey, KeyManager, KeyManagerBuilder,
    KeyUpdate, LimitsInUse, NewAccount, NewKey, NewWebhook, Overlap, PageRequest, Patch, ReadSettings, Usage,
    WebhookUpdate,
};
pub use memory::MemoryStore;
pub use names::UnknownName;
pub use organization::{OrganizationRecord, Switched};
pub use query::{
    AccountQuery, Activity, ActivityQuery, AuditFilter, AuditQuery, Bucket, Cursor, CursorError, KeyFilter, KeyQuery,
    KeySort, MAX_PAGE, Page, Prune, Pruned, Reach, ReachQuery, Selection, Target, UsageBatch, UsageBucket, UsageOf,
    UsageQuery, UsageRow,
};
pub use record::{KeyHead, KeyRecord, Revocation, SecretRecord, Status};
pub use rights::{KEYS_ADMIN, KEYS_READ, KEYS_WRITE, management_scopes};
pub use store::{
    AlertStore, Change, Changes, Counts, FleetStore, Found, FoundKey, Invalidation, KeyState, KeyStore, Lineage,
    Lookup, Made, Remembered, SeenNode, StoreError, StoreState, Transaction,
};
pub use sweep::Retention;
pub use usage::UsageSettings;
pub use validate::FieldError;
