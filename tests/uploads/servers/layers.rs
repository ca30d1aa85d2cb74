//! hyper, with the layers around a function that reads the body.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use support::stand::FilesWrite;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn};
use tower_apikey::{ApiKeyLayer, BodyError, RequireScopeLayer};

use super::{Running, Stop, World};

pub(super) async fn start(world: World) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let world = world.clone();
            let service = service_fn(move |request| dispatch(world.clone(), request));
            tokio::spawn(async move {
                let connection = auto::Builder::new(TokioExecutor::new());
                drop(connection.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await);
            });
        }
    });
    Running { address, _stop: Stop::Task(task) }
}

async fn dispatch(
    world: World,
    request: Request<Incoming>,
) -> Result<Response<UnsyncBoxBody<Bytes, BodyError>>, Infallible> {
    let authenticator = match request.uri().path() {
        "/down" => world.down,
        _ => world.stand.authenticator.clone(),
    };
    let layer = ApiKeyLayer::new(authenticator).grpc(true).lingering(world.lingering.clone());
    let guard = RequireScopeLayer::of::<FilesWrite>().lingering(world.lingering);
    let read = service_fn(async |request: Request<Incoming>| {
        let body = request.into_body().collect().await.map(|body| body.to_bytes().len());
        Ok::<_, Infallible>(Response::new(format!("{body:?}")))
    });
    let response = layer.layer(guard.layer(read)).oneshot(request).await;
    response.map(|response| response.map(BodyExt::boxed_unsync))
}
