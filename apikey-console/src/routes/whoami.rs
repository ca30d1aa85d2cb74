//! `/v1/whoami`: the caller, as the service sees it.

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
    /// The actor's name in the audit trail, `key:…` for a key.
    actor: String,
    organization: String,
    /// The effective scopes, with roles expanded.
    #[schema(value_type = Vec<String>)]
    scopes: ScopeSet,
    /// The time from which the key is rejected.
    expires_at: Option<Timestamp>,
    /// `true` if the caller's organization operates the service, and sees its processes.
    operator: bool,
    /// The key, or null for a login.
    key: Option<CallingKey>,
}

/// The caller's key.
#[derive(Serialize, ToSchema)]
#[schema(as = CallingKey)]
pub(crate) struct CallingKey {
    id: String,
    name: String,
    environment: Option<String>,
    service_account_id: Option<String>,
}

/// Reads the caller
///
/// Requires no scope.
#[utoipa::path(get, path = "/whoami", operation_id = "whoami", tag = "caller",
    responses((status = 200, description = "The caller.", body = CallerView)))]
pub(crate) async fn get(caller: Caller) -> Result<Response, Failure> {
    let key = caller.key.as_ref().map(|key| CallingKey {
        id: key.key_id().to_string(),
        name: key.name().to_owned(),
        environment: key.environment().map(str::to_owned),
        service_account_id: key.service_account().map(ToString::to_string),
    });
    let view = CallerView {
        actor: caller.actor.id().to_string(),
        organization: caller.actor.organization().to_string(),
        scopes: caller.keys().catalog().expand(caller.actor.scopes()),
        expires_at: caller.actor.expires_at(),
        operator: caller.is_operator(),
        key,
    };
    reply::json(StatusCode::OK, &view)
}
