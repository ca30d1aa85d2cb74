//! What the account used and has left: requests of its keys, and room for files.

use std::time::Duration;

use apikey_sqlx::{Bucket, KeyManager, UsageOf};
use axum_apikey::BoxError;
use serde::Serialize;

use crate::{
    keys::{self, Environment},
    store::ROOM,
};

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Serialize)]
pub(crate) struct Account {
    environment: &'static str,
    usage: Usage,
    balance: Balance,
}

/// Of all keys, in the last 30 days.
#[derive(Serialize)]
struct Usage {
    /// Requests that were let in.
    ok: u64,
    /// Requests that lacked a scope.
    refused: u64,
}

#[derive(Serialize)]
struct Balance {
    stored_bytes: usize,
    remaining_bytes: usize,
}

/// The account as it is, with `stored` bytes in its files.
pub(crate) async fn read(environment: Environment, keys: &KeyManager, stored: usize) -> Result<Account, BoxError> {
    // Usage is counted by the hour: the one that has begun is the last of these.
    let (host, to) = (keys::host(environment)?, Bucket::Hour.end(keys.now()));
    let usage = keys.usage(&host, UsageOf::Organization, to - MONTH, to, Bucket::Day).await?;
    Ok(Account {
        environment: environment.name(),
        usage: Usage { ok: usage.ok, refused: usage.refused },
        balance: Balance { stored_bytes: stored, remaining_bytes: ROOM.saturating_sub(stored) },
    })
}
