//! The life of an API key: issued and shown once, listed, scoped, rotated, disabled, revoked, deleted, counted, audited.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod actor;
mod audit;
mod error;
mod hint;
mod import;
mod limits;
mod manager;
mod memory;
mod organization;
mod query;
mod record;
mod resolver;
mod rights;
mod store;
pub mod time;
mod validate;

pub use account::{ServiceAccount, ServiceAccountId};
pub use actor::{Actor, ActorId, Rights};
pub use audit::{Action, AuditEvent};
pub use error::{Forbidden, Limited, ManageError, Missing};
pub use import::{ImportKey, ImportProgress, RowError};
pub use limits::Limits;
pub use manager::{
    AccountUpdate, Bucket, BuildError, Expiry, IssuedKey, KeyManager, KeyManagerBuilder, KeyUpdate, LimitsInUse,
    NewAccount, NewKey, Overlap, PageRequest, Selection, Set, Usage,
};
pub use memory::MemoryStore;
pub use organization::{IdError, OrganizationId, OrganizationRecord, Switched};
pub use query::{
    AccountQuery, Activity, ActivityQuery, AuditFilter, AuditQuery, Cursor, CursorError, KeyFilter, KeyQuery, MAX_PAGE,
    Page, Prune, Pruned, UsageBatch, UsageHour, UsageOf, UsageQuery, UsageRow,
};
pub use record::{KeyRecord, Revocation, SecretRecord, Status};
pub use rights::{KEYS_ADMIN, KEYS_READ, KEYS_WRITE, management_scopes};
pub use store::{Change, Changes, Counts, FoundKey, KeyStore, StoreError, Transaction};
pub use validate::FieldError;
