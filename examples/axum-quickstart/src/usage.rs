//! What a key did in the last day: how many requests were let in, and how many lacked a scope.

use std::time::Duration;

use apikey_sqlx::{Bucket, KeyManager, UsageBucket, UsageOf};
use axum_apikey::{AuthenticatedKey, BoxError};
use serde::Serialize;

use crate::keys;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Serialize)]
pub(crate) struct KeyUsage {
    key_id: String,
    ok: u64,
    refused: u64,
    hours: Vec<Hour>,
}

#[derive(Serialize)]
struct Hour {
    /// When it began.
    hour: String,
    ok: u64,
    refused: u64,
}

/// The usage of `key`, for its holder. The service asks for it, since few keys may see what all others do.
pub(crate) async fn of(key: &AuthenticatedKey, keys: &KeyManager) -> Result<KeyUsage, BoxError> {
    // Usage is counted by the hour: the one that has begun is the last of these.
    let to = Bucket::Hour.end(keys.now());
    let usage = keys.usage(&keys::host()?, UsageOf::Key(key.key_id().clone()), to - DAY, to, Bucket::Hour).await?;
    let hours = usage.buckets.into_iter().map(Hour::from).collect();
    Ok(KeyUsage { key_id: key.key_id().to_string(), ok: usage.ok, refused: usage.refused, hours })
}

impl From<UsageBucket> for Hour {
    fn from(UsageBucket { start, ok, refused }: UsageBucket) -> Self {
        Hour { hour: format!("{start:.0}"), ok, refused }
    }
}
