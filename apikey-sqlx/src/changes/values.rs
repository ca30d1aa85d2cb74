//! Converts records to rows.

use apikey_core::{JsonObject, KeyId, Timestamp};
use apikey_manager::{AuditEvent, KeyRecord, Revocation, ServiceAccount, ServiceAccountId, StoreError, Switched};

use crate::query::Value;

/// The kinds of a lineage row.
pub(crate) const MADE_KEY: &str = "key";
pub(crate) const MADE_SECRET: &str = "secret";
pub(crate) const MADE_WIDENING: &str = "widening";

pub(super) const KEY_COLUMNS: &str = "id, organization, service_account, name, description, environment, hint, scopes, \
    created_at, created_by, created_by_key, not_before, expires_at, last_used_at, disabled_at, disabled_by, \
    revoked_at, revoked_by, revoked_reason, metadata, version";

pub(super) fn key_values(key: &KeyRecord) -> Result<Vec<Value>, StoreError> {
    let (disabled_at, disabled_by) = switched(key.disabled.as_ref());
    let [revoked_at, revoked_by, revoked_reason] = revoked(key.revoked.as_ref());
    Ok(vec![
        key.id.as_str().into(),
        key.organization.as_str().into(),
        key.service_account.as_ref().map(ServiceAccountId::as_str).into(),
        key.name.as_str().into(),
        key.description.as_str().into(),
        key.environment.as_deref().into(),
        key.hint.as_str().into(),
        key.scopes.as_str().into(),
        key.created_at.as_millis().into(),
        key.created_by.as_str().into(),
        key.created_by_key.as_ref().map(KeyId::as_str).into(),
        key.not_before.map(Timestamp::as_millis).into(),
        key.expires_at.map(Timestamp::as_millis).into(),
        key.last_used_at.map(Timestamp::as_millis).into(),
        disabled_at,
        disabled_by,
        revoked_at,
        revoked_by,
        revoked_reason,
        key.metadata.as_str().into(),
        version(key.version)?,
    ])
}

pub(super) fn account_values(account: &ServiceAccount) -> Vec<Value> {
    let (disabled_at, disabled_by) = switched(account.disabled.as_ref());
    vec![
        account.id.as_str().into(),
        account.organization.as_str().into(),
        account.name.as_str().into(),
        account.description.as_str().into(),
        disabled_at,
        disabled_by,
        account.created_at.as_millis().into(),
        account.created_by.as_str().into(),
        i64::try_from(account.version).unwrap_or(i64::MAX).into(),
    ]
}

pub(super) fn event_values(event: &AuditEvent) -> Vec<Value> {
    vec![
        event.id.as_str().into(),
        event.at.as_millis().into(),
        event.organization.as_str().into(),
        event.actor.as_str().into(),
        event.action.as_str().into(),
        event.target.as_str().into(),
        event.before.as_ref().map(JsonObject::as_str).into(),
        event.after.as_ref().map(JsonObject::as_str).into(),
        event.request_id.as_deref().into(),
    ]
}

pub(super) fn switched(switched: Option<&Switched>) -> (Value, Value) {
    let at = switched.map(|switched| switched.at.as_millis());
    (at.into(), switched.map(|switched| switched.by.as_str()).into())
}

pub(super) fn revoked(revoked: Option<&Revocation>) -> [Value; 3] {
    [
        revoked.map(|revoked| revoked.at.as_millis()).into(),
        revoked.map(|revoked| revoked.by.as_str()).into(),
        revoked.map(|revoked| revoked.reason.as_str()).into(),
    ]
}

pub(super) fn version(version: u64) -> Result<Value, StoreError> {
    i64::try_from(version).map(Value::from).map_err(|_| StoreError::conflict("the record has changed"))
}
