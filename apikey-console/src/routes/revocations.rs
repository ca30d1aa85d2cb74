//! Revocations: of one key, of many, and of the caller's own.

use apikey_core::KeyId;
use apikey_manager::{ActorId, BulkRevocation, BulkRevoked, Selection, ServiceAccountId};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::key_view::{KeyView, shown};
use crate::{
    call::{Caller, Json, PathId},
    input::Input,
    problem::{Failure, FieldProblem, Problem},
    reply,
    schema::{ActorName, Id, Remark, Wanted},
};

/// The reason of a revocation.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Revocation)]
pub(crate) struct Revoke {
    /// The reason, for the audit trail.
    #[schema(value_type = Option<Remark>)]
    reason: Option<String>,
}

impl Input for Revoke {}

/// The reason of a revocation, and its extent.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyRevocation)]
pub(crate) struct RevokeKey {
    /// The reason, for the audit trail.
    #[schema(max_length = 500, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    reason: Option<String>,
    /// Also revokes keys that the key issued or duplicated, and ends secrets that it obtained by rotating other keys,
    /// recursively.
    #[schema(default = false)]
    descendants: Option<bool>,
}

impl Input for RevokeKey {}

/// A revoked key, alone or with its descendants.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = RevokedApiKey)]
pub(crate) enum RevokedView {
    Alone(Box<KeyView>),
    WithDescendants(Box<RevokedLine>),
}

/// A revoked key, and the first step of revoking its descendants.
#[derive(Serialize, ToSchema)]
#[schema(as = RevokedLine)]
pub(crate) struct RevokedLine {
    key: KeyView,
    /// The first step. Continue with `bulk-revoke`, passing the key's id as `key_id`, `descendants` and this `next`.
    descendants: Revoked,
}

/// Revokes a key
///
/// The key is rejected, and requests in progress end. Revoking a revoked key changes nothing; the first reason stays.
/// To preview `descendants`, call `bulk-revoke` with `key_id` and `dry_run`.
#[utoipa::path(post, path = "/api-keys/{id}/revoke", operation_id = "revoke_api_key", tag = "keys",
    request_body = Option<RevokeKey>,
    responses((status = 200, description = "The key and, with `descendants`, the first step of revoking its descendants.", body = RevokedView)))]
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

/// Revokes the caller's own key
///
/// Requires no scope.
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

/// The keys to revoke: exactly one of `key_id`, `created_by`, `service_account_id`, `environment` and `everything`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkRevocation)]
pub(crate) struct BulkRevoke {
    /// This key. Use it with `descendants`.
    #[schema(value_type = Option<Id>)]
    key_id: Option<KeyId>,
    /// Keys that this actor issued, such as `key:…`.
    #[schema(value_type = Option<ActorName>)]
    created_by: Option<ActorId>,
    /// Only keys of this service account.
    #[schema(value_type = Option<Id>)]
    service_account_id: Option<ServiceAccountId>,
    /// Keys of this environment.
    #[schema(value_type = Option<Wanted>)]
    environment: Option<String>,
    /// All keys of the organization, including the caller's.
    everything: Option<bool>,
    /// Also revokes keys that those keys (or the actor of `created_by`) issued or duplicated, and ends secrets that
    /// they obtained by rotating other keys, recursively.
    #[schema(default = false)]
    descendants: Option<bool>,
    /// Leaves the keys of service accounts, and what only those made: whoever created them has left, and the machines stay.
    #[schema(default = false)]
    keep_accounts: Option<bool>,
    /// Changes nothing and returns what would be revoked.
    #[schema(default = false)]
    dry_run: Option<bool>,
    /// Continues a request with the same selection: its `next`.
    #[schema(value_type = Option<Id>)]
    next: Option<KeyId>,
    /// The reason, for the audit trail.
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

/// The result of a step, or its preview.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkRevoked)]
pub(crate) struct Revoked {
    /// The number of keys that this request has revoked, without those that were revoked before.
    done: usize,
    /// The ids of those keys.
    #[schema(max_items = 500)]
    ids: Vec<String>,
    /// The ids of keys that stay valid but lost a secret, which a revoked key had obtained by a rotation.
    #[schema(max_items = 500)]
    rotated: Vec<String>,
    /// The ids of keys that stay valid and whose rights were widened by a revoked key. Review them.
    #[schema(max_items = 200)]
    widened: Vec<String>,
    /// The number of keys that further steps will change.
    remaining: u64,
    /// The `next` of the following request, or null if all is done.
    next: Option<String>,
}

impl Revoked {
    pub(crate) fn of(revoked: BulkRevoked) -> Self {
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
/// A request revokes up to 500 keys in one transaction. Repeat it with `next` until `next` is null. Finished steps stay
/// done if a later one fails. The caller's own key is revoked last.
#[utoipa::path(post, path = "/api-keys/bulk-revoke", operation_id = "bulk_revoke_api_keys", tag = "keys",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = BulkRevoke, responses((status = 200, description = "The result of this step.", body = Revoked)))]
pub(crate) async fn bulk_revoke(caller: Caller, Json(asked): Json<BulkRevoke>) -> Result<Response, Failure> {
    let Some(selection) = asked.selections().next() else {
        return Err(Problem::forbidden().into());
    };
    let mut revocation = BulkRevocation::new(selection)
        .descendants(asked.descendants.unwrap_or_default())
        .keep_accounts(asked.keep_accounts.unwrap_or_default())
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
