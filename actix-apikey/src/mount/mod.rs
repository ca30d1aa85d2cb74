//! Mounts a tower service under a path of an actix application, with the caller that actix has verified.
//!
//! This file registers it. `call` carries a request over, `convert` converts heads, and `request_body` and
//! `response_body` are the bodies.

mod call;
mod convert;
mod request_body;
mod response_body;

use std::{error::Error, fmt};

use actix_web::dev::{AppService, HttpServiceFactory, ResourceDef, fn_service};
use http::{Request, Response};
use tower_service::Service;

use self::call::Call;
pub use self::request_body::{RequestBody, RequestBodyError};

/// Serves `service` under `prefix`: an axum router, a console, a file server.
///
/// ```
/// use std::convert::Infallible;
///
/// use actix_apikey::{ApiKeyMiddleware, AuthenticatedKey, RequestBody, TestKeys, mount};
/// use actix_web::{App, test, web};
/// use http::{Request, Response};
///
/// # #[actix_web::main]
/// # async fn main() {
/// let service = tower::service_fn(async |request: Request<RequestBody>| {
///     let key = request.extensions().get::<AuthenticatedKey>();
///     let id = key.map(|key| key.key_id().to_string()).unwrap_or_default();
///     Ok::<_, Infallible>(Response::new(format!("{id} asks for {}", request.uri())))
/// });
///
/// let keys = TestKeys::new();
/// let scope = web::scope("/tower")
///     .wrap(ApiKeyMiddleware::new(keys.authenticator()))
///     .service(mount("/files", service));
/// let app = test::init_service(App::new().service(scope)).await;
///
/// let key = keys.key(["files:read"]);
/// let request = test::TestRequest::get()
///     .uri("/tower/files/a%20b?page=2")
///     .insert_header(("authorization", key.authorization()));
/// let answer = test::call_and_read_body(&app, request.to_request()).await;
/// assert_eq!(answer, format!("{} asks for /a%20b?page=2", key.id()));
/// # }
/// ```
///
/// The prefix, and that of every `web::scope` around it, is removed: under `/keys`, the service sees `/` for `/keys`
/// and `/7` for `/keys/7`. `/keysmith` doesn't match. Paths and queries arrive as they were sent, percent-encoded. With
/// the prefix `""`, the mount serves everything for which its scope has no earlier service.
///
/// Methods, headers (repeated ones too), status and version are carried over. The [`AuthenticatedKey`] that an
/// [`ApiKeyMiddleware`] left is in the extensions of the request, where the layers and extractors of `tower-apikey` and
/// `axum-apikey` find it.
///
/// # Bodies
///
/// Both bodies are streamed. Actix's request body belongs to one thread, and the service's [`RequestBody`] can be sent
/// to any, so the connection's task passes chunks from one to the other, also while it sends the response:
///
/// - A chunk of the request is read when the service asks for it, so at most **one** waits between them, of the size
///   that actix reads at once. A slow service slows the client down.
/// - A frame of the response is polled when actix can send it. A slow client slows the service down.
/// - The request's body ends with an error if the service still reads it after the response was sent, or after the
///   client has disconnected.
///
/// # Errors
///
/// If the service fails while it becomes ready or is called, the response is a 500 without a reason. If a response body
/// fails, the connection is closed, so that no client takes it for complete.
///
/// # Limits
///
/// Trailers are dropped, and upgrades (WebSockets, `CONNECT`) are not supported. The service is cloned for each
/// request, and then polled until it is ready.
///
/// [`AuthenticatedKey`]: crate::AuthenticatedKey
/// [`ApiKeyMiddleware`]: crate::ApiKeyMiddleware
pub fn mount<S, B>(prefix: &str, service: S) -> Mount<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + 'static,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Mount { prefix: prefix.trim_end_matches('/').to_owned(), service }
}

/// A [mounted](mount) tower service, for `App::service` and `Scope::service`.
#[derive(Clone)]
#[must_use = "a mounted service has to be registered with `service`"]
pub struct Mount<S> {
    prefix: String,
    service: S,
}

impl<S, B> HttpServiceFactory for Mount<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + 'static,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn register(self, config: &mut AppService) {
        let service = self.service;
        let call = move |request| Call::new(service.clone(), request);
        config.register_service(ResourceDef::root_prefix(&self.prefix), None, fn_service(call), None);
    }
}

impl<S> fmt::Debug for Mount<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
