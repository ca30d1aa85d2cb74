//! Ending keys for good: one, many, one's own.

use apikey_manager::{ActorId, Selection, ServiceAccountId};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::api_keys::{KeyView, shown};
use crate::{
    call::Call,
    input::{Fields, Input, NoParams},
    problem::{Failure, Problem},
    reply::{self, Reply},
    texts::{ActorName, Id, Remark, Wanted},
};

/// How many revoked keys are named in an answer.
const MOST_NAMED: usize = 200;

/// Why a key is ended.
#[derive(ToSchema)]
#[schema(as = Revocation)]
pub(crate) struct Revoke {
    /// For the audit trail.
    #[schema(value_type = Option<Remark>)]
    reason: Option<String>,
}

impl Input for Revoke {
    fn read(fields: &mut Fields) -> Self {
        Revoke { reason: fields.optional("reason") }
    }
}

/// Ends a key for good
///
/// Nobody is let in with it, and requests under way end. A revoked key stays as it is, with the first reason.
#[utoipa::path(post, path = "/api-keys/{id}/revoke", operation_id = "revoke_api_key", tag = "keys",
    request_body = Option<Revoke>, responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn revoke(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let id = call.key_id()?;
    let Revoke { reason } = call.optional_input().await?;
    let key = call.keys().revoke(&call.actor, &id, reason.unwrap_or_default()).await?;
    shown(call, key)
}

/// Ends the key that asks for it
///
/// Whoever holds a key may, whatever its scopes.
#[utoipa::path(post, path = "/self-revoke", operation_id = "self_revoke", tag = "caller", request_body = Option<Revoke>,
    responses((status = 200, description = "The key.", body = KeyView)))]
pub(crate) async fn self_revoke(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let Revoke { reason } = call.optional_input().await?;
    if call.key.is_none() {
        return Err(Problem::forbidden().into());
    }
    let key = call.keys().revoke_self(&call.actor, reason.unwrap_or_default()).await?;
    shown(call, key)
}

/// Which keys are ended: exactly one of `created_by`, `service_account_id`, `environment` and `everything`.
#[derive(ToSchema)]
#[schema(as = BulkRevocation)]
pub(crate) struct BulkRevoke {
    /// Those that this actor issued, such as `key:…`.
    #[schema(value_type = Option<ActorName>)]
    created_by: Option<ActorId>,
    /// Those of this service account.
    #[schema(value_type = Option<Id>)]
    service_account_id: Option<ServiceAccountId>,
    /// Those of this environment.
    #[schema(value_type = Option<Wanted>)]
    environment: Option<String>,
    /// All of the organization's, the one that asks included.
    everything: Option<bool>,
    /// Those that they issued as well, and so on.
    #[schema(default = false)]
    descendants: Option<bool>,
    /// For the audit trail.
    #[schema(value_type = Option<Remark>)]
    reason: Option<String>,
}

impl Input for BulkRevoke {
    fn read(fields: &mut Fields) -> Self {
        let read = BulkRevoke {
            created_by: fields.optional("created_by"),
            service_account_id: fields.optional("service_account_id"),
            environment: fields.optional("environment"),
            everything: fields.optional("everything"),
            descendants: fields.optional("descendants"),
            reason: fields.optional("reason"),
        };
        if read.everything == Some(false) {
            fields.mistake("everything", "malformed", "must be true, or left out");
        } else if read.selections().count() != 1 {
            let message = "exactly one of created_by, service_account_id, environment and everything must be given";
            fields.mistake("", "exactly_one", message);
        }
        read
    }
}

impl BulkRevoke {
    fn selections(&self) -> impl Iterator<Item = Selection> + use<> {
        let created_by = self.created_by.clone().map(Selection::CreatedBy);
        let account = self.service_account_id.clone().map(Selection::ServiceAccount);
        let environment = self.environment.clone().map(Selection::Environment);
        let everything = self.everything.map(|_| Selection::Everything);
        [created_by, account, environment, everything].into_iter().flatten()
    }
}

/// What was ended.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkRevoked)]
pub(crate) struct Revoked {
    /// How many keys, not counting those that had been before.
    revoked: usize,
    /// Their ids; of more than 200, the first ones. The audit trail has each.
    #[schema(max_items = 200)]
    ids: Vec<String>,
}

/// Ends many keys for good
///
/// All or none. A key that asks for itself among others is answered before it is over.
#[utoipa::path(post, path = "/api-keys/bulk-revoke", operation_id = "bulk_revoke_api_keys", tag = "keys",
    request_body = BulkRevoke, responses((status = 200, description = "What was ended.", body = Revoked)))]
pub(crate) async fn bulk_revoke(call: &mut Call, _: NoParams) -> Result<Reply, Failure> {
    let asked: BulkRevoke = call.input().await?;
    let Some(selection) = asked.selections().next() else {
        return Err(Problem::forbidden().into());
    };
    let descendants = asked.descendants.unwrap_or_default();
    let reason = asked.reason.unwrap_or_default();
    let keys = call.keys().revoke_selected(&call.actor, selection, descendants, reason).await?;
    let ids = keys.iter().take(MOST_NAMED).map(|key| key.id.to_string()).collect();
    reply::json(StatusCode::OK, &Revoked { revoked: keys.len(), ids })
}
