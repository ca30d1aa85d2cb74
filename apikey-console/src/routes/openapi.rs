//! `/v1/openapi.json`: the API's own description.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use utoipa::openapi::{OpenApi, Server};

use crate::{config::Config, problem::Failure};

/// Reads this document
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "service", responses(
    (status = 200, description = "The OpenAPI document.", body = Object),
))]
pub(crate) async fn document(
    State(config): State<Arc<Config>>,
    Extension(document): Extension<Arc<OpenApi>>,
) -> Result<Response, Failure> {
    let mut document = OpenApi::clone(&document);
    if let Some(public_path) = &config.public_path {
        document.servers = Some(vec![Server::new(format!("{public_path}/v1"))]);
    }
    let body = serde_json::to_vec(&document).map_err(|error| Failure::internal(&error))?;
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], body).into_response())
}
