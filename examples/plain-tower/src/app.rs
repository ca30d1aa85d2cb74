//! What the service answers, and which scope each answer needs. What files are, `files` knows.

use std::{convert::Infallible, time::Duration};

use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::error::Category;
use tokio::time::timeout;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_apikey::{
    ApiKeyLayer, Authenticator, LingerBody, LingerLayer, Lingering, RequireScopeLayer, caller, refusal, scopes,
};
use tower_http::cors::{Any, CorsLayer};

use crate::{
    files::{AddError, Files, NewFile},
    response::{Response, boxed, json, method_not_allowed, problem, text},
};

scopes! {
    /// What a key may do.
    pub(crate) Scopes {
        /// List files.
        FilesRead = "files:read",
        /// Upload files.
        FilesWrite = "files:write",
    }
}

/// Files are kept in memory, so they are small.
const MAX_BODY: usize = 64 * 1024;

type Body = LingerBody<Incoming>;
type Request = http::Request<Body>;

pub(crate) fn app(
    authenticator: Authenticator,
    client_timeout: Duration,
) -> impl Service<http::Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
    let files = Files::default();
    let with_key = ApiKeyLayer::new(authenticator);
    let whoami = ServiceBuilder::new().map_response(boxed).layer(with_key.clone()).service(service_fn(whoami));
    let files = ServiceBuilder::new()
        .map_response(boxed)
        .layer(with_key)
        // GET and HEAD need the first scope, any other method the second.
        .layer(RequireScopeLayer::per_method(FilesRead, FilesWrite))
        .service(service_fn(move |request| list_or_upload(files.clone(), client_timeout, request)));

    // Each path has a service of its own, which brings the layers it needs.
    let routes = service_fn(move |request: Request| {
        let (whoami, files) = (whoami.clone(), files.clone());
        async move {
            match request.uri().path() {
                "/healthz" => Ok(text("ok")),
                "/whoami" => whoami.oneshot(request).await,
                "/files" => files.oneshot(request).await,
                _ => Ok(problem(StatusCode::NOT_FOUND, "not_found", "There is no such route.")),
            }
        }
    });
    // Any web page may call the service, if its user gives it a key: nothing is sent by the browser unasked.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([RETRY_AFTER, WWW_AUTHENTICATE]);
    // Outermost: whoever is refused has the answer, though it still sends.
    let linger = LingerLayer::with(Lingering::new().max_time(client_timeout));
    // Outside the key layer: preflights have no key, and refusals need CORS headers to be read.
    ServiceBuilder::new().layer(linger).layer(cors).service(routes)
}

async fn whoami(request: Request) -> Result<Response, Infallible> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(method_not_allowed("GET, HEAD"));
    }
    Ok(match caller(request.extensions()) {
        Ok(key) => json(StatusCode::OK, key.claims()),
        Err(rejection) => boxed(refusal(rejection)),
    })
}

async fn list_or_upload(files: Files, client_timeout: Duration, request: Request) -> Result<Response, Infallible> {
    Ok(match *request.method() {
        Method::GET | Method::HEAD => json(StatusCode::OK, &files.list()),
        Method::POST => upload(&files, client_timeout, request).await,
        _ => method_not_allowed("GET, HEAD, POST"),
    })
}

async fn upload(files: &Files, client_timeout: Duration, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let key = match caller(&parts.extensions) {
        Ok(key) => key,
        Err(rejection) => return boxed(refusal(rejection)),
    };
    let new = match timeout(client_timeout, new_file(&parts.headers, body)).await {
        Ok(Ok(new)) => new,
        Ok(Err((status, code, detail))) => return problem(status, code, detail),
        Err(_) => {
            return problem(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body did not come in time.");
        }
    };
    match files.add(new, key.name()) {
        Ok(file) => json(StatusCode::CREATED, &file),
        Err(AddError::BadName) => {
            let detail = "A name is 1 to 100 letters, digits, dots, underscores and hyphens.";
            problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", detail)
        }
        Err(AddError::Exists) => problem(StatusCode::CONFLICT, "file_exists", "There is a file of this name."),
    }
}

async fn new_file(headers: &HeaderMap, body: Body) -> Result<NewFile, (StatusCode, &'static str, &'static str)> {
    if !headers.get(CONTENT_TYPE).is_some_and(is_json) {
        let detail = "Content-Type must be application/json.";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| match error.is::<LengthLimitError>() {
        true => (StatusCode::PAYLOAD_TOO_LARGE, "content_too_large", "The body is too large."),
        false => (StatusCode::BAD_REQUEST, "incomplete", "The body ended too early."),
    })?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| match error.classify() {
        Category::Data => {
            let detail = "The body must have the strings name and content.";
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid_file", detail)
        }
        _ => (StatusCode::BAD_REQUEST, "invalid_json", "The body is not JSON."),
    })
}

/// Media types may have parameters, and their case doesn't count.
fn is_json(content_type: &HeaderValue) -> bool {
    let media_type = content_type.to_str().ok().and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}
