//! The views of keys in responses.

use apikey_core::{JsonObject, PlaintextKey, ScopeSet, Timestamp};
use apikey_manager::{IssuedKey, KeyRecord};
use axum::response::Response;
use http::{StatusCode, header::LOCATION};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{call::Caller, problem::Failure, reply};

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyView {
    /// The id, which never changes.
    id: String,
    /// The organization.
    organization: String,
    /// The name.
    name: String,
    /// The purpose.
    description: String,
    /// The status.
    #[schema(value_type = KeyStatus)]
    status: &'static str,
    /// The environment.
    environment: Option<String>,
    /// The beginning and the end of the newest secret, to recognize it.
    #[schema(examples("acme_live_7fQ2…9dKp"))]
    hint: String,
    /// The grants: scopes, wildcards, and names of roles.
    #[schema(value_type = Vec<String>)]
    scopes: ScopeSet,
    /// The service account that owns the key.
    service_account_id: Option<String>,
    /// The time of issue.
    created_at: Timestamp,
    /// The actor who issued the key, `key:…` for a key.
    created_by: String,
    /// The id of the key that issued this one.
    created_by_key: Option<String>,
    /// The time before which the key is rejected.
    not_before: Option<Timestamp>,
    /// The time from which it is rejected.
    expires_at: Option<Timestamp>,
    /// The time of the last accepted request, to within the interval at which usage is written.
    last_used_at: Option<Timestamp>,
    /// The time when the key was disabled.
    disabled_at: Option<Timestamp>,
    /// The actor who disabled it.
    disabled_by: Option<String>,
    /// The time of the revocation.
    revoked_at: Option<Timestamp>,
    /// The actor who revoked the key.
    revoked_by: Option<String>,
    /// The reason that the actor gave.
    revoked_reason: Option<String>,
    /// Additional data of the service.
    #[schema(value_type = Object)]
    metadata: JsonObject,
    /// The valid secrets, newest first. There are two during a rotation's overlap.
    secrets: Vec<SecretView>,
    /// The version, which is also the entity tag.
    #[schema(minimum = 1)]
    version: u64,
}

/// One of a key's secrets, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretWindow)]
pub(crate) struct SecretView {
    /// The time of creation.
    created_at: Timestamp,
    /// The time when a newer secret replaced it.
    superseded_at: Option<Timestamp>,
    /// The time from which it is rejected.
    ends_at: Option<Timestamp>,
    /// The time of the last accepted request.
    last_used_at: Option<Timestamp>,
}

/// The status of a key.
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

/// A key and its secret, which can't be read again.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedKey)]
pub(crate) struct IssuedView {
    key: KeyView,
    /// The secret, to be sent as `Authorization: Bearer …`.
    #[schema(value_type = String)]
    secret: Secret,
}

/// A secret that is serialized without leaving a copy behind.
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

/// A newly issued key.
pub(crate) fn issued(caller: &Caller, issued: IssuedKey) -> Result<Response, Failure> {
    let location = caller.location(&format!("api-keys/{}", issued.id()));
    let reply = reply::secret(StatusCode::CREATED, &IssuedView::of(issued, caller.keys().now()))?;
    Ok(reply::with(reply, LOCATION, &location))
}
