//! What is done to a single key: rotated, duplicated, switched off and on.

use apikey_core::KeyId;
use apikey_manager::Overlap;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::key_view::{IssuedView, KeyView, issued, shown};
use crate::{
    call::{Caller, Json, PathId},
    input::{self, Input},
    problem::Failure,
    reply,
};

/// How long the secret that a rotation replaces lives on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rotation)]
pub(crate) struct Rotate {
    /// In seconds; 0: not at all; null: until `end-overlap` is asked for.
    #[schema(value_type = Option<u64>, maximum = 31622400, required = true)]
    #[serde(deserialize_with = "input::overlap")]
    pub(crate) overlap_seconds: Overlap,
}

impl Input for Rotate {}

/// Rotates a key
///
/// It keeps its id, scopes, metadata and history, and gets a new secret. A key has at most two secrets that are let in: one
/// that an earlier rotation left behind ends now.
#[utoipa::path(post, path = "/api-keys/{id}/rotate", operation_id = "rotate_api_key", tag = "keys",
    request_body = Rotate, responses((status = 200, description = "The key, and its new secret.", body = IssuedView)))]
pub(crate) async fn rotate(
    caller: Caller,
    PathId(id): PathId<KeyId>,
    Json(sent): Json<Rotate>,
) -> Result<Response, Failure> {
    let rotated = caller.keys().rotate(&caller.actor, &id, sent.overlap_seconds).await?;
    reply::secret(StatusCode::OK, &IssuedView::of(rotated, caller.keys().now()))
}

/// Ends a rotation's overlap
///
/// Only the newest secret is let in from then on.
#[utoipa::path(post, path = "/api-keys/{id}/end-overlap", operation_id = "end_api_key_overlap", tag = "keys",
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn end_overlap(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    let key = caller.keys().end_overlap(&caller.actor, &id).await?;
    shown(&caller, key)
}

/// Issues a key like another
///
/// With its name, description, scopes, environment, service account, expiry and metadata. The other stays as it is.
#[utoipa::path(post, path = "/api-keys/{id}/duplicate", operation_id = "duplicate_api_key", tag = "keys", responses(
    (status = 201, description = "The new key, and its secret.", body = IssuedView,
        headers(("Location" = String, description = "Where the new key is found."))),
))]
pub(crate) async fn duplicate(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    let made = caller.keys().duplicate(&caller.actor, &id).await?;
    issued(&caller, made)
}

/// Switches a key off
///
/// Nobody is let in with it, and requests under way end. A key that is off stays as it is.
#[utoipa::path(post, path = "/api-keys/{id}/disable", operation_id = "disable_api_key", tag = "keys",
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn disable(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    let key = caller.keys().disable(&caller.actor, &id).await?;
    shown(&caller, key)
}

/// Switches a key on again
#[utoipa::path(post, path = "/api-keys/{id}/enable", operation_id = "enable_api_key", tag = "keys",
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn enable(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    let key = caller.keys().enable(&caller.actor, &id).await?;
    shown(&caller, key)
}
