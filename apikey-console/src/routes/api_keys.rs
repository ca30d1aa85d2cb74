//! `/v1/api-keys`: list, issue, read, change and delete keys.

use std::time::Duration;

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{
    ActorId, Cursor, Expiry, KeyFilter, KeyRecord, KeySort, KeyUpdate, ManageError, NewKey, Page, Patch,
    ServiceAccountId, Status,
};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::key_view::{IssuedView, KeyStatus, KeyView, issued, shown};
use crate::{
    call::{Caller, Json, PathId, Query},
    input::{self, Given, Input, Limit, page},
    merge_patch,
    precondition::{self, IfMatch, Tags},
    problem::Failure,
    reply::{self, next_cursor},
    schema::{ActorName, Grant, Id, Name, Remark, Wanted},
};

/// The number of attempts at a change when others change the key, too.
const ATTEMPTS: usize = 5;

/// A page of keys, in the requested order.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyPage)]
pub(crate) struct KeyPage {
    #[schema(max_items = 200)]
    items: Vec<KeyView>,
    /// The `cursor` of the next page, or null on the last one.
    next_cursor: Option<String>,
}

impl KeyPage {
    pub(crate) fn of(page: Page<KeyRecord>, now: Timestamp) -> Self {
        let next_cursor = next_cursor(&page);
        KeyPage { items: page.items.into_iter().map(|key| KeyView::of(key, now)).collect(), next_cursor }
    }
}

/// The parameters of a list of keys.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListKeys {
    /// The page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// The `next_cursor` of the previous page.
    #[param(value_type = Option<String>)]
    #[serde(deserialize_with = "input::parsed")]
    cursor: Option<Cursor>,
    /// Only keys of this status.
    #[param(value_type = Option<KeyStatus>)]
    #[serde(deserialize_with = "input::status")]
    status: Option<Status>,
    /// Only keys of this environment.
    #[param(value_type = Option<Wanted>)]
    environment: Option<String>,
    /// Only keys of this service account.
    #[param(value_type = Option<Id>)]
    service_account: Option<ServiceAccountId>,
    /// Only keys issued by this actor, such as `key:…`.
    #[param(value_type = Option<ActorName>)]
    created_by: Option<ActorId>,
    /// Only keys with this text in their name, description or hint, or with this id. The letters A to Z match in either
    /// case, others in their own case only. Texts are not normalized: `é` as one character doesn't match `é` as two.
    #[param(value_type = Option<Wanted>)]
    q: Option<String>,
    /// Only keys that were used, but not since this time. Usage is written in batches: a use appears up to 5 seconds
    /// late, or later if the service is configured so.
    last_used_before: Option<Timestamp>,
    /// `true` for keys that were never used, `false` for keys that were. A first use appears with the same delay as any
    /// other.
    #[param(value_type = Option<bool>)]
    #[serde(deserialize_with = "input::flag")]
    unused: Option<bool>,
    /// Only keys that expire before this time, or have expired.
    expires_before: Option<Timestamp>,
    /// Only keys whose newest secret is at least this many days old, such as `90`. Combine it with `status=active` to
    /// leave out expired and revoked keys.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 3650)]
    #[serde(deserialize_with = "input::days")]
    rotation_due: Option<Duration>,
    /// The order of the list. `created_at`, the default: newest first. `expires_at`: soonest expiry first, keys without
    /// an expiry last. `last_used_at`: keys that were never used first, then the longest unused. A cursor is valid for
    /// its own order.
    #[param(value_type = Option<KeyOrder>, inline)]
    #[serde(deserialize_with = "input::sort")]
    sort: Option<KeySort>,
}

impl Input for ListKeys {}

/// The order of a list of keys.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, clippy::enum_variant_names, reason = "the names of `KeySort`, for the document")]
enum KeyOrder {
    CreatedAt,
    ExpiresAt,
    LastUsedAt,
}

/// Lists keys
///
/// Newest first, unless `sort` says otherwise.
#[utoipa::path(get, path = "/api-keys", operation_id = "list_api_keys", tag = "keys", params(ListKeys), responses(
    (status = 200, description = "A page of keys.", body = KeyPage),
))]
pub(crate) async fn list(caller: Caller, Query(params): Query<ListKeys>) -> Result<Response, Failure> {
    let mut filter = KeyFilter::default();
    filter.status = params.status;
    filter.environment = params.environment;
    filter.service_account = params.service_account;
    filter.created_by = params.created_by;
    filter.text = params.q;
    filter.last_used_before = params.last_used_before;
    filter.unused = params.unused;
    filter.expires_before = params.expires_before;
    filter.rotation_due = params.rotation_due;
    let (sort, request) = (params.sort.unwrap_or_default(), page(params.limit, params.cursor));
    let page = caller.keys().list_sorted(&caller.actor, filter, sort, request).await?;
    reply::json(StatusCode::OK, &KeyPage::of(page, caller.keys().now()))
}

/// A new key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
pub(crate) struct CreateKey {
    /// The name.
    #[schema(value_type = Name)]
    name: String,
    /// The purpose.
    #[schema(value_type = Option<Remark>)]
    description: Option<String>,
    /// The grants: scopes, wildcards such as `files:*`, and roles. The default is none.
    #[schema(value_type = Option<Vec<Grant>>, max_items = 200)]
    scopes: Option<Vec<String>>,
    /// The environment. The default is the service's first one.
    environment: Option<String>,
    /// The service account that owns the key.
    #[schema(value_type = Option<Id>)]
    service_account_id: Option<ServiceAccountId>,
    /// The time from which the key is rejected. Null: never. The default is the organization's plan's.
    #[schema(value_type = Option<Timestamp>, required = false)]
    expires_at: Given<Timestamp>,
    /// The time before which the key is rejected.
    not_before: Option<Timestamp>,
    /// Additional data of the service: at most 8 KiB and 8 levels deep.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

impl Input for CreateKey {
    fn resource() -> Option<RefOr<Schema>> {
        Some(KeyView::schema())
    }
}

impl CreateKey {
    fn into_key(self) -> NewKey {
        let mut key = NewKey::new(self.name)
            .description(self.description.unwrap_or_default())
            .scopes(self.scopes.unwrap_or_default())
            .metadata(self.metadata.unwrap_or_default());
        if let Some(environment) = self.environment {
            key = key.environment(environment);
        }
        if let Some(account) = self.service_account_id {
            key = key.service_account(account);
        }
        if let Some(not_before) = self.not_before {
            key = key.not_before(not_before);
        }
        key.expiry(match self.expires_at {
            Given::Absent => Expiry::Default,
            Given::Null => Expiry::Never,
            Given::Value(expires_at) => Expiry::At(expires_at),
        })
    }
}

/// Issues a key
///
/// The secret is in this response and can't be read again.
#[utoipa::path(post, path = "/api-keys", operation_id = "issue_api_key", tag = "keys",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = CreateKey, responses(
    (status = 201, description = "The key and its secret.", body = IssuedView,
        headers(("Location" = String, description = "The address of the key."))),
))]
pub(crate) async fn create(caller: Caller, Json(sent): Json<CreateKey>) -> Result<Response, Failure> {
    let key = sent.into_key();
    let made = caller.keys().issue(&caller.actor, key).await?;
    issued(&caller, made)
}

/// Reads a key
#[utoipa::path(get, path = "/api-keys/{id}", operation_id = "get_api_key", tag = "keys", responses(
    (status = 200, description = "The key.", body = KeyView, headers(("ETag" = String, description = "The version."))),
))]
pub(crate) async fn get(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    let key = caller.keys().get(&caller.actor, &id).await?;
    shown(&caller, key)
}

/// A change of a key, as a merge patch (RFC 7396): absent fields stay, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyPatch)]
pub(crate) struct PatchKey {
    /// The name. It can't be cleared.
    #[schema(value_type = Name, required = false)]
    name: Given<String>,
    /// The purpose.
    #[schema(value_type = Option<Remark>, required = false)]
    description: Given<String>,
    /// The grants, which replace all earlier ones.
    #[schema(value_type = Option<Vec<Grant>>, required = false, max_items = 200)]
    scopes: Given<Vec<String>>,
    /// The time before which the key is rejected.
    #[schema(value_type = Option<Timestamp>, required = false)]
    not_before: Given<Timestamp>,
    /// The time from which the key is rejected. Null: never.
    #[schema(value_type = Option<Timestamp>, required = false)]
    expires_at: Given<Timestamp>,
    /// Additional data of the service. It is merged into the existing data, member by member.
    #[schema(value_type = Option<Object>, required = false)]
    metadata: Given<Map<String, Value>>,
}

impl Input for PatchKey {
    fn resource() -> Option<RefOr<Schema>> {
        Some(KeyView::schema())
    }
}

impl PatchKey {
    /// The change without its metadata, which is merged.
    fn into_update(self) -> (KeyUpdate, Given<Map<String, Value>>) {
        let update = KeyUpdate::new()
            .name(self.name)
            .description(self.description)
            .scopes(self.scopes)
            .not_before(self.not_before)
            .expires_at(self.expires_at);
        (update, self.metadata)
    }
}

/// Changes a key
///
/// Requests in progress finish with the old rights. Requests that arrive after the response have the new ones.
#[utoipa::path(patch, path = "/api-keys/{id}", operation_id = "change_api_key", tag = "keys",
    params(("If-Match" = Option<String>, Header, description = "The entity tag of the version to change.")),
    request_body(content((PatchKey = "application/merge-patch+json"), (PatchKey = "application/json"))),
    responses(
        (status = 200, description = "The changed key.", body = KeyView,
            headers(("ETag" = String, description = "The version."))),
    ),
)]
pub(crate) async fn update(
    caller: Caller,
    PathId(id): PathId<KeyId>,
    IfMatch(wanted): IfMatch,
    Json(patch): Json<PatchKey>,
) -> Result<Response, Failure> {
    let (update, metadata) = patch.into_update();
    for _ in 0..ATTEMPTS {
        let (version, metadata) = match (&wanted, &metadata) {
            (Some(Tags::Versions(versions)), Given::Absent | Given::Null) if versions.len() == 1 => {
                (Some(versions[0]), metadata.clone().into())
            }
            (None | Some(Tags::Any), Given::Absent | Given::Null) => (None, metadata.clone().into()),
            // The key is read first if metadata is merged or if there is more than one version to compare.
            _ => {
                let before = caller.keys().get(&caller.actor, &id).await?;
                if wanted.as_ref().is_some_and(|wanted| !wanted.has(before.version)) {
                    return Err(precondition::failed());
                }
                (Some(before.version), merged(before.metadata.to_map(), &metadata))
            }
        };
        let mut update = update.clone().metadata(metadata);
        if let Some(version) = version {
            update = update.if_version(version);
        }
        match caller.keys().update(&caller.actor, &id, update).await {
            Ok(key) => return shown(&caller, key),
            // The version is the one that was read, not the caller's.
            Err(ManageError::StaleVersion { .. }) if !matches!(wanted, Some(Tags::Versions(_))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(precondition::busy())
}

fn merged(mut before: Map<String, Value>, patch: &Given<Map<String, Value>>) -> Patch<Map<String, Value>> {
    match patch {
        Given::Value(patch) => {
            merge_patch::merge(&mut before, patch.clone());
            Patch::To(before)
        }
        other => other.clone().into(),
    }
}

/// Deletes a key
///
/// The key may be in any state, and is rejected from then on. Its audit events and usage stay.
#[utoipa::path(delete, path = "/api-keys/{id}", operation_id = "delete_api_key", tag = "keys", responses(
    (status = 204, description = "Deleted."),
))]
pub(crate) async fn delete(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    caller.keys().delete(&caller.actor, &id).await?;
    Ok(reply::no_content())
}
