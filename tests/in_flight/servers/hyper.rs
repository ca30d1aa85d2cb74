//! hyper, with the layer around a function.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response, header::CONTENT_LENGTH};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn};
use tower_apikey::{ApiKeyLayer, BodyError, FinishLayer, OnRevoked, caller};

use super::{Running, Stop};
use crate::kinds::{Reply, World};

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

pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

pub(crate) async fn dispatch(world: World, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let layer = ApiKeyLayer::new(world.stand.authenticator.clone()).grpc(true);
    let handler = service_fn(move |request: Request<Incoming>| {
        let world = world.clone();
        async move {
            let key = caller(request.extensions()).unwrap().clone();
            let reply = world.handle(request.uri().path().to_owned(), key).await;
            Ok::<_, Infallible>(respond(reply))
        }
    });
    let mode = request.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
    let boxed = |response: Response<_>| response.map(BodyExt::boxed_unsync);
    match &*mode {
        "plain" => layer.layer(handler).oneshot(request).await.map(boxed),
        "off" => layer.on_revoked(OnRevoked::Finish).layer(handler).oneshot(request).await.map(boxed),
        "finish" => layer.layer(FinishLayer::new().layer(handler)).oneshot(request).await.map(boxed),
        "nested" => {
            let service = layer.layer(layer.layer(handler));
            service.oneshot(request).await.map(|response| response.map(BodyExt::boxed_unsync))
        }
        "nested-finish" => {
            let service = layer.layer(layer.layer(FinishLayer::new().layer(handler)));
            service.oneshot(request).await.map(|response| response.map(BodyExt::boxed_unsync))
        }
        mode => panic!("there is no route {mode}"),
    }
}

fn respond(reply: Reply) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    match reply {
        Reply::Text(text) => Response::new(Full::from(text).boxed_unsync()),
        Reply::Body { source, length, last } => {
            let body = StreamBody::new(source.map(|chunk| chunk.map(Frame::data)));
            let mut response = Response::new(body.boxed_unsync());
            if let Some(length) = length {
                response.headers_mut().insert(CONTENT_LENGTH, length.into());
            }
            if let Some(last) = last {
                response.extensions_mut().insert(last);
            }
            response
        }
    }
}
