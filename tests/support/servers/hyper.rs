//! hyper with the layer around a plain function: only `tower-apikey`.

use std::convert::Infallible;

use apikey_core::{AnyOf, AuthenticatedKey, Rejection};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn};
use tower_apikey::{ApiKeyLayer, BodyError, Refusal, RequireScopeLayer, caller, optional_caller, refusal};

use super::{Handled, PUBLIC, Running, Stop, seen};
use crate::stand::{FilesRead, FilesWrite, Setting, Stand};

pub(super) async fn start(stand: &Stand) -> Running {
    let (layers, handled) = ((layer(stand), inner(stand)), Handled(stand.handled.clone()));
    let service = service_fn(move |request| dispatch(layers.clone(), handled.clone(), request));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let connection = auto::Builder::new(TokioExecutor::new()).http1_only();
                // A client that sends nonsense or disconnects ends the connection, not the server.
                drop(connection.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    Running { address, stop: Stop::Task(task) }
}

/// The layer for `stand`; axum's is the same.
pub(super) fn layer(stand: &Stand) -> ApiKeyLayer {
    let layer = ApiKeyLayer::new(stand.authenticator.clone());
    match stand.setting {
        Setting::Strip | Setting::OtherInside | Setting::PassThrough => layer.strip_credential(true),
        Setting::Responder => layer.responder(|rejection| {
            Refusal::new("text/plain", format!("no: {}", rejection.code()))
                .header(CACHE_CONTROL, HeaderValue::from_static("public"))
                .header(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"x\""))
                .header(http::header::RETRY_AFTER, HeaderValue::from_static("0"))
                .header(http::header::CONTENT_LANGUAGE, HeaderValue::from_static("en"))
        }),
        _ => layer,
    }
}

/// The inner layer on nested routes.
pub(super) fn inner(stand: &Stand) -> ApiKeyLayer {
    ApiKeyLayer::new(stand.inner.clone()).strip_credential(stand.setting == Setting::Strip)
}

type Body = BoxBody<Bytes, BodyError>;

async fn dispatch(
    (layer, inner): (ApiKeyLayer, ApiKeyLayer),
    handled: Handled,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let handler = service_fn(move |request: Request<Incoming>| {
        let handled = handled.clone();
        async move { Ok::<_, Infallible>(respond(handle(&handled, request).await)) }
    });
    let guard = RequireScopeLayer::of::<FilesRead>();
    match request.uri().path() {
        "/unlayered" | "/unlayered-maybe" => handler.oneshot(request).await.map(|response| response.map(plain)),
        "/unlayered-guarded" => {
            guard.layer(handler).oneshot(request).await.map(|response| response.map(BodyExt::boxed))
        }
        "/guarded" => layer.layer(guard.layer(handler)).oneshot(request).await.map(|r| r.map(BodyExt::boxed)),
        "/whoami" | "/maybe" | "/read" | "/write" | "/both" | "/either" | "/two-guards" | "/acme" | "/globex"
        | "/headers" | "/cacheable" => layer.layer(handler).oneshot(request).await.map(|r| r.map(BodyExt::boxed)),
        "/nested/whoami" | "/nested/maybe" | "/nested/headers" => {
            layer.layer(inner.layer(handler)).oneshot(request).await.map(|r| r.map(BodyExt::boxed))
        }
        _ => {
            let mut response = Response::new(plain(Full::default()));
            *response.status_mut() = StatusCode::NOT_FOUND;
            Ok(response)
        }
    }
}

fn plain(body: Full<Bytes>) -> Body {
    body.map_err(|never| match never {}).boxed()
}

fn respond(handled: Result<Response<Full<Bytes>>, Rejection>) -> Response<Full<Bytes>> {
    handled.unwrap_or_else(refusal)
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

async fn handle(handled: &Handled, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Rejection> {
    let (parts, body) = request.into_parts();
    let extensions = &parts.extensions;
    if parts.uri.path().ends_with("maybe") {
        return Ok(text(StatusCode::OK, handled.by_anyone(optional_caller(extensions)?)));
    }
    if parts.uri.path().ends_with("headers") {
        handled.by_anyone(optional_caller(extensions)?);
        return Ok(text(StatusCode::OK, seen(|name| lines(&parts.headers, name))));
    }
    let key = caller(extensions)?;
    check(parts.uri.path(), key)?;
    let is_json = parts.uri.path() == "/write" && parts.method == Method::POST;
    if is_json {
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        if serde_json::from_slice::<serde_json::Value>(&body).is_err() {
            return Ok(text(StatusCode::BAD_REQUEST, "not JSON".to_owned()));
        }
    }
    let name = handled.by(key);
    let mut response = text(StatusCode::OK, name);
    if parts.uri.path() == "/cacheable" {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(PUBLIC));
    }
    Ok(response)
}

fn check(path: &str, key: &AuthenticatedKey) -> Result<(), Rejection> {
    match path {
        "/read" => key.require::<FilesRead>(),
        "/write" => key.require::<FilesWrite>(),
        "/both" => key.require::<(FilesRead, FilesWrite)>(),
        "/either" => key.require::<AnyOf<(FilesRead, FilesWrite)>>(),
        "/two-guards" => key.require::<FilesRead>().and_then(|()| key.require::<FilesWrite>()),
        "/acme" => key.require_organization("acme"),
        "/globex" => key.require_organization("globex"),
        _ => Ok(()),
    }
}

pub(super) fn lines(headers: &HeaderMap, name: &str) -> usize {
    headers.get_all(name).iter().count()
}
