//! `/v1/health`: for load balancers and monitors, without a key.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::{HeaderValue, StatusCode, header::CACHE_CONTROL};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    config::Config,
    problem::{Failure, from_store},
    reply,
};

/// The service can look keys up and change them.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct Health {
    #[schema(examples("ok"))]
    status: &'static str,
}

/// Checks whether keys can be looked up and changed
#[utoipa::path(get, path = "/health", operation_id = "health", tag = "service", responses(
    (status = 200, description = "The service is ready.", body = Health),
))]
pub(crate) async fn health(State(config): State<Arc<Config>>) -> Result<Response, Failure> {
    config.keys.readiness().await.map_err(from_store)?;
    let mut reply = reply::json(StatusCode::OK, &Health { status: "ok" })?;
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(reply)
}
