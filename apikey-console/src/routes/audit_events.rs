//! `/v1/audit-events`: what was done to keys and service accounts, by whom.

use apikey_core::JsonObject;
use apikey_manager::{Action, ActorId, AuditEvent, AuditFilter, Cursor};
use http::StatusCode;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    call::Call,
    input::{Limit, Params, Query, page},
    moment::Moment,
    problem::Failure,
    reply::{self, Reply, next_cursor},
    texts::{ActionName, ActorName, WantedId},
};

/// One management action.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(crate) struct EventView {
    id: String,
    /// When.
    at: Moment,
    /// By whom: `key:…` for a key.
    actor: String,
    /// What was done.
    #[schema(value_type = ActionName)]
    action: &'static str,
    /// To what: the id of a key or a service account, or of the organization itself.
    target: String,
    /// What the action changed, as it was; null where there was nothing.
    #[schema(value_type = Option<Object>)]
    before: Option<JsonObject>,
    /// The same, as it is.
    #[schema(value_type = Option<Object>)]
    after: Option<JsonObject>,
    /// The request that asked for it, by its `X-Request-Id`.
    request_id: Option<String>,
}

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEventPage)]
pub(crate) struct EventPage {
    #[schema(max_items = 200)]
    items: Vec<EventView>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

impl EventView {
    fn of(event: AuditEvent) -> Self {
        EventView {
            id: event.id,
            at: Moment(event.at),
            actor: event.actor.to_string(),
            action: event.action.as_str(),
            target: event.target,
            before: event.before,
            after: event.after,
            request_id: event.request_id,
        }
    }
}

/// Which events, and which of their pages.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEvents {
    /// The most events on the page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// Where the page begins: the `next_cursor` of the one before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// Of this actor.
    #[param(value_type = Option<ActorName>)]
    actor: Option<ActorId>,
    /// Of this action, such as `key.issued`.
    #[param(value_type = Option<ActionName>)]
    action: Option<Action>,
    /// About the key, the service account or the organization of this id.
    #[param(value_type = Option<WantedId>)]
    target: Option<String>,
    /// At this moment or later.
    #[param(value_type = Option<Moment>)]
    from: Option<Moment>,
    /// Before this moment.
    #[param(value_type = Option<Moment>)]
    to: Option<Moment>,
}

impl Params for ListEvents {
    fn read(query: &mut Query) -> Self {
        ListEvents {
            limit: query.optional("limit"),
            cursor: query.optional("cursor"),
            actor: query.optional("actor"),
            action: query.optional("action"),
            target: query.optional("target"),
            from: query.optional("from"),
            to: query.optional("to"),
        }
    }
}

/// Lists audit events
///
/// Newest first.
#[utoipa::path(get, path = "/audit-events", operation_id = "list_audit_events", tag = "audit", params(ListEvents),
    responses((status = 200, description = "A page of events.", body = EventPage)))]
pub(crate) async fn list(call: &mut Call, params: ListEvents) -> Result<Reply, Failure> {
    let ListEvents { limit, cursor, actor, action, target, from, to } = params;
    let mut filter = AuditFilter::default();
    filter.actor = actor;
    filter.action = action;
    filter.target = target;
    filter.from = from.map(|Moment(from)| from);
    filter.to = to.map(|Moment(to)| to);
    let events = call.keys().audit(&call.actor, filter, page(limit, cursor)).await?;
    let next_cursor = next_cursor(&events);
    let items = events.items.into_iter().map(EventView::of).collect();
    reply::json(StatusCode::OK, &EventPage { items, next_cursor })
}
