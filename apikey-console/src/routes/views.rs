//! The API's JSON, for a program that prints what the API would answer, such as a command line.
//!
//! ```
//! # use apikey_core::KeyFormat;
//! # use apikey_manager::{Actor, KeyManager, MemoryStore, NewKey, OrganizationId};
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let format = KeyFormat::builder("acme").build()?;
//! # let keys = KeyManager::builder(MemoryStore::new()).format(format).build()?;
//! # let host = Actor::host("cli", OrganizationId::new("acme")?)?;
//! use apikey_console::views;
//!
//! let (key, _) = keys.issue(&host, NewKey::new("reader")).await?.into_parts();
//! let json = serde_json::to_value(views::key(key, keys.now()))?;
//! assert_eq!(json["status"], "active");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::ops::Range;

use apikey_core::Timestamp;
use apikey_manager::{Activity, AuditEvent, Bucket, BulkRevoked, IssuedKey, KeyRecord, Page, ServiceAccount, Usage};
use serde::Serialize;

use super::{
    activity::ActivityPage,
    api_keys::KeyPage,
    audit_events::EventPage,
    key_view::{IssuedView, KeyView},
    revocations::Revoked,
    service_accounts::{AccountPage, AccountView, IssuedKeys},
    usage::UsageView,
};

/// Returns a key with its status at `now`.
pub fn key(key: KeyRecord, now: Timestamp) -> impl Serialize {
    KeyView::of(key, now)
}

/// Returns a page of keys.
pub fn keys(page: Page<KeyRecord>, now: Timestamp) -> impl Serialize {
    KeyPage::of(page, now)
}

/// Returns a new key with its secret.
pub fn issued(issued: IssuedKey, now: Timestamp) -> impl Serialize {
    IssuedView::of(issued, now)
}

/// Returns the keys of a service account with their new secrets.
pub fn rotated(issued: Vec<IssuedKey>, now: Timestamp) -> impl Serialize {
    IssuedKeys::of(issued, now)
}

/// Returns a step of a bulk revocation, or its preview.
pub fn revoked(step: BulkRevoked) -> impl Serialize {
    Revoked::of(step)
}

/// Returns a service account.
pub fn account(account: ServiceAccount) -> impl Serialize {
    AccountView::of(account)
}

/// Returns a page of service accounts.
pub fn accounts(page: Page<ServiceAccount>) -> impl Serialize {
    AccountPage::of(page)
}

/// Returns a page of audit events.
pub fn audit_events(page: Page<AuditEvent>) -> impl Serialize {
    EventPage::of(page)
}

/// Returns a page of a key's requests.
pub fn activity(page: Page<Activity>) -> impl Serialize {
    ActivityPage::of(page)
}

/// Returns the usage in a span of time.
pub fn usage(usage: Usage, span: Range<Timestamp>, bucket: Bucket) -> impl Serialize {
    UsageView::of(usage, span, bucket)
}
