//! `/v1/api-keys/{id}/activity`: the requests of a key.

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{Activity, Cursor, Page};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    call::{Caller, PathId, Query},
    input::{self, Input, Limit, page},
    problem::Failure,
    reply::{self, next_cursor},
};

/// One request of a key.
#[derive(Serialize, ToSchema)]
#[schema(as = Activity)]
pub(crate) struct ActivityView {
    /// The time of the request.
    at: Timestamp,
    method: String,
    /// The template of its route, such as `/files/{name}`.
    route: Option<String>,
    /// The status of the response.
    status: u16,
    /// The client's address.
    address: Option<String>,
    /// The client's `User-Agent`.
    user_agent: Option<String>,
}

/// A page of requests, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = ActivityPage)]
pub(crate) struct ActivityPage {
    #[schema(max_items = 200)]
    items: Vec<ActivityView>,
    /// The `cursor` of the next page, or null on the last one.
    next_cursor: Option<String>,
}

impl ActivityPage {
    pub(crate) fn of(page: Page<Activity>) -> Self {
        let next_cursor = next_cursor(&page);
        ActivityPage { items: page.items.into_iter().map(ActivityView::of).collect(), next_cursor }
    }
}

impl ActivityView {
    pub(crate) fn of(request: Activity) -> Self {
        ActivityView {
            at: request.at,
            method: request.method,
            route: request.route,
            status: request.status,
            address: request.address,
            user_agent: request.user_agent,
        }
    }
}

/// The parameters of a list of requests.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListActivity {
    /// The page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// The `next_cursor` of the previous page.
    #[param(value_type = Option<String>)]
    #[serde(deserialize_with = "input::parsed")]
    cursor: Option<Cursor>,
    /// Only at this time or later.
    #[param(value_type = Option<Timestamp>)]
    from: Option<Timestamp>,
    /// Only before this time.
    #[param(value_type = Option<Timestamp>)]
    to: Option<Timestamp>,
}

impl Input for ListActivity {}

/// Lists a key's requests
///
/// Newest first, as far back as the service keeps them. Empty if it keeps none.
#[utoipa::path(get, path = "/api-keys/{id}/activity", operation_id = "list_api_key_activity", tag = "usage",
    params(ListActivity), responses((status = 200, description = "A page of requests.", body = ActivityPage)))]
pub(crate) async fn list(
    caller: Caller,
    PathId(id): PathId<KeyId>,
    Query(params): Query<ListActivity>,
) -> Result<Response, Failure> {
    let from = params.from.unwrap_or(Timestamp::UNIX_EPOCH);
    let to = params.to.unwrap_or(Timestamp::MAX);
    let requests = caller.keys().activity(&caller.actor, &id, from..to, page(params.limit, params.cursor)).await?;
    reply::json(StatusCode::OK, &ActivityPage::of(requests))
}
