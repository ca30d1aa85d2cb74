//! API keys for axum: a layer that authenticates requests, and extractors for verified, scoped callers.
//!
//! ```
//! use axum::{Router, body::Bytes, routing::get};
//! use axum_apikey::{ApiKeyLayer, Authenticator, LingerLayer, RequireScope, StaticKeys, scopes};
//!
//! scopes! {
//!     pub Files {
//!         /// List and download files.
//!         FilesRead = "files:read",
//!         /// Upload and delete files.
//!         FilesWrite = "files:write",
//!     }
//! }
//!
//! async fn list(_: RequireScope<FilesRead>) -> &'static str {
//!     "[]"
//! }
//!
//! async fn upload(key: RequireScope<FilesWrite>, body: Bytes) -> String {
//!     format!("{} bytes from {}", body.len(), key.name())
//! }
//!
//! # let entry = format!("ci sha256:{} files:read", "00".repeat(32));
//! let keys = StaticKeys::parse(&entry)?; // or a `Resolver` over a database of your own
//! let app: Router = Router::new()
//!     .route("/files", get(list).post(upload))
//!     .route_layer(ApiKeyLayer::new(Authenticator::builder(keys).build()?))
//!     .route("/healthz", get(|| async { "ok" }))
//!     .layer(LingerLayer::new()); // outermost: refused clients receive the response while still sending
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Overview
//!
//! - [`ApiKeyLayer`] verifies the key of each request. With `route_layer`, unknown paths are answered with 404; with
//!   `layer`, requests for them without a valid key are answered with 401. Routes added after it are public.
//! - [`ApiKey`] and [`RequireScope`] extract the caller; `Option<ApiKey>` is for routes where a key is optional.
//!   Extractors are checked in the order of the handler's arguments, and before the body.
//! - [`RequireScopeLayer`] guards whole routers. So does `axum::middleware::from_extractor::<RequireScope<S>>()`.
//! - Requests in progress end when their key is revoked or expires: see [`ApiKeyLayer::on_revoked`]. [`FinishLayer`]
//!   around a route lets them finish. `Extension(LastFrame::new("event: …\n\n"))` in a response is the last event of
//!   its stream.
//! - [`LingerLayer`] is for services that accept bodies. Without it, clients that are still sending when an extractor
//!   refuses them, or when a body is too long, may report a broken pipe instead of the response.
//! - A CORS layer belongs outside: `.layer(CorsLayer::…)` after the [`ApiKeyLayer`], so that preflights need no key and
//!   refusals carry CORS headers.
//!
//! This crate re-exports everything from `tower_apikey`, so a service needs this crate alone.
//!
//! # Testing
//!
//! With the feature `test-util`, [`TestKeys`] makes keys without a store:
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use axum_apikey::{ApiKey, ApiKeyLayer, TestKeys};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let keys = TestKeys::new();
//! let app = Router::new()
//!     .route("/", get(async |_: ApiKey| "hello"))
//!     .layer(ApiKeyLayer::new(keys.authenticator()));
//! let reader = keys.key(["files:read"]);
//! let request = || Request::get("/").header("authorization", reader.authorization()).body(Body::empty()).unwrap();
//!
//! assert_eq!(app.clone().oneshot(request()).await.unwrap().status(), 200);
//! keys.revoke(&reader);
//! assert_eq!(app.oneshot(request()).await.unwrap().status(), 401);
//! # }
//! ```
//!
//! # Crate features
//!
//! | feature | adds |
//! |---|---|
//! | `toml` | [`StaticKeys`] from TOML text and files, and files that the first start makes |
//! | `metrics` | `AuthenticatorBuilder::metrics`: counters and a histogram through the `metrics` facade |
//! | `test-util` | [`TestKeys`], [`ManualClock`], `AuthenticatedKey::fake` |
//! | `utoipa` | `ApiKeySecurity`: the scheme and the routes' scopes in an OpenAPI document of `utoipa` |
//!
//! None is on by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod extract;
mod problem;
mod rejection;

pub use tower_apikey::{
    ApiKeyLayer, ApiKeyService, BodyError, FinishFuture, FinishLayer, FinishService, FromExtensions, LingerBody,
    LingerFuture, LingerLayer, LingerService, Lingering, Refusal, RequestDescription, RequireScopeFuture,
    RequireScopeLayer, RequireScopeService, ResponseBody, ResponseFuture, caller, optional_caller, reexports::*,
    refusal, scopes,
};

pub use self::{
    extract::{ApiKey, RequireScope},
    problem::Problem,
    rejection::ApiKeyRejection,
};
