//! `/v1/health`: for load balancers and monitors, which have no key.

use http::{HeaderValue, StatusCode, header::CACHE_CONTROL, request::Parts};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    input::{NoParams, Query},
    problem::{Failure, from_store},
    reply::{self, Reply},
    service::Config,
};

/// Keys can be looked up and changed.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct Health {
    #[schema(examples("ok"))]
    status: &'static str,
}

/// Says whether keys can be looked up and changed
#[utoipa::path(get, path = "/health", operation_id = "health", tag = "service", responses(
    (status = 200, description = "They can.", body = Health),
))]
pub(crate) async fn health(config: &Config, parts: &Parts) -> Result<Reply, Failure> {
    Query::read::<NoParams>(&parts.uri)?;
    config.keys.readiness().await.map_err(from_store)?;
    let mut reply = reply::json(StatusCode::OK, &Health { status: "ok" })?;
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(reply)
}
