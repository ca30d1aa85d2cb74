//! axum, as users run it, with the outermost layer.

use ::axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    handler::Handler,
    routing::{any, get, post},
};
use axum_apikey::{ApiKey, ApiKeyLayer, LingerLayer, RequireScope, RequireScopeLayer};
use support::stand::FilesWrite;
use tokio::net::TcpListener;

use super::{MAX_BODY, Running, Stop, World};

pub(super) async fn start(world: World) -> Running {
    let lingering = world.lingering.clone();
    let guard = RequireScopeLayer::of::<FilesWrite>().lingering(lingering.clone());
    let layer = |authenticator| ApiKeyLayer::new(authenticator).lingering(lingering.clone());
    let app = Router::new()
        .route("/guarded", post(take.layer(DefaultBodyLimit::disable()).layer(guard)))
        .route("/files", post(upload))
        .route("/waits", any(wait))
        .route("/ignores", post(ignore))
        .route_layer(layer(world.stand.authenticator.clone()))
        .route("/down", any(ignore).layer(layer(world.down.clone())))
        .nest_service("/keys", world.console())
        .route("/healthz", get(async || "ok"))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(LingerLayer::new().lingering(lingering.clone()))
        .with_state(world);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { drop(::axum::serve(listener, app).await) });
    Running { address, _stop: Stop::Task(task) }
}

async fn take(body: Bytes) -> String {
    body.len().to_string()
}

async fn upload(_: RequireScope<FilesWrite>, body: Bytes) -> String {
    body.len().to_string()
}

/// The body is dropped with the request, and the extractor has not seen it.
async fn ignore(_: ApiKey) {}

async fn wait(_: ApiKey, State(world): State<World>) {
    world.entered.add_permits(1);
    std::future::pending().await
}
