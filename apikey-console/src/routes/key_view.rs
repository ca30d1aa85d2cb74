//! Keys as answers show them.

use apikey_core::{JsonObject, PlaintextKey, ScopeSet, Timestamp};
use apikey_manager::{IssuedKey, KeyRecord};
use axum::response::Response;
use http::{StatusCode, header::LOCATION};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{call::Caller, problem::Failure, reply};

/// A key: everything but its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyView {
    /// Its id, for ever the same.
    id: String,
    /// Whose it is.
    organization: String,
    /// What people call it.
    name: String,
    /// What it is for.
    description: String,
    /// Where it stands in its life.
    #[schema(value_type = KeyStatus)]
    status: &'static str,
    /// The environment it belongs to.
    environment: Option<String>,
    /// Enough of its newest secret to tell it from others.
    #[schema(examples("acme_live_7fQ2…9dKp"))]
    hint: String,
    /// What was granted: scopes, wildcards, and roles by their names.
    #[schema(value_type = Vec<String>)]
    scopes: ScopeSet,
    /// The service account it was issued to.
    service_account_id: Option<String>,
    /// When it was issued.
    created_at: Timestamp,
    /// Who issued it: `key:…` for a key.
    created_by: String,
    /// The key that issued it.
    created_by_key: Option<String>,
    /// Not let in before this moment.
    not_before: Option<Timestamp>,
    /// Not let in from this moment on.
    expires_at: Option<Timestamp>,
    /// When it was last let in, to within the interval in which usage is written.
    last_used_at: Option<Timestamp>,
    /// Since when it is switched off.
    disabled_at: Option<Timestamp>,
    /// Who switched it off.
    disabled_by: Option<String>,
    /// When it was ended for good.
    revoked_at: Option<Timestamp>,
    /// Who ended it.
    revoked_by: Option<String>,
    /// Why, in their words.
    revoked_reason: Option<String>,
    /// The host's own notes.
    #[schema(value_type = Object)]
    metadata: JsonObject,
    /// Its secrets that are let in, the newest first: two while a rotation's overlap is under way.
    secrets: Vec<SecretView>,
    /// Counts its changes; the entity tag.
    #[schema(minimum = 1)]
    version: u64,
}

/// What is known of one of a key's secrets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretWindow)]
pub(crate) struct SecretView {
    /// When it was made.
    created_at: Timestamp,
    /// When a newer one took its place.
    superseded_at: Option<Timestamp>,
    /// Not let in from this moment on.
    ends_at: Option<Timestamp>,
    /// When it was last let in.
    last_used_at: Option<Timestamp>,
}

/// Where a key stands in its life.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the names of `Status`, for the document")]
pub(crate) enum KeyStatus {
    Active,
    Rotating,
    NotYetValid,
    Disabled,
    Expired,
    Revoked,
}

/// A key and its secret, which nobody can read anywhere again.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedKey)]
pub(crate) struct IssuedView {
    key: KeyView,
    /// What its holder sends as `Authorization: Bearer …`.
    #[schema(value_type = String)]
    secret: Secret,
}

/// A secret on its way into an answer, with no copy left behind.
pub(crate) struct Secret(PlaintextKey);

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl KeyView {
    pub(crate) fn of(key: KeyRecord, now: Timestamp) -> Self {
        let (disabled_at, disabled_by) = key.disabled.as_ref().map(|off| (off.at, off.by.to_string())).unzip();
        let secrets = key.live_secrets(now).map(|secret| SecretView {
            created_at: secret.created_at,
            superseded_at: secret.superseded_at,
            ends_at: secret.ends_at,
            last_used_at: secret.last_used_at,
        });
        KeyView {
            id: key.id.to_string(),
            organization: key.organization.to_string(),
            status: key.status(now).as_str(),
            secrets: secrets.collect(),
            name: key.name,
            description: key.description,
            environment: key.environment,
            hint: key.hint,
            scopes: key.scopes,
            service_account_id: key.service_account.map(|account| account.to_string()),
            created_at: key.created_at,
            created_by: key.created_by.to_string(),
            created_by_key: key.created_by_key.map(|key| key.to_string()),
            not_before: key.not_before,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            disabled_at,
            disabled_by,
            revoked_at: key.revoked.as_ref().map(|revoked| revoked.at),
            revoked_by: key.revoked.as_ref().map(|revoked| revoked.by.to_string()),
            revoked_reason: key.revoked.map(|revoked| revoked.reason),
            metadata: key.metadata,
            version: key.version,
        }
    }
}

impl IssuedView {
    pub(crate) fn of(issued: IssuedKey, now: Timestamp) -> Self {
        let (key, secret) = issued.into_parts();
        IssuedView { key: KeyView::of(key, now), secret: Secret(secret) }
    }
}

/// A key with its entity tag.
pub(crate) fn shown(caller: &Caller, key: KeyRecord) -> Result<Response, Failure> {
    let version = key.version;
    reply::versioned(&KeyView::of(key, caller.keys().now()), version)
}

/// A key that was just issued.
pub(crate) fn issued(caller: &Caller, issued: IssuedKey) -> Result<Response, Failure> {
    let location = caller.location(&format!("api-keys/{}", issued.id()));
    let reply = reply::secret(StatusCode::CREATED, &IssuedView::of(issued, caller.keys().now()))?;
    Ok(reply::with(reply, LOCATION, &location))
}
