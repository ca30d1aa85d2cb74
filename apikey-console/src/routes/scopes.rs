//! `/v1/scopes`: the scopes and roles that keys can be granted.

use apikey_core::ScopeSet;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{call::Caller, problem::Failure, reply};

/// The scopes and roles that keys can be granted. `*` may follow the part before a `:`, and `*` alone grants
/// everything.
#[derive(Serialize, ToSchema)]
#[schema(as = Scopes)]
pub(crate) struct ScopesView<'a> {
    items: Vec<ScopeView<'a>>,
    /// The roles.
    roles: Vec<RoleView<'a>>,
    /// The environments that keys can be issued for; the first one is used unless another is asked for.
    environments: Vec<&'a str>,
}

/// A scope.
#[derive(Serialize, ToSchema)]
#[schema(as = Scope)]
pub(crate) struct ScopeView<'a> {
    /// The scope's name, such as `files:read`.
    name: &'a str,
    description: &'a str,
}

/// A role: a name for several scopes.
#[derive(Serialize, ToSchema)]
#[schema(as = Role)]
pub(crate) struct RoleView<'a> {
    name: &'a str,
    #[schema(value_type = Vec<String>)]
    grants: &'a ScopeSet,
}

/// Lists scopes and roles
#[utoipa::path(get, path = "/scopes", operation_id = "list_scopes", tag = "caller",
    responses((status = 200, description = "Scopes and roles.", body = ScopesView)))]
pub(crate) async fn list(caller: Caller) -> Result<Response, Failure> {
    let catalog = caller.keys().catalog();
    let items = catalog.scopes().map(|(name, description)| ScopeView { name: name.as_str(), description });
    let roles = catalog.roles().map(|(name, grants)| RoleView { name, grants });
    let environments = caller.keys().environments().collect();
    reply::json(StatusCode::OK, &ScopesView { items: items.collect(), roles: roles.collect(), environments })
}
