//! What travels between the service and the verifier: JSON that both sides read with these types.

use axum_apikey::{Claims, KeyDigest, KeyId, KeyStatus, Resolution, ScopeError, ScopeSet, Timestamp};
use serde::{Deserialize, Serialize};

/// The `code` of the 404 that says: there is no such key.
///
/// A bare 404 says nothing of keys. It may as well come of a wrong URL, or of a proxy in between.
pub const UNKNOWN_KEY: &str = "unknown_key";

/// Asks for the record that is stored under one of these digests.
///
/// A key has several where peppers are being changed.
#[derive(Debug, Deserialize, Serialize)]
pub struct Question {
    /// As text, such as `sha256:…`.
    pub digests: Vec<KeyDigest>,
}

/// A key's record.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// The digest it is stored under. The service compares it with that of the key it holds.
    pub digest: KeyDigest,
    /// The record's public name.
    pub id: KeyId,
    /// What people call the key.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Whether it may be used at all.
    pub status: Status,
    /// From when on it may not, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Whether a key may be used. A status that is not known here is an error, and lets nobody in.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In use.
    Active,
    /// Switched off for now.
    Disabled,
    /// The key is revoked for good.
    Revoked,
}

/// A record has something as scope that is none.
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
        // With the digest, not as vouched for: whoever answers with another key's record lets nobody in.
        Ok(Resolution::new(digest, claims).with_status(match status {
            Status::Active => KeyStatus::Active,
            Status::Disabled => KeyStatus::Disabled,
            Status::Revoked => KeyStatus::Revoked,
        }))
    }
}
