//! `/v1/whoami`: what the service takes the caller for.

use apikey_core::{ScopeSet, Timestamp};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{call::Caller, problem::Failure, reply};

/// The caller.
#[derive(Serialize, ToSchema)]
#[schema(as = Caller)]
pub(crate) struct CallerView {
    /// As the audit trail names it: `key:…` for a key.
    actor: String,
    organization: String,
    /// What it may do, roles expanded.
    #[schema(value_type = Vec<String>)]
    scopes: ScopeSet,
    /// Until when.
    expires_at: Option<Timestamp>,
    /// Null for somebody who has logged in.
    key: Option<CallingKey>,
}

/// The key that asks.
#[derive(Serialize, ToSchema)]
#[schema(as = CallingKey)]
pub(crate) struct CallingKey {
    id: String,
    name: String,
    environment: Option<String>,
    service_account_id: Option<String>,
}

/// Says who asks
///
/// Any credential will do.
#[utoipa::path(get, path = "/whoami", operation_id = "whoami", tag = "caller",
    responses((status = 200, description = "The caller.", body = CallerView)))]
pub(crate) async fn get(caller: Caller) -> Result<Response, Failure> {
    let key = caller.key.as_ref().map(|key| CallingKey {
        id: key.key_id().to_string(),
        name: key.name().to_owned(),
        environment: key.environment().map(str::to_owned),
        service_account_id: key.service_account().map(str::to_owned),
    });
    let view = CallerView {
        actor: caller.actor.id().to_string(),
        organization: caller.actor.organization().to_string(),
        scopes: caller.keys().catalog().expand(caller.actor.scopes()),
        expires_at: caller.actor.expires_at(),
        key,
    };
    reply::json(StatusCode::OK, &view)
}
