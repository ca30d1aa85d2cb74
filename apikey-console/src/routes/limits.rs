//! `/v1/limits`: the limits of the organization's plan, and their use.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{call::Caller, problem::Failure, reply};

/// The limits of a plan, and their use.
#[derive(Serialize, ToSchema)]
#[schema(as = Limits)]
pub(crate) struct LimitsView {
    /// Keys that are neither revoked nor expired.
    keys: Limit,
    /// Service accounts.
    service_accounts: Limit,
    /// The longest lifetime that may be set, or null if there is no limit.
    longest_lifetime_seconds: Option<u64>,
    /// The lifetime of keys that are issued without an expiry, or null if they never expire.
    default_lifetime_seconds: Option<u64>,
    /// `true` if every new key must expire.
    expiry_required: bool,
    /// The longest overlap of a rotation, or null if there is no limit. With 0, each rotation ends the old secret now.
    longest_overlap_seconds: Option<u64>,
}

/// The number in use and the number allowed.
#[derive(Serialize, ToSchema)]
#[schema(as = Limit)]
pub(crate) struct Limit {
    used: u64,
    /// The number allowed, or null if there is no limit.
    allowed: Option<u64>,
}

/// Reads the limits of the plan
#[utoipa::path(get, path = "/limits", operation_id = "get_limits", tag = "usage",
    responses((status = 200, description = "The limits and their use.", body = LimitsView)))]
pub(crate) async fn get(caller: Caller) -> Result<Response, Failure> {
    let in_use = caller.keys().limits(&caller.actor).await?;
    let (limits, used) = (in_use.limits, in_use.used);
    let view = LimitsView {
        keys: Limit { used: used.keys, allowed: limits.allowed_keys() },
        service_accounts: Limit { used: used.service_accounts, allowed: limits.allowed_service_accounts() },
        longest_lifetime_seconds: limits.allowed_lifetime().map(|lifetime| lifetime.as_secs()),
        default_lifetime_seconds: limits.lifetime_unless_set().map(|lifetime| lifetime.as_secs()),
        expiry_required: limits.is_expiry_required(),
        longest_overlap_seconds: limits.allowed_overlap().map(|overlap| overlap.as_secs()),
    };
    reply::json(StatusCode::OK, &view)
}
