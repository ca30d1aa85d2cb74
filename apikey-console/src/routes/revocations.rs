//! Ending keys for good: one, many, one's own.

use apikey_core::KeyId;
use apikey_manager::{ActorId, BulkRevocation, BulkRevoked, Selection, ServiceAccountId};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::key_view::{KeyView, shown};
use crate::{
    call::{Caller, Json, PathId},
    input::{self, Input},
    problem::{Failure, FieldProblem, Problem},
    reply,
    schema::{ActorName, Id, Remark, Wanted},
};

/// Why a key is ended.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Revocation)]
pub(crate) struct Revoke {
    /// For the audit trail.
    #[schema(value_type = Option<Remark>)]
    reason: Option<String>,
}

impl Input for Revoke {}

/// Why a key is ended, and what ends with it.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyRevocation)]
pub(crate) struct RevokeKey {
    /// For the audit trail.
    #[schema(max_length = 500, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    reason: Option<String>,
    /// Ends as well what the key made: keys that it issued or duplicated, secrets that it got by rotating other keys, and
    /// what those made.
    #[schema(default = false)]
    descendants: Option<bool>,
}

impl Input for RevokeKey {}

/// A key that was revoked, alone or with what it made.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = RevokedApiKey)]
pub(crate) enum RevokedView {
    Alone(Box<KeyView>),
    WithDescendants(Box<RevokedLine>),
}

/// A key that was revoked, and a first step of revoking what it made.
#[derive(Serialize, ToSchema)]
#[schema(as = RevokedLine)]
pub(crate) struct RevokedLine {
    key: KeyView,
    /// What has ended with it. Go on with `bulk-revoke`, the key's id as `key_id`, `descendants` and this `next`.
    descendants: Revoked,
}

/// Revokes a key
///
/// Nobody is let in with it, and requests under way end. A revoked key stays as it is, with the first reason. What
/// `descendants` would end can be seen before by a `bulk-revoke` with `key_id` and `dry_run`.
#[utoipa::path(post, path = "/api-keys/{id}/revoke", operation_id = "revoke_api_key", tag = "keys",
    request_body = Option<RevokeKey>,
    responses((status = 200, description = "The key; with `descendants`, what ended with it.", body = RevokedView)))]
pub(crate) async fn revoke(
    caller: Caller,
    PathId(id): PathId<KeyId>,
    sent: Option<Json<RevokeKey>>,
) -> Result<Response, Failure> {
    let RevokeKey { reason, descendants } = sent.map(|Json(sent)| sent).unwrap_or_default();
    let reason = reason.unwrap_or_default();
    if descendants != Some(true) {
        let key = caller.keys().revoke(&caller.actor, &id, reason).await?;
        let version = key.version;
        let alone = RevokedView::Alone(Box::new(KeyView::of(key, caller.keys().now())));
        return reply::versioned(&alone, version);
    }
    let (key, made) = caller.keys().revoke_with_descendants(&caller.actor, &id, reason).await?;
    let line = RevokedLine { key: KeyView::of(key, caller.keys().now()), descendants: Revoked::of(made) };
    reply::json(StatusCode::OK, &RevokedView::WithDescendants(Box::new(line)))
}

/// Ends the key that asks for it
///
/// Whoever holds a key may, whatever its scopes.
#[utoipa::path(post, path = "/self-revoke", operation_id = "self_revoke", tag = "caller", request_body = Option<Revoke>,
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn self_revoke(caller: Caller, sent: Option<Json<Revoke>>) -> Result<Response, Failure> {
    let Revoke { reason } = sent.map(|Json(sent)| sent).unwrap_or_default();
    if caller.key.is_none() {
        return Err(Problem::forbidden().into());
    }
    let key = caller.keys().revoke_self(&caller.actor, reason.unwrap_or_default()).await?;
    shown(&caller, key)
}

/// Which keys are ended: exactly one of `key_id`, `created_by`, `service_account_id`, `environment` and `everything`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkRevocation)]
pub(crate) struct BulkRevoke {
    /// This key: for what it made, with `descendants`.
    #[schema(value_type = Option<Id>)]
    #[serde(deserialize_with = "input::parsed")]
    key_id: Option<KeyId>,
    /// Those that this actor issued, such as `key:…`.
    #[schema(value_type = Option<ActorName>)]
    #[serde(deserialize_with = "input::parsed")]
    created_by: Option<ActorId>,
    /// Those of this service account.
    #[schema(value_type = Option<Id>)]
    #[serde(deserialize_with = "input::parsed")]
    service_account_id: Option<ServiceAccountId>,
    /// Those of this environment.
    #[schema(value_type = Option<Wanted>)]
    environment: Option<String>,
    /// All of the organization's, the one that asks included.
    everything: Option<bool>,
    /// Ends as well what those keys made, and with `created_by` what that actor made: keys that they issued or duplicated,
    /// secrets that they got by rotating other keys, and what those made.
    #[schema(default = false)]
    descendants: Option<bool>,
    /// Changes nothing, and tells what would be ended.
    #[schema(default = false)]
    dry_run: Option<bool>,
    /// Goes on where another request with the same selection has ended: that one's `next`.
    #[schema(value_type = Option<Id>)]
    #[serde(deserialize_with = "input::parsed")]
    next: Option<KeyId>,
    /// For the audit trail.
    #[schema(value_type = Option<Remark>)]
    reason: Option<String>,
}

impl Input for BulkRevoke {
    fn check(&self, mistakes: &mut Vec<FieldProblem>) {
        if self.everything == Some(false) {
            mistakes.push(FieldProblem::new("everything", "malformed", "must be true, or absent"));
        } else if self.selections().count() != 1 {
            let message =
                "exactly one of key_id, created_by, service_account_id, environment and everything must be given";
            mistakes.push(FieldProblem::new("", "exactly_one", message));
        }
    }
}

impl BulkRevoke {
    fn selections(&self) -> impl Iterator<Item = Selection> + use<> {
        let key = self.key_id.clone().map(Selection::Key);
        let created_by = self.created_by.clone().map(Selection::CreatedBy);
        let account = self.service_account_id.clone().map(Selection::ServiceAccount);
        let environment = self.environment.clone().map(Selection::Environment);
        let everything = self.everything.map(|_| Selection::Everything);
        [key, created_by, account, environment, everything].into_iter().flatten()
    }
}

/// What a request has ended, or would end.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkRevoked)]
pub(crate) struct Revoked {
    /// How many keys this request has revoked, not counting those that had been before.
    done: usize,
    /// Their ids.
    #[schema(max_items = 500)]
    ids: Vec<String>,
    /// The keys of which a secret was ended, and that live on: somebody among those that end had got it by a rotation.
    #[schema(max_items = 500)]
    rotated: Vec<String>,
    /// Keys that live on and were let do more by somebody among those that end: for people to look at.
    #[schema(max_items = 200)]
    widened: Vec<String>,
    /// How many keys are still to be revoked, or to have secrets ended.
    remaining: u64,
    /// Null when all is done; else the `next` of the request that goes on.
    next: Option<String>,
}

impl Revoked {
    fn of(revoked: BulkRevoked) -> Self {
        let names = |ids: Vec<KeyId>| ids.iter().map(ToString::to_string).collect();
        let mut rotated: Vec<KeyId> = revoked.secrets.into_iter().map(|(key, _)| key).collect();
        rotated.dedup();
        Revoked {
            done: revoked.keys.len(),
            ids: names(revoked.keys),
            rotated: names(rotated),
            widened: names(revoked.widened),
            remaining: revoked.remaining,
            next: revoked.next.map(|next| next.to_string()),
        }
    }
}

/// Revokes many keys
///
/// A request ends up to 500 keys in one transaction and says what is left. Repeat it with `next` until that is null. What
/// is done stays done when a later request fails. A key that asks for itself among others ends last.
#[utoipa::path(post, path = "/api-keys/bulk-revoke", operation_id = "bulk_revoke_api_keys", tag = "keys",
    request_body = BulkRevoke, responses((status = 200, description = "What was ended.", body = Revoked)))]
pub(crate) async fn bulk_revoke(caller: Caller, Json(asked): Json<BulkRevoke>) -> Result<Response, Failure> {
    let Some(selection) = asked.selections().next() else {
        return Err(Problem::forbidden().into());
    };
    let mut revocation = BulkRevocation::new(selection)
        .descendants(asked.descendants.unwrap_or_default())
        .reason(asked.reason.unwrap_or_default());
    if let Some(next) = asked.next {
        revocation = revocation.after(next);
    }
    let revoked = match asked.dry_run {
        Some(true) => caller.keys().preview_revocation(&caller.actor, revocation).await?,
        _ => caller.keys().revoke_selected(&caller.actor, revocation).await?,
    };
    reply::json(StatusCode::OK, &Revoked::of(revoked))
}
