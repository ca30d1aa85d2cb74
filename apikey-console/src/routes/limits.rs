//! `/v1/limits`: what the organization's plan allows, and what is in use.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{call::Caller, problem::Failure, reply};

/// What a plan allows, and what is in use.
#[derive(Serialize, ToSchema)]
#[schema(as = Limits)]
pub(crate) struct LimitsView {
    /// Keys that are neither revoked nor expired.
    keys: Limit,
    /// Service accounts.
    service_accounts: Limit,
    /// How far off an expiry may be when it is set; null: as far as one likes.
    longest_lifetime_seconds: Option<u64>,
    /// The lifetime of keys that are issued without a word about it; null: they never expire.
    default_lifetime_seconds: Option<u64>,
    /// Must every new key expire?
    expiry_required: bool,
}

/// How many there are, and how many there may be.
#[derive(Serialize, ToSchema)]
#[schema(as = Limit)]
pub(crate) struct Limit {
    used: u64,
    /// Null: as many as one likes.
    allowed: Option<u64>,
}

/// Reads what the plan allows
#[utoipa::path(get, path = "/limits", operation_id = "get_limits", tag = "usage",
    responses((status = 200, description = "What is allowed, and what is in use.", body = LimitsView)))]
pub(crate) async fn get(caller: Caller) -> Result<Response, Failure> {
    let in_use = caller.keys().limits(&caller.actor).await?;
    let (limits, used) = (in_use.limits, in_use.used);
    let view = LimitsView {
        keys: Limit { used: used.keys, allowed: limits.allowed_keys() },
        service_accounts: Limit { used: used.service_accounts, allowed: limits.allowed_service_accounts() },
        longest_lifetime_seconds: limits.allowed_lifetime().map(|lifetime| lifetime.as_secs()),
        default_lifetime_seconds: limits.lifetime_unless_set().map(|lifetime| lifetime.as_secs()),
        expiry_required: limits.is_expiry_required(),
    };
    reply::json(StatusCode::OK, &view)
}
