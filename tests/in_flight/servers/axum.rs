//! axum, with the layer as a route layer.

use ::axum::{
    Extension, Router,
    body::Body,
    extract::{OriginalUri, State},
    http::header::CONTENT_LENGTH,
    response::{IntoResponse, Response},
    routing::any,
};
use axum_apikey::{ApiKey, ApiKeyLayer, FinishLayer, OnRevoked};
use tokio::net::TcpListener;

use super::{Running, Stop};
use crate::kinds::{Reply, World};

pub(super) async fn start(world: World) -> Running {
    let layer = ApiKeyLayer::new(world.stand.authenticator.clone()).grpc(true);
    let handlers = || Router::new().route("/{kind}", any(handle));
    let app = Router::new()
        .nest("/plain", handlers().route_layer(layer.clone()))
        .nest("/off", handlers().route_layer(layer.clone().on_revoked(OnRevoked::Finish)))
        .nest("/finish", handlers().route_layer(FinishLayer::new()).route_layer(layer.clone()))
        .nest("/nested", handlers().route_layer(layer.clone()).route_layer(layer.clone()))
        .nest(
            "/nested-finish",
            handlers().route_layer(FinishLayer::new()).route_layer(layer.clone()).route_layer(layer),
        )
        .with_state(world);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Running { address, _stop: Stop::Task(tokio::spawn(async { ::axum::serve(listener, app).await.unwrap() })) }
}

async fn handle(State(world): State<World>, key: ApiKey, OriginalUri(uri): OriginalUri) -> Response {
    match world.handle(uri.path().to_owned(), key.0).await {
        Reply::Text(text) => text.into_response(),
        Reply::Body { source, length, last } => {
            let mut response = Body::from_stream(source).into_response();
            if let Some(length) = length {
                response.headers_mut().insert(CONTENT_LENGTH, length.into());
            }
            match last {
                Some(last) => (Extension(last), response).into_response(),
                None => response,
            }
        }
    }
}
