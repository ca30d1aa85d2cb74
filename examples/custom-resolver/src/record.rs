//! The data that the service and the verifier exchange: JSON that both sides parse with these types.

use axum_apikey::{Claims, KeyDigest, KeyId, KeyStatus, Resolution, ScopeError, ScopeSet, Timestamp};
use serde::{Deserialize, Serialize};

/// The `code` of the 404 for an unknown key.
///
/// A bare 404 says nothing about keys: it may be caused by a wrong URL or by a proxy.
pub const UNKNOWN_KEY: &str = "unknown_key";

/// Asks for the record that is stored under one of these digests.
///
/// A key has several digests while peppers are being rotated.
#[derive(Debug, Deserialize, Serialize)]
pub struct Question {
    /// As text, such as `sha256:…`.
    pub digests: Vec<KeyDigest>,
}

/// A key's record.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// The stored digest. The service compares it with the presented key's.
    pub digest: KeyDigest,
    /// The record's public name.
    pub id: KeyId,
    /// The key's name.
    pub name: String,
    /// The scopes.
    pub scopes: Vec<String>,
    /// The status.
    pub status: Status,
    /// The expiry, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The status of a key. An unknown status is an error, so that its key is not accepted.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In use.
    Active,
    /// Disabled.
    Disabled,
    /// The key is revoked for good.
    Revoked,
}

/// The error for a record with an invalid scope.
#[derive(Debug, thiserror::Error)]
#[error("the record of {id} has a malformed scope")]
pub struct RecordError {
    id: KeyId,
    source: ScopeError,
}

impl TryFrom<Record> for Resolution {
    type Error = RecordError;

    fn try_from(record: Record) -> Result<Self, RecordError> {
        let Record { digest, id, name, scopes, status, expires_at } = record;
        let scopes = ScopeSet::from_grants(scopes).map_err(|source| RecordError { id: id.clone(), source })?;
        let mut claims = Claims::new(id).with_name(name).with_scopes(scopes);
        if let Some(expires_at) = expires_at {
            claims = claims.with_expiry(expires_at);
        }
        // With the digest rather than vouched, so that another key's record is not accepted.
        Ok(Resolution::new(digest, claims).with_status(match status {
            Status::Active => KeyStatus::Active,
            Status::Disabled => KeyStatus::Disabled,
            Status::Revoked => KeyStatus::Revoked,
        }))
    }
}
