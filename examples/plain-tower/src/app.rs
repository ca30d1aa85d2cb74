//! The routes: the services, their layers and their answers.

use std::collections::{BTreeMap, btree_map::Entry};
use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header::*};
use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::body::{Body, Incoming};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tower::{ServiceBuilder, ServiceExt, service_fn, util::BoxCloneService};
use tower_apikey::{ApiKeyLayer, Authenticator, BoxError, LingerBody, LingerLayer, Problem};
use tower_apikey::{RequireScopeLayer, caller, refusal, scopes};
use tower_http::{cors::CorsLayer, timeout::TimeoutLayer};

scopes! {
    /// The scopes.
    pub(crate) Scopes {
        /// List files.
        FilesRead = "files:read",
        /// Upload files.
        FilesWrite = "files:write",
    }
}

type Request = http::Request<LingerBody<Incoming>>;
/// A body can fail, because its caller's key may be revoked while it is sent.
type Response = http::Response<BoxBody<Bytes, io::Error>>;
type App = BoxCloneService<http::Request<Incoming>, Response, Infallible>;
/// The files' metadata. A product stores their content, too.
type Files = Arc<Mutex<BTreeMap<String, Value>>>;

pub(crate) fn app(authenticator: Authenticator, client_timeout: Duration) -> App {
    let (with_key, kept) = (ApiKeyLayer::new(authenticator), Files::default());
    let whoami = ServiceBuilder::new().map_response(boxed).layer(with_key.clone()).service(service_fn(whoami));
    let files = ServiceBuilder::new()
        .map_response(boxed)
        .layer(with_key)
        // GET and HEAD need the first scope, any other method the second.
        .layer(RequireScopeLayer::per_method(FilesRead, FilesWrite))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, client_timeout))
        .service(service_fn(move |request| files(kept.clone(), request)));
    // Each path has its own service, with the layers that it needs.
    let routes = service_fn(move |request: Request| {
        let (whoami, files) = (whoami.clone(), files.clone());
        async move {
            match request.uri().path() {
                "/healthz" => Ok(boxed(http::Response::new(Full::from("ok")))),
                "/whoami" => whoami.oneshot(request).await,
                "/files" => files.oneshot(request).await,
                _ => Ok(problem(StatusCode::NOT_FOUND, "not_found", "There is no such route.")),
            }
        }
    });
    // Any web page may call the service if its user provides a key, because browsers send none by themselves. CORS is
    // outside the key layer: preflights have no key, and pages can read refusals only with CORS headers.
    let cors = CorsLayer::permissive().allow_headers([AUTHORIZATION, CONTENT_TYPE]);
    // Outermost, so that clients that are still sending a body receive the response.
    ServiceBuilder::new().map_response(boxed).layer(LingerLayer::new()).layer(cors).service(routes).boxed_clone()
}

async fn whoami(request: Request) -> Result<Response, Infallible> {
    Ok(match caller(request.extensions()) {
        Ok(key) => json(StatusCode::OK, key.claims()),
        Err(rejection) => boxed(refusal(rejection)),
    })
}

async fn files(files: Files, request: Request) -> Result<Response, Infallible> {
    Ok(match *request.method() {
        Method::GET | Method::HEAD => json(StatusCode::OK, &files.lock().await.values().collect::<Vec<_>>()),
        Method::POST => upload(&files, request).await.unwrap_or_else(|response| response),
        _ => {
            let mut response = boxed(http::Response::new(Full::default()));
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
            response
        }
    })
}

async fn upload(files: &Files, request: Request) -> Result<Response, Response> {
    let (parts, body) = request.into_parts();
    let key = caller(&parts.extensions).map_err(|rejection| boxed(refusal(rejection)))?;
    let bad_body =
        |status| problem(status, "invalid_body", "Needed: JSON with the strings name and content, of up to 64 KiB.");
    if parts.headers.get(CONTENT_TYPE).is_none_or(|value| value != "application/json") {
        return Err(bad_body(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = Limited::new(body, 64 * 1024).collect().await.map_err(|_| bad_body(StatusCode::PAYLOAD_TOO_LARGE))?;
    let new: Value = serde_json::from_slice(&body.to_bytes()).map_err(|_| bad_body(StatusCode::BAD_REQUEST))?;
    let (Some(name), Some(content)) = (new["name"].as_str(), new["content"].as_str()) else {
        return Err(bad_body(StatusCode::UNPROCESSABLE_ENTITY));
    };
    let file = json!({"name": name, "size": content.len(), "uploaded_by": key.name()});
    match files.lock().await.entry(name.to_owned()) {
        Entry::Occupied(_) => Err(problem(StatusCode::CONFLICT, "file_exists", "There is a file of this name.")),
        Entry::Vacant(place) => Ok(json(StatusCode::CREATED, place.insert(file))),
    }
}

fn boxed<B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Sync + 'static>(
    response: http::Response<B>,
) -> Response {
    response.map(|body| BoxBody::new(body.map_err(io::Error::other)))
}

fn problem(status: StatusCode, code: &'static str, detail: &'static str) -> Response {
    boxed::<Full<Bytes>>(Problem::new(status, code, detail).into())
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = http::Response::new(Full::from(json!(value).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    boxed(response)
}
