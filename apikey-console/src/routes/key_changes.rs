//! What is done to a single key: rotated, duplicated, switched off and on.

use apikey_manager::Overlap;
use http::StatusCode;
use utoipa::ToSchema;

use super::key_view::{IssuedView, KeyView, issued, shown};
use crate::{
    call::Call,
    input::{Fields, Input, NoParams},
    problem::Failure,
    reply::{self, Reply},
};

/// How long the secret that a rotation replaces lives on.
#[derive(ToSchema)]
#[schema(as = Rotation)]
pub(crate) struct Rotate {
    /// In seconds; 0: not at all; null: until `end-overlap` is asked for.
    #[schema(value_type = Option<u64>, maximum = 31622400, required = true)]
    overlap_seconds: Overlap,
}

impl Input for Rotate {
    fn read(fields: &mut Fields) -> Self {
        Rotate { overlap_seconds: fields.overlap("overlap_seconds") }
    }
}

impl Rotate {
    pub(crate) fn overlap(&self) -> Overlap {
        self.overlap_seconds
    }
}

/// Rotates a key
///
/// It keeps its id, scopes, metadata and history, and gets a new secret. A key has at most two secrets that are let in: one
/// that an earlier rotation left behind ends now.
#[utoipa::path(post, path = "/api-keys/{id}/rotate", operation_id = "rotate_api_key", tag = "keys",
    request_body = Rotate, responses((status = 200, description = "The key, and its new secret.", body = IssuedView)))]
pub(crate) async fn rotate(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let id = call.key_id()?;
    let overlap = call.input::<Rotate>().await?.overlap();
    let rotated = call.keys().rotate(&call.actor, &id, overlap).await?;
    reply::secret(StatusCode::OK, &IssuedView::of(rotated, call.keys().now()))
}

/// Ends a rotation's overlap
///
/// Only the newest secret is let in from then on.
#[utoipa::path(post, path = "/api-keys/{id}/end-overlap", operation_id = "end_api_key_overlap", tag = "keys",
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn end_overlap(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let id = call.key_id()?;
    call.no_input().await?;
    let key = call.keys().end_overlap(&call.actor, &id).await?;
    shown(call, key)
}

/// Issues a key like another
///
/// With its name, description, scopes, environment, service account, expiry and metadata. The other stays as it is.
#[utoipa::path(post, path = "/api-keys/{id}/duplicate", operation_id = "duplicate_api_key", tag = "keys", responses(
    (status = 201, description = "The new key, and its secret.", body = IssuedView,
        headers(("Location" = String, description = "Where the new key is found."))),
))]
pub(crate) async fn duplicate(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let id = call.key_id()?;
    call.no_input().await?;
    let made = call.keys().duplicate(&call.actor, &id).await?;
    issued(call, made)
}

/// Switches a key off
///
/// Nobody is let in with it, and requests under way end. A key that is off stays as it is.
#[utoipa::path(post, path = "/api-keys/{id}/disable", operation_id = "disable_api_key", tag = "keys",
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn disable(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let id = call.key_id()?;
    call.no_input().await?;
    let key = call.keys().disable(&call.actor, &id).await?;
    shown(call, key)
}

/// Switches a key on again
#[utoipa::path(post, path = "/api-keys/{id}/enable", operation_id = "enable_api_key", tag = "keys",
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn enable(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let id = call.key_id()?;
    call.no_input().await?;
    let key = call.keys().enable(&call.actor, &id).await?;
    shown(call, key)
}
