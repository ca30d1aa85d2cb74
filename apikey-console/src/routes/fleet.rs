//! `/v1/fleet`: the processes of the service, for the organization that operates it.

use apikey_core::Timestamp;
use apikey_manager::{FleetNode, FleetStatus, FleetWait};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{call::Caller, problem::Failure, reply};

/// The processes that share the keys, as the one sees them that answers.
#[derive(Serialize, ToSchema)]
#[schema(as = Fleet)]
pub(crate) struct FleetView {
    /// The revision of the latest change.
    revision: u64,
    /// The node of the process that answers, or null if no change waits for it.
    own_id: Option<String>,
    /// The nodes, by id. A process has one while it can have cached keys.
    nodes: Vec<NodeView>,
    /// The changes that the process that answers has made, and that not all processes follow yet. The oldest is first.
    waits: Vec<WaitView>,
}

/// A process.
#[derive(Serialize, ToSchema)]
#[schema(as = FleetNode)]
struct NodeView {
    /// The id. A process draws another one when it has lost its place among the changes.
    #[schema(examples("5d0c2a7be94f41d08c3a6e1f27b09d54"))]
    id: String,
    /// `true` for the process that answers.
    own: bool,
    /// How long its lease lasts. With 0, it is set up to be the only process.
    #[schema(minimum = 0)]
    lease_seconds: f64,
    /// The revision up to which it has said that it follows. It says so only when a change waits for it.
    applied_revision: u64,
    /// The number of later changes that wait for it; 0 if it is the only process.
    behind: u64,
    /// How long ago it last gave a sign of life, by the clock of the database: its latest renewal, or its start if it is
    /// the only process. Nothing is decided by it.
    #[schema(minimum = 0)]
    silent_seconds: f64,
}

/// A change that waits until every process follows it.
#[derive(Serialize, ToSchema)]
#[schema(as = FleetWait)]
struct WaitView {
    /// The change's revision.
    revision: u64,
    /// The time at which it began to wait.
    since: Timestamp,
    /// The ids of the nodes that it waits for; none until the database has told which there are.
    nodes: Vec<String>,
}

impl FleetView {
    fn of(status: FleetStatus) -> Self {
        let own_id = status.own;
        let node = |node: FleetNode| NodeView {
            own: own_id.as_ref() == Some(&node.id),
            id: node.id,
            lease_seconds: node.lease.as_secs_f64(),
            applied_revision: node.applied,
            behind: node.behind,
            silent_seconds: node.silent.as_secs_f64(),
        };
        let wait = |FleetWait { revision, since, nodes, .. }| WaitView { revision, since, nodes };
        let nodes = status.nodes.into_iter().map(node).collect();
        FleetView { revision: status.revision, nodes, waits: status.waits.into_iter().map(wait).collect(), own_id }
    }
}

/// Reads the processes that share the keys
///
/// Only for the organization that operates the service. For any other, there is no such path.
#[utoipa::path(get, path = "/fleet", operation_id = "get_fleet", tag = "fleet",
    responses((status = 200, description = "The processes, and the changes that wait for them.", body = FleetView)))]
pub(crate) async fn get(caller: Caller) -> Result<Response, Failure> {
    let status = caller.keys().fleet_status(&caller.actor).await?;
    reply::json(StatusCode::OK, &FleetView::of(status))
}
