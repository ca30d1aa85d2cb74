//! axum with the layer as a route layer, and extractors for everything else.

use ::axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, header::CACHE_CONTROL},
    response::IntoResponse,
    routing::{any, get, post},
};
use apikey_core::AnyOf;
use axum_apikey::{ApiKey, ApiKeyRejection, RequireScope, RequireScopeLayer};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    Handled, PUBLIC, Running, Stop,
    hyper::{inner, layer, lines},
    seen,
};
use crate::stand::{FilesRead, FilesWrite, Stand};

pub(super) async fn start(stand: &Stand) -> Running {
    let guard = RequireScopeLayer::of::<FilesRead>();
    let app = Router::new()
        .route("/whoami", any(whoami))
        .route("/maybe", any(maybe))
        .route("/read", get(read))
        .route("/write", post(write))
        .route("/both", get(both))
        .route("/either", get(either))
        .route("/two-guards", get(two_guards))
        .route("/guarded", get(whoami).layer(guard.clone()))
        .route("/acme", get(acme))
        .route("/globex", get(globex))
        .route("/headers", any(headers))
        .route("/cacheable", get(cacheable))
        .route("/nested/whoami", any(whoami).layer(inner(stand)))
        .route("/nested/maybe", any(maybe).layer(inner(stand)))
        .route("/nested/headers", any(headers).layer(inner(stand)))
        .route_layer(layer(stand))
        .route("/unlayered", get(whoami))
        .route("/unlayered-maybe", get(maybe))
        .route("/unlayered-guarded", get(whoami).layer(guard))
        .with_state(Handled(stand.handled.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { drop(::axum::serve(listener, app).await) });
    Running { address, stop: Stop::Task(task) }
}

type Organization = Result<String, ApiKeyRejection>;

async fn whoami(State(handled): State<Handled>, key: ApiKey) -> String {
    handled.by(&key)
}

async fn maybe(State(handled): State<Handled>, key: Option<ApiKey>) -> String {
    handled.by_anyone(key.as_deref())
}

async fn read(State(handled): State<Handled>, key: RequireScope<FilesRead>) -> String {
    handled.by(&key)
}

async fn write(State(handled): State<Handled>, key: RequireScope<FilesWrite>, Json(_): Json<Value>) -> String {
    handled.by(&key)
}

async fn both(State(handled): State<Handled>, key: RequireScope<(FilesRead, FilesWrite)>) -> String {
    handled.by(&key)
}

async fn either(State(handled): State<Handled>, key: RequireScope<AnyOf<(FilesRead, FilesWrite)>>) -> String {
    handled.by(&key)
}

async fn two_guards(
    State(handled): State<Handled>,
    reads: RequireScope<FilesRead>,
    writes: RequireScope<FilesWrite>,
    key: ApiKey,
) -> String {
    assert_eq!((reads.key_id(), writes.key_id()), (key.key_id(), key.key_id()));
    handled.by(&key)
}

async fn acme(State(handled): State<Handled>, key: ApiKey) -> Organization {
    key.require_organization("acme")?;
    Ok(handled.by(&key))
}

async fn globex(State(handled): State<Handled>, key: ApiKey) -> Organization {
    key.require_organization("globex")?;
    Ok(handled.by(&key))
}

async fn headers(State(handled): State<Handled>, key: Option<ApiKey>, headers: HeaderMap) -> String {
    handled.by_anyone(key.as_deref());
    seen(|name| lines(&headers, name))
}

async fn cacheable(State(handled): State<Handled>, key: ApiKey) -> impl IntoResponse {
    ([(CACHE_CONTROL, PUBLIC)], handled.by(&key))
}
