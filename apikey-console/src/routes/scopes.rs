//! `/v1/scopes`: what keys of this service may be granted.

use apikey_core::ScopeSet;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{call::Caller, problem::Failure, reply};

/// What keys may be granted. A scope's part before `:` may be followed by `*`, and `*` alone is everything.
#[derive(Serialize, ToSchema)]
#[schema(as = Scopes)]
pub(crate) struct ScopesView<'a> {
    items: Vec<ScopeView<'a>>,
    /// Names that stand for several scopes.
    roles: Vec<RoleView<'a>>,
}

/// One thing that a key may do.
#[derive(Serialize, ToSchema)]
#[schema(as = Scope)]
pub(crate) struct ScopeView<'a> {
    /// Such as `files:read`.
    name: &'a str,
    description: &'a str,
}

/// A name that stands for several scopes.
#[derive(Serialize, ToSchema)]
#[schema(as = Role)]
pub(crate) struct RoleView<'a> {
    name: &'a str,
    #[schema(value_type = Vec<String>)]
    grants: &'a ScopeSet,
}

/// Lists the scopes that keys may be granted
#[utoipa::path(get, path = "/scopes", operation_id = "list_scopes", tag = "caller",
    responses((status = 200, description = "Scopes and roles.", body = ScopesView)))]
pub(crate) async fn list(caller: Caller) -> Result<Response, Failure> {
    let catalog = caller.keys().catalog();
    let items = catalog.scopes().map(|(name, description)| ScopeView { name: name.as_str(), description });
    let roles = catalog.roles().map(|(name, grants)| RoleView { name, grants });
    reply::json(StatusCode::OK, &ScopesView { items: items.collect(), roles: roles.collect() })
}
