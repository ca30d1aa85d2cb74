//! `/v1/whoami`: what the service takes the caller for.

use apikey_core::ScopeSet;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    call::Call,
    input::NoParams,
    moment::Moment,
    problem::Failure,
    reply::{self, Reply},
};

/// The caller.
#[derive(Serialize, ToSchema)]
#[schema(as = Caller)]
pub(crate) struct Caller {
    /// As the audit trail names it: `key:…` for a key.
    actor: String,
    organization: String,
    /// What it may do, roles expanded.
    #[schema(value_type = Vec<String>)]
    scopes: ScopeSet,
    /// Until when.
    expires_at: Option<Moment>,
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
    responses((status = 200, description = "The caller.", body = Caller)))]
pub(crate) async fn get(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let key = call.key.as_ref().map(|key| CallingKey {
        id: key.key_id().to_string(),
        name: key.name().to_owned(),
        environment: key.environment().map(str::to_owned),
        service_account_id: key.service_account().map(str::to_owned),
    });
    let caller = Caller {
        actor: call.actor.id().to_string(),
        organization: call.actor.organization().to_string(),
        scopes: call.keys().catalog().expand(call.actor.scopes()),
        expires_at: call.actor.expires_at().map(Moment),
        key,
    };
    reply::json(StatusCode::OK, &caller)
}
