//! `/v1/api-keys`: keys, listed, issued, read, changed and deleted.

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{
    ActorId, Cursor, Expiry, KeyFilter, KeyUpdate, ManageError, NewKey, ServiceAccountId, Set, Status,
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

/// How often a change is tried again when somebody else was faster.
const ATTEMPTS: usize = 5;

/// A page of keys, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyPage)]
pub(crate) struct KeyPage {
    #[schema(max_items = 200)]
    items: Vec<KeyView>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// Which keys, and which of their pages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListKeys {
    /// The most keys on the page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// Where the page begins: the `next_cursor` of the one before.
    #[param(value_type = Option<String>)]
    #[serde(deserialize_with = "input::parsed")]
    cursor: Option<Cursor>,
    /// Keys of this status.
    #[param(value_type = Option<KeyStatus>)]
    #[serde(deserialize_with = "input::status")]
    status: Option<Status>,
    /// Keys of this environment.
    #[param(value_type = Option<Wanted>)]
    environment: Option<String>,
    /// Keys of the service account of this id.
    #[param(value_type = Option<Id>)]
    #[serde(deserialize_with = "input::parsed")]
    service_account: Option<ServiceAccountId>,
    /// Keys that this actor issued, such as `key:…`.
    #[param(value_type = Option<ActorName>)]
    #[serde(deserialize_with = "input::parsed")]
    created_by: Option<ActorId>,
    /// Keys with this text in their name, description or hint, or as their id. Case makes no difference to the letters A to
    /// Z, and to no others; and texts are compared as they were written, so that `é` in one character is not found by `é`
    /// in two.
    #[param(value_type = Option<Wanted>)]
    q: Option<String>,
}

impl Input for ListKeys {}

/// Lists keys
///
/// Newest first.
#[utoipa::path(get, path = "/api-keys", operation_id = "list_api_keys", tag = "keys", params(ListKeys), responses(
    (status = 200, description = "A page of keys.", body = KeyPage),
))]
pub(crate) async fn list(caller: Caller, Query(params): Query<ListKeys>) -> Result<Response, Failure> {
    let ListKeys { limit, cursor, status, environment, service_account, created_by, q } = params;
    let mut filter = KeyFilter::default();
    filter.status = status;
    filter.environment = environment;
    filter.service_account = service_account;
    filter.created_by = created_by;
    filter.text = q;
    let page = caller.keys().list(&caller.actor, filter, page(limit, cursor)).await?;
    let (next_cursor, now) = (next_cursor(&page), caller.keys().now());
    let items = page.items.into_iter().map(|key| KeyView::of(key, now)).collect();
    reply::json(StatusCode::OK, &KeyPage { items, next_cursor })
}

/// A key to be issued.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
pub(crate) struct CreateKey {
    /// What people call it.
    #[schema(value_type = Name)]
    name: String,
    /// What it is for.
    #[schema(value_type = Option<Remark>)]
    description: Option<String>,
    /// What it may do: scopes, wildcards such as `files:*`, and roles. Nothing, unless given.
    #[schema(value_type = Option<Vec<Grant>>, max_items = 200)]
    scopes: Option<Vec<String>>,
    /// The environment it belongs to; the first one that the service has, unless given.
    environment: Option<String>,
    /// The service account it is issued to.
    #[schema(value_type = Option<Id>)]
    #[serde(deserialize_with = "input::parsed")]
    service_account_id: Option<ServiceAccountId>,
    /// Not let in from this moment on. Null: never; left out: as the organization's plan says.
    #[schema(value_type = Option<Timestamp>, required = false)]
    expires_at: Given<Timestamp>,
    /// Not let in before this moment.
    not_before: Option<Timestamp>,
    /// The host's own notes: up to 8 KiB, up to 8 levels deep.
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
/// The answer is the only place where its secret appears.
#[utoipa::path(post, path = "/api-keys", operation_id = "issue_api_key", tag = "keys", request_body = CreateKey, responses(
    (status = 201, description = "The key, and its secret.", body = IssuedView,
        headers(("Location" = String, description = "Where the key is found."))),
))]
pub(crate) async fn create(caller: Caller, Json(sent): Json<CreateKey>) -> Result<Response, Failure> {
    let key = sent.into_key();
    let made = caller.keys().issue(&caller.actor, key).await?;
    issued(&caller, made)
}

/// Reads a key
#[utoipa::path(get, path = "/api-keys/{id}", operation_id = "get_api_key", tag = "keys", responses(
    (status = 200, description = "The key.", body = KeyView, headers(("ETag" = String, description = "Its version."))),
))]
pub(crate) async fn get(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    let key = caller.keys().get(&caller.actor, &id).await?;
    shown(&caller, key)
}

/// A change of a key, as a merge patch (RFC 7396): what is left out stays, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyPatch)]
pub(crate) struct PatchKey {
    /// What people call it. It can't be cleared.
    #[schema(value_type = Name, required = false)]
    name: Given<String>,
    /// What it is for.
    #[schema(value_type = Option<Remark>, required = false)]
    description: Given<String>,
    /// What it may do, all of it.
    #[schema(value_type = Option<Vec<Grant>>, required = false, max_items = 200)]
    scopes: Given<Vec<String>>,
    /// Not let in before this moment.
    #[schema(value_type = Option<Timestamp>, required = false)]
    not_before: Given<Timestamp>,
    /// Not let in from this moment on; cleared, it never expires.
    #[schema(value_type = Option<Timestamp>, required = false)]
    expires_at: Given<Timestamp>,
    /// The host's own notes. What is given is merged into what is there, member by member.
    #[schema(value_type = Option<Object>, required = false)]
    metadata: Given<Map<String, Value>>,
}

impl Input for PatchKey {
    fn resource() -> Option<RefOr<Schema>> {
        Some(KeyView::schema())
    }
}

impl PatchKey {
    /// The change, apart from the metadata that is merged.
    fn into_update(self) -> (KeyUpdate, Given<Map<String, Value>>) {
        let update = KeyUpdate::new()
            .name(self.name.into())
            .description(self.description.into())
            .scopes(self.scopes.into())
            .not_before(self.not_before.into())
            .expires_at(self.expires_at.into());
        (update, self.metadata)
    }
}

/// Changes a key
///
/// Requests under way finish under the old record; whatever arrives after the answer is judged by the new one.
#[utoipa::path(patch, path = "/api-keys/{id}", operation_id = "change_api_key", tag = "keys",
    params(("If-Match" = Option<String>, Header, description = "The entity tag of the version that is to be changed.")),
    request_body(content((PatchKey = "application/merge-patch+json"), (PatchKey = "application/json"))),
    responses(
        (status = 200, description = "The key as it is now.", body = KeyView,
            headers(("ETag" = String, description = "Its version."))),
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
            // What is merged, or compared with more than one version, has to be read first.
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
            // The version is not the caller's: it was only the one that was read.
            Err(ManageError::StaleVersion { .. }) if !matches!(wanted, Some(Tags::Versions(_))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(precondition::busy())
}

fn merged(mut before: Map<String, Value>, patch: &Given<Map<String, Value>>) -> Set<Map<String, Value>> {
    match patch {
        Given::Value(patch) => {
            merge_patch::merge(&mut before, patch.clone());
            Set::To(before)
        }
        other => other.clone().into(),
    }
}

/// Deletes a key
///
/// In any state; nobody is let in with it from then on. What the audit trail and the usage say of it stays.
#[utoipa::path(delete, path = "/api-keys/{id}", operation_id = "delete_api_key", tag = "keys", responses(
    (status = 204, description = "It is gone."),
))]
pub(crate) async fn delete(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    caller.keys().delete(&caller.actor, &id).await?;
    Ok(reply::no_content())
}
