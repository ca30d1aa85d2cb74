//! `/v1/service-accounts`: owners of keys that are not people.

use apikey_core::Timestamp;
use apikey_manager::{
    AccountUpdate, Cursor, IssuedKey, ManageError, NewAccount, Page, ServiceAccount, ServiceAccountId,
};
use axum::response::Response;
use http::{StatusCode, header::LOCATION};
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{key_changes::Rotate, key_view::IssuedView};
use crate::{
    call::{Caller, Json, PathId, Query},
    input::{self, Given, Input, Limit, page},
    precondition::{self, IfMatch, IfNoneMatch, Tags},
    problem::Failure,
    reply::{self, next_cursor},
    schema::{Name, Remark},
};

/// A service account.
#[derive(Serialize, ToSchema)]
#[schema(as = ServiceAccount)]
pub(crate) struct AccountView {
    /// The id, which never changes.
    id: String,
    /// The organization.
    organization: String,
    /// The name.
    name: String,
    /// The purpose.
    description: String,
    /// The time since when the account's keys are rejected.
    disabled_at: Option<Timestamp>,
    /// The actor who disabled it.
    disabled_by: Option<String>,
    /// The time of creation.
    created_at: Timestamp,
    /// The actor who created the account.
    created_by: String,
    /// The version, which is also the entity tag.
    #[schema(minimum = 1)]
    version: u64,
}

/// A page of service accounts, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = ServiceAccountPage)]
pub(crate) struct AccountPage {
    #[schema(max_items = 200)]
    items: Vec<AccountView>,
    /// The `cursor` of the next page, or null on the last one.
    next_cursor: Option<String>,
}

impl AccountPage {
    pub(crate) fn of(page: Page<ServiceAccount>) -> Self {
        let next_cursor = next_cursor(&page);
        AccountPage { items: page.items.into_iter().map(AccountView::of).collect(), next_cursor }
    }
}

impl AccountView {
    pub(crate) fn of(account: ServiceAccount) -> Self {
        AccountView {
            id: account.id.to_string(),
            organization: account.organization.to_string(),
            name: account.name,
            description: account.description,
            disabled_at: account.disabled.as_ref().map(|off| off.at),
            disabled_by: account.disabled.map(|off| off.by.to_string()),
            created_at: account.created_at,
            created_by: account.created_by.to_string(),
            version: account.version,
        }
    }
}

fn shown(account: ServiceAccount) -> Result<Response, Failure> {
    let version = account.version;
    reply::versioned(&AccountView::of(account), version)
}

/// The parameters of a list of accounts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAccounts {
    /// The page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// The `next_cursor` of the previous page.
    #[param(value_type = Option<String>)]
    #[serde(deserialize_with = "input::parsed")]
    cursor: Option<Cursor>,
}

impl Input for ListAccounts {}

/// Lists service accounts
///
/// Newest first.
#[utoipa::path(get, path = "/service-accounts", operation_id = "list_service_accounts", tag = "service accounts",
    params(ListAccounts), responses((status = 200, description = "A page of accounts.", body = AccountPage)))]
pub(crate) async fn list(caller: Caller, Query(params): Query<ListAccounts>) -> Result<Response, Failure> {
    let accounts = caller.keys().accounts(&caller.actor, page(params.limit, params.cursor)).await?;
    reply::json(StatusCode::OK, &AccountPage::of(accounts))
}

/// A new service account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewServiceAccount)]
pub(crate) struct CreateAccount {
    /// The name.
    #[schema(value_type = Name)]
    name: String,
    /// The purpose.
    #[schema(value_type = Option<Remark>)]
    description: Option<String>,
}

impl Input for CreateAccount {
    fn resource() -> Option<RefOr<Schema>> {
        Some(AccountView::schema())
    }
}

/// Creates a service account
#[utoipa::path(post, path = "/service-accounts", operation_id = "create_service_account", tag = "service accounts",
    request_body = CreateAccount, responses(
        (status = 201, description = "The account.", body = AccountView, headers(
            ("Location" = String, description = "The address of the account."),
            ("ETag" = String, description = "The version."),
        )),
    ),
)]
pub(crate) async fn create(
    caller: Caller,
    Json(CreateAccount { name, description }): Json<CreateAccount>,
) -> Result<Response, Failure> {
    let account = NewAccount::new(name).description(description.unwrap_or_default());
    let made = caller.keys().create_account(&caller.actor, account).await?;
    let location = caller.location(&format!("service-accounts/{}", made.id));
    let mut reply = shown(made)?;
    *reply.status_mut() = StatusCode::CREATED;
    Ok(reply::with(reply, LOCATION, &location))
}

/// Reads a service account
#[utoipa::path(get, path = "/service-accounts/{id}", operation_id = "get_service_account", tag = "service accounts",
    params(("If-None-Match" = Option<String>, Header, description = "The entity tag of the known version.")),
    responses(
        (status = 200, description = "The account.", body = AccountView,
            headers(("ETag" = String, description = "The version."))),
        (status = 304, description = "The version is the known one."),
    ),
)]
pub(crate) async fn get(
    caller: Caller,
    PathId(id): PathId<ServiceAccountId>,
    IfNoneMatch(known): IfNoneMatch,
) -> Result<Response, Failure> {
    let account = caller.keys().account(&caller.actor, &id).await?;
    match known.is_some_and(|known| known.has(account.version)) {
        true => Ok(reply::not_modified(account.version)),
        false => shown(account),
    }
}

/// A change of a service account, as a merge patch (RFC 7396): absent fields stay, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ServiceAccountPatch)]
pub(crate) struct PatchAccount {
    /// The name. It can't be cleared.
    #[schema(value_type = Name, required = false)]
    name: Given<String>,
    /// The purpose.
    #[schema(value_type = Option<Remark>, required = false)]
    description: Given<String>,
}

impl Input for PatchAccount {
    fn resource() -> Option<RefOr<Schema>> {
        Some(AccountView::schema())
    }
}

/// Changes a service account
#[utoipa::path(patch, path = "/service-accounts/{id}", operation_id = "change_service_account", tag = "service accounts",
    params(("If-Match" = Option<String>, Header, description = "The entity tag of the version to change.")),
    request_body(content((PatchAccount = "application/merge-patch+json"), (PatchAccount = "application/json"))),
    responses(
        (status = 200, description = "The changed account.", body = AccountView,
            headers(("ETag" = String, description = "The version."))),
    ),
)]
pub(crate) async fn update(
    caller: Caller,
    PathId(id): PathId<ServiceAccountId>,
    IfMatch(wanted): IfMatch,
    Json(PatchAccount { name, description }): Json<PatchAccount>,
) -> Result<Response, Failure> {
    let mut update = AccountUpdate::new().name(name).description(description);
    if let Some(wanted @ Tags::Versions(_)) = wanted {
        let before = caller.keys().account(&caller.actor, &id).await?;
        if !wanted.has(before.version) {
            return Err(precondition::failed());
        }
        update = update.if_version(before.version);
    }
    match caller.keys().update_account(&caller.actor, &id, update).await {
        Ok(account) => shown(account),
        Err(ManageError::StaleVersion { .. }) => Err(precondition::failed()),
        Err(error) => Err(error.into()),
    }
}

/// Deletes a service account
///
/// Its keys are revoked in the same transaction.
#[utoipa::path(delete, path = "/service-accounts/{id}", operation_id = "delete_service_account",
    tag = "service accounts", responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(caller: Caller, PathId(id): PathId<ServiceAccountId>) -> Result<Response, Failure> {
    caller.keys().delete_account(&caller.actor, &id).await?;
    Ok(reply::no_content())
}

/// Disables a service account
///
/// Its keys are rejected, and requests in progress end.
#[utoipa::path(post, path = "/service-accounts/{id}/disable", operation_id = "disable_service_account",
    tag = "service accounts", responses((status = 200, description = "The account.", body = AccountView)))]
pub(crate) async fn disable(caller: Caller, PathId(id): PathId<ServiceAccountId>) -> Result<Response, Failure> {
    shown(caller.keys().disable_account(&caller.actor, &id).await?)
}

/// Enables a service account
#[utoipa::path(post, path = "/service-accounts/{id}/enable", operation_id = "enable_service_account",
    tag = "service accounts", responses((status = 200, description = "The account.", body = AccountView)))]
pub(crate) async fn enable(caller: Caller, PathId(id): PathId<ServiceAccountId>) -> Result<Response, Failure> {
    shown(caller.keys().enable_account(&caller.actor, &id).await?)
}

/// The keys of an account with their new secrets.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedKeys)]
pub(crate) struct IssuedKeys {
    items: Vec<IssuedView>,
}

impl IssuedKeys {
    pub(crate) fn of(issued: Vec<IssuedKey>, now: Timestamp) -> Self {
        IssuedKeys { items: issued.into_iter().map(|issued| IssuedView::of(issued, now)).collect() }
    }
}

/// Rotates all of a service account's keys
///
/// All keys are rotated, or none. Revoked and expired ones are left out.
#[utoipa::path(post, path = "/service-accounts/{id}/rotate-all", operation_id = "rotate_service_account",
    params(("Idempotency-Key" = Option<String>, Header)),
    tag = "service accounts", request_body = Rotate,
    responses((status = 200, description = "The keys and their new secrets.", body = IssuedKeys)))]
pub(crate) async fn rotate_all(
    caller: Caller,
    PathId(id): PathId<ServiceAccountId>,
    Json(sent): Json<Rotate>,
) -> Result<Response, Failure> {
    let rotated = caller.keys().rotate_account(&caller.actor, &id, sent.overlap_seconds).await?;
    reply::secret(StatusCode::OK, &IssuedKeys::of(rotated, caller.keys().now()))
}
