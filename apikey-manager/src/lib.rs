//! The life of an API key: issued and shown once, listed, scoped, rotated, disabled, revoked, deleted, counted, audited.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod actor;
mod audit;
mod error;
mod import;
mod memory;
mod organization;
mod query;
mod record;
mod store;
pub mod time;
mod validate;

pub use account::{ServiceAccount, ServiceAccountId};
pub use actor::{Actor, ActorId, Rights};
pub use audit::{Action, AuditEvent};
pub use error::{Forbidden, Limited, ManageError, Missing};
pub use import::RowError;
pub use memory::MemoryStore;
pub use organization::{IdError, OrganizationId, OrganizationRecord, Switched};
pub use query::{
    AccountQuery, Activity, ActivityQuery, AuditFilter, AuditQuery, Cursor, CursorError, KeyFilter, KeyQuery, MAX_PAGE,
    Page, Prune, Pruned, UsageBatch, UsageHour, UsageOf, UsageQuery, UsageRow,
};
pub use record::{KeyRecord, Revocation, SecretRecord, Status};
pub use store::{Change, Changes, Counts, FoundKey, KeyStore, StoreError, Transaction};
pub use validate::FieldError;
