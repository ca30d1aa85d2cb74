//! `/v1/audit-events`: changes of keys and service accounts, and who made them.

use apikey_core::{JsonObject, Timestamp};
use apikey_manager::{Action, ActorId, AuditEvent, AuditFilter, Cursor, Page};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    call::{Caller, Query},
    input::{self, Input, Limit, page},
    problem::Failure,
    reply::{self, next_cursor},
    schema::{ActionName, ActorName, WantedId},
};

/// One management action.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(crate) struct EventView {
    id: String,
    /// The time.
    at: Timestamp,
    /// The actor, `key:…` for a key.
    actor: String,
    /// The action.
    #[schema(value_type = ActionName)]
    action: &'static str,
    /// The id of the key, the service account or the organization that was changed.
    target: String,
    /// The changed values before the action, or null.
    #[schema(value_type = Option<Object>)]
    before: Option<JsonObject>,
    /// The changed values after the action, or null.
    #[schema(value_type = Option<Object>)]
    after: Option<JsonObject>,
    /// The `X-Request-Id` of the request.
    request_id: Option<String>,
}

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEventPage)]
pub(crate) struct EventPage {
    #[schema(max_items = 200)]
    items: Vec<EventView>,
    /// The `cursor` of the next page, or null on the last one.
    next_cursor: Option<String>,
}

impl EventPage {
    pub(crate) fn of(page: Page<AuditEvent>) -> Self {
        let next_cursor = next_cursor(&page);
        EventPage { items: page.items.into_iter().map(EventView::of).collect(), next_cursor }
    }
}

impl EventView {
    pub(crate) fn of(event: AuditEvent) -> Self {
        EventView {
            id: event.id,
            at: event.at,
            actor: event.actor.to_string(),
            action: event.action.as_str(),
            target: event.target,
            before: event.before,
            after: event.after,
            request_id: event.request_id,
        }
    }
}

/// The parameters of a list of events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEvents {
    /// The page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// The `next_cursor` of the previous page.
    #[param(value_type = Option<String>)]
    #[serde(deserialize_with = "input::parsed")]
    cursor: Option<Cursor>,
    /// Only actions of this actor.
    #[param(value_type = Option<ActorName>)]
    actor: Option<ActorId>,
    /// Only this action, such as `key.issued`.
    #[param(value_type = Option<ActionName>)]
    #[serde(deserialize_with = "input::action")]
    action: Option<Action>,
    /// Only actions on the key, the service account or the organization with this id.
    #[param(value_type = Option<WantedId>)]
    target: Option<String>,
    /// Only at this time or later.
    #[param(value_type = Option<Timestamp>)]
    from: Option<Timestamp>,
    /// Only before this time.
    #[param(value_type = Option<Timestamp>)]
    to: Option<Timestamp>,
}

impl Input for ListEvents {}

/// Lists audit events
///
/// Newest first.
#[utoipa::path(get, path = "/audit-events", operation_id = "list_audit_events", tag = "audit", params(ListEvents),
    responses((status = 200, description = "A page of events.", body = EventPage)))]
pub(crate) async fn list(caller: Caller, Query(params): Query<ListEvents>) -> Result<Response, Failure> {
    let ListEvents { limit, cursor, actor, action, target, from, to } = params;
    let mut filter = AuditFilter::default();
    filter.actor = actor;
    filter.action = action;
    filter.target = target;
    filter.from = from;
    filter.to = to;
    let events = caller.keys().audit(&caller.actor, filter, page(limit, cursor)).await?;
    reply::json(StatusCode::OK, &EventPage::of(events))
}
