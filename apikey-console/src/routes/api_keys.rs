//! `/v1/api-keys`: keys, listed, issued, read, changed and deleted.

use apikey_manager::{
    ActorId, Cursor, Expiry, KeyFilter, KeyUpdate, ManageError, NewKey, ServiceAccountId, Set, Status,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::key_view::{IssuedView, KeyStatus, KeyView, issued, shown};
use crate::{
    call::Call,
    input::{Fields, Input, Limit, NoParams, Params, Query, page},
    json,
    moment::Moment,
    precondition::{self, Tags},
    problem::Failure,
    reply::{self, Reply, next_cursor},
    texts::{ActorName, Grant, Id, Name, Remark, Wanted},
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
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListKeys {
    /// The most keys on the page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// Where the page begins: the `next_cursor` of the one before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// Keys of this status.
    #[param(value_type = Option<KeyStatus>)]
    status: Option<Status>,
    /// Keys of this environment.
    #[param(value_type = Option<Wanted>)]
    environment: Option<String>,
    /// Keys of the service account of this id.
    #[param(value_type = Option<Id>)]
    service_account: Option<ServiceAccountId>,
    /// Keys that this actor issued, such as `key:…`.
    #[param(value_type = Option<ActorName>)]
    created_by: Option<ActorId>,
    /// Keys with this text in their name, description or hint, or as their id. Case makes no difference to the letters A to
    /// Z, and to no others; and texts are compared as they were written, so that `é` in one character is not found by `é`
    /// in two.
    #[param(value_type = Option<Wanted>)]
    q: Option<String>,
}

impl Params for ListKeys {
    fn read(query: &mut Query) -> Self {
        ListKeys {
            limit: query.optional("limit"),
            cursor: query.optional("cursor"),
            status: query.optional("status"),
            environment: query.optional("environment"),
            service_account: query.optional("service_account"),
            created_by: query.optional("created_by"),
            q: query.optional("q"),
        }
    }
}

/// Lists keys
///
/// Newest first.
#[utoipa::path(get, path = "/api-keys", operation_id = "list_api_keys", tag = "keys", params(ListKeys), responses(
    (status = 200, description = "A page of keys.", body = KeyPage),
))]
pub(crate) async fn list(call: &mut Call, params: ListKeys) -> Result<Reply, Failure> {
    let ListKeys { limit, cursor, status, environment, service_account, created_by, q } = params;
    let mut filter = KeyFilter::default();
    filter.status = status;
    filter.environment = environment;
    filter.service_account = service_account;
    filter.created_by = created_by;
    filter.text = q;
    let page = call.keys().list(&call.actor, filter, page(limit, cursor)).await?;
    let (next_cursor, now) = (next_cursor(&page), call.keys().now());
    let items = page.items.into_iter().map(|key| KeyView::of(key, now)).collect();
    reply::json(StatusCode::OK, &KeyPage { items, next_cursor })
}

/// A key to be issued.
#[derive(ToSchema)]
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
    service_account_id: Option<ServiceAccountId>,
    /// Not let in from this moment on. Null: never; left out: as the organization's plan says.
    #[schema(value_type = Option<Moment>, required = false)]
    expires_at: Set<Moment>,
    /// Not let in before this moment.
    not_before: Option<Moment>,
    /// The host's own notes: up to 8 KiB, up to 8 levels deep.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

impl Input for CreateKey {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;

    fn read(fields: &mut Fields) -> Self {
        CreateKey {
            name: fields.required("name"),
            description: fields.optional("description"),
            scopes: fields.optional("scopes"),
            environment: fields.optional("environment"),
            service_account_id: fields.optional("service_account_id"),
            expires_at: fields.set("expires_at"),
            not_before: fields.optional("not_before"),
            metadata: fields.optional("metadata"),
        }
    }
}

/// What a key has and callers don't set.
const READ_ONLY: &[&str] = &[
    "id",
    "organization",
    "status",
    "hint",
    "created_at",
    "created_by",
    "created_by_key",
    "last_used_at",
    "disabled_at",
    "disabled_by",
    "revoked_at",
    "revoked_by",
    "revoked_reason",
    "secrets",
    "version",
];

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
        if let Some(Moment(not_before)) = self.not_before {
            key = key.not_before(not_before);
        }
        key.expiry(match self.expires_at {
            Set::Keep => Expiry::Default,
            Set::Clear => Expiry::Never,
            Set::To(Moment(expires_at)) => Expiry::At(expires_at),
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
pub(crate) async fn create(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let key = call.input::<CreateKey>().await?.into_key();
    let made = call.keys().issue(&call.actor, key).await?;
    issued(call, made)
}

/// Reads a key
#[utoipa::path(get, path = "/api-keys/{id}", operation_id = "get_api_key", tag = "keys", responses(
    (status = 200, description = "The key.", body = KeyView, headers(("ETag" = String, description = "Its version."))),
))]
pub(crate) async fn get(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let id = call.key_id()?;
    let key = call.keys().get(&call.actor, &id).await?;
    shown(call, key)
}

/// A change of a key, as a merge patch (RFC 7396): what is left out stays, null clears.
#[derive(ToSchema)]
#[schema(as = ApiKeyPatch)]
pub(crate) struct PatchKey {
    /// What people call it. It can't be cleared.
    #[schema(value_type = Name, required = false)]
    name: Set<String>,
    /// What it is for.
    #[schema(value_type = Option<Remark>, required = false)]
    description: Set<String>,
    /// What it may do, all of it.
    #[schema(value_type = Option<Vec<Grant>>, required = false, max_items = 200)]
    scopes: Set<Vec<String>>,
    /// Not let in before this moment.
    #[schema(value_type = Option<Moment>, required = false)]
    not_before: Set<Moment>,
    /// Not let in from this moment on; cleared, it never expires.
    #[schema(value_type = Option<Moment>, required = false)]
    expires_at: Set<Moment>,
    /// The host's own notes. What is given is merged into what is there, member by member.
    #[schema(value_type = Option<Object>, required = false)]
    metadata: Set<Map<String, Value>>,
}

impl Input for PatchKey {
    const READ_ONLY: &'static [&'static str] = &[
        "id",
        "organization",
        "status",
        "environment",
        "hint",
        "service_account_id",
        "created_at",
        "created_by",
        "created_by_key",
        "last_used_at",
        "disabled_at",
        "disabled_by",
        "revoked_at",
        "revoked_by",
        "revoked_reason",
        "secrets",
        "version",
    ];

    fn read(fields: &mut Fields) -> Self {
        PatchKey {
            name: fields.set("name"),
            description: fields.set("description"),
            scopes: fields.set("scopes"),
            not_before: fields.set("not_before"),
            expires_at: fields.set("expires_at"),
            metadata: fields.set("metadata"),
        }
    }
}

impl PatchKey {
    fn to_update(&self, metadata: Set<Map<String, Value>>) -> KeyUpdate {
        let moment = |set: &Set<Moment>| match set {
            Set::Keep => Set::Keep,
            Set::Clear => Set::Clear,
            Set::To(Moment(moment)) => Set::To(*moment),
        };
        KeyUpdate::new()
            .name(self.name.clone())
            .description(self.description.clone())
            .scopes(self.scopes.clone())
            .not_before(moment(&self.not_before))
            .expires_at(moment(&self.expires_at))
            .metadata(metadata)
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
pub(crate) async fn update(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let id = call.key_id()?;
    let wanted = precondition::if_match(call.headers())?;
    let patch = call.input::<PatchKey>().await?;
    for _ in 0..ATTEMPTS {
        let (version, metadata) = match (&wanted, &patch.metadata) {
            (Some(Tags::Versions(versions)), Set::Keep | Set::Clear) if versions.len() == 1 => {
                (Some(versions[0]), patch.metadata.clone())
            }
            (None | Some(Tags::Any), Set::Keep | Set::Clear) => (None, patch.metadata.clone()),
            // What is merged, or compared with more than one version, has to be read first.
            _ => {
                let before = call.keys().get(&call.actor, &id).await?;
                if wanted.as_ref().is_some_and(|wanted| !wanted.has(before.version)) {
                    return Err(precondition::failed());
                }
                (Some(before.version), merged(before.metadata.to_map(), &patch.metadata))
            }
        };
        let mut update = patch.to_update(metadata);
        if let Some(version) = version {
            update = update.if_version(version);
        }
        match call.keys().update(&call.actor, &id, update).await {
            Ok(key) => return shown(call, key),
            // Nobody asked for that version: it was only the one that was read.
            Err(ManageError::StaleVersion { .. }) if !matches!(wanted, Some(Tags::Versions(_))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(precondition::busy())
}

fn merged(mut before: Map<String, Value>, patch: &Set<Map<String, Value>>) -> Set<Map<String, Value>> {
    match patch {
        Set::To(patch) => {
            json::merge(&mut before, patch.clone());
            Set::To(before)
        }
        other => other.clone(),
    }
}

/// Deletes a key
///
/// In any state; nobody is let in with it from then on. What the audit trail and the usage say of it stays.
#[utoipa::path(delete, path = "/api-keys/{id}", operation_id = "delete_api_key", tag = "keys", responses(
    (status = 204, description = "It is gone."),
))]
pub(crate) async fn delete(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let id = call.key_id()?;
    call.no_input().await?;
    call.keys().delete(&call.actor, &id).await?;
    Ok(reply::no_content())
}
