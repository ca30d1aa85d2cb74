//! Actions on a single key: rotate, end the overlap, duplicate, disable, enable.

use std::time::Duration;

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
    problem::{Failure, Problem},
    reply,
};

/// The overlap of a rotation: how long the replaced secret stays valid.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rotation)]
pub(crate) struct Rotate {
    /// Seconds. 0 ends the old secret now. Null keeps it until `end-overlap`.
    #[schema(value_type = Option<u64>, maximum = 31622400, required = true)]
    #[serde(deserialize_with = "input::overlap")]
    pub(crate) overlap_seconds: Overlap,
}

impl Input for Rotate {}

/// Rotates a key
///
/// The key keeps its id, scopes, metadata and history, and gets a new secret. A key has at most two valid secrets: one
/// left over from an earlier rotation ends now.
#[utoipa::path(post, path = "/api-keys/{id}/rotate", operation_id = "rotate_api_key", tag = "keys",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = Rotate, responses((status = 200, description = "The key and its new secret.", body = IssuedView)))]
pub(crate) async fn rotate(
    caller: Caller,
    PathId(id): PathId<KeyId>,
    Json(sent): Json<Rotate>,
) -> Result<Response, Failure> {
    let rotated = caller.keys().rotate(&caller.actor, &id, sent.overlap_seconds).await?;
    reply::secret(StatusCode::OK, &IssuedView::of(rotated, caller.keys().now()))
}

/// How long the presented secret stays valid after a key has rotated itself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SelfRotation)]
pub(crate) struct RotateSelf {
    /// Seconds: at least 5 minutes.
    #[schema(minimum = 300, maximum = 31622400)]
    overlap_seconds: u64,
}

impl Input for RotateSelf {}

/// Rotates the caller's own key
///
/// Requires no scope. The key keeps its id, scopes and expiry, and gets a new secret. If the answer is lost, send the
/// request again with the old secret: that makes another secret, and ends the lost one.
#[utoipa::path(post, path = "/self-rotate", operation_id = "self_rotate", tag = "caller", request_body = RotateSelf,
    responses((status = 200, description = "The key, and its new secret.", body = IssuedView)))]
pub(crate) async fn self_rotate(caller: Caller, Json(sent): Json<RotateSelf>) -> Result<Response, Failure> {
    if caller.key.is_none() {
        return Err(Problem::forbidden().into());
    }
    let rotated = caller.keys().rotate_self(&caller.actor, Duration::from_secs(sent.overlap_seconds)).await?;
    reply::secret(StatusCode::OK, &IssuedView::of(rotated, caller.keys().now()))
}

/// Ends a rotation's overlap
///
/// Only the newest secret stays valid.
#[utoipa::path(post, path = "/api-keys/{id}/end-overlap", operation_id = "end_api_key_overlap", tag = "keys",
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn end_overlap(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    let key = caller.keys().end_overlap(&caller.actor, &id).await?;
    shown(&caller, key)
}

/// Duplicates a key
///
/// The new key has the same name, description, scopes, environment, service account, expiry and metadata. The original
/// doesn't change.
#[utoipa::path(post, path = "/api-keys/{id}/duplicate", operation_id = "duplicate_api_key", tag = "keys",
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
    (status = 201, description = "The new key and its secret.", body = IssuedView,
        headers(("Location" = String, description = "The address of the new key."))),
))]
pub(crate) async fn duplicate(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    let made = caller.keys().duplicate(&caller.actor, &id).await?;
    issued(&caller, made)
}

/// Disables a key
///
/// The key is rejected, and requests in progress end. Disabling a disabled key changes nothing.
#[utoipa::path(post, path = "/api-keys/{id}/disable", operation_id = "disable_api_key", tag = "keys",
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn disable(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    let key = caller.keys().disable(&caller.actor, &id).await?;
    shown(&caller, key)
}

/// Enables a key
#[utoipa::path(post, path = "/api-keys/{id}/enable", operation_id = "enable_api_key", tag = "keys",
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn enable(caller: Caller, PathId(id): PathId<KeyId>) -> Result<Response, Failure> {
    let key = caller.keys().enable(&caller.actor, &id).await?;
    shown(&caller, key)
}
