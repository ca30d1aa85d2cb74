//! The life of an API key: issued and shown once, listed, scoped, rotated, disabled, revoked, deleted, counted, audited.
//!
//! A [`KeyManager`] keeps the records of keys in a [`KeyStore`] and has the service's
//! [`Authenticator`](apikey_core::Authenticator) hear of every change before an operation returns. `apikey-sqlx` has
//! stores for SQLite and PostgreSQL; [`MemoryStore`] is for tests.
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
//! let issued = keys.issue(&host, NewKey::new("ci-pipeline").scopes(["files:read"])).await?;
//! println!("shown once: {}", issued.secret().expose_secret());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Overview
//!
//! - A [`KeyRecord`] is all that is kept of a key. Its [`Status`] follows from it and the time. Its secrets are digests,
//!   each with a window: a rotation adds one, and the old one lives on for the [`Overlap`] asked for.
//! - An [`Actor`] asks for operations: the host, somebody whom the host knows, or the key of a request.
//! - [`Limits`] are what an organization's plan allows; the host is asked for them.
//! - Everything done is an [`AuditEvent`], written with the change itself.
//!
//! # Who may do what
//!
//! Every operation is within the actor's own organization; another's keys are not found. Reading needs `keys:read`,
//! changing needs `keys:write`, which covers it, and `keys:admin` covers both. Beyond that:
//!
//! - Nobody hands out what their own scopes don't cover, or what outlives them. That holds for issuing, duplicating,
//!   rotating, enabling, extending, widening, and ending an overlap, with `keys:admin` or without.
//! - Only `keys:admin` hands out scopes of key management (`*` among them), binds keys to service accounts, manages
//!   those, and touches keys that may do more than the actor.
//! - A key that asks is judged by its record, read under the same lock as what it wants to change.
//! - Suspending organizations, importing and the first key are the host's alone.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod activity;
mod actor;
mod audit;
mod backoff;
mod error;
mod events;
mod hint;
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
#[cfg(test)]
mod test_store;
mod usage;
mod validate;
mod writer;

pub use account::ServiceAccount;
pub use activity::{ActivityLog, ActivitySettings};
pub use actor::{Actor, ActorError, Rights};
pub use apikey_core::{
    ActorId, IdError, KeyId, OrganizationId, ServiceAccountId, Timestamp, TimestampError, text::pattern as text_pattern,
};
pub use audit::{Action, AuditEvent};
pub use error::{Busy, Forbidden, Limited, ManageError, Missing};
pub use events::{Due, Event, Retention, Spike, SpikeThreshold, Thresholds, due};
pub use import::{ImportKey, ImportProgress, RowError};
pub use limits::Limits;
pub use manager::{
    AccountUpdate, BuildError, BulkRevocation, BulkRevoked, Expiry, IssuedKey, KeyManager, KeyManagerBuilder,
    KeyUpdate, LimitsInUse, NewAccount, NewKey, Overlap, PageRequest, Patch, ReadSettings, Usage,
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
pub use store::{Change, Changes, Counts, Found, FoundKey, KeyState, KeyStore, Lineage, Made, StoreError, Transaction};
pub use usage::UsageSettings;
pub use validate::FieldError;
