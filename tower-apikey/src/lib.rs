//! API keys for any tower stack: a layer that authenticates requests, and a guard for scopes.
//!
//! ```
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, service_fn};
//! use tower_apikey::{ApiKeyLayer, Authenticator, RequireScopeLayer, StaticKeys, caller, scopes};
//!
//! scopes! {
//!     pub Files {
//!         /// List and download files.
//!         FilesRead = "files:read",
//!     }
//! }
//!
//! # let entry = format!("ci sha256:{} files:read", "00".repeat(32));
//! let keys = StaticKeys::parse(&entry)?; // or a `Resolver` over a database of your own
//! let authenticator = Authenticator::builder(keys).build()?;
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new(authenticator))
//!     .layer(RequireScopeLayer::of::<FilesRead>())
//!     .service(service_fn(async |request: Request<String>| {
//!         let name = caller(request.extensions()).map_or("", |key| key.name());
//!         Ok::<_, std::convert::Infallible>(Response::new(format!("hello, {name}")))
//!     }));
//! # fn is_service<S: tower::Service<Request<String>>>(_: S) {}
//! # is_service(service);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Overview
//!
//! - [`ApiKeyLayer`] verifies the key of each request, refuses requests without a valid one, and leaves an
//!   [`AuthenticatedKey`] in the request's extensions.
//! - [`RequireScopeLayer`] belongs inside it and requires scopes.
//! - Requests in progress end when their key is revoked or expires. [`ApiKeyLayer::on_revoked`] changes this for all
//!   routes, and [`FinishLayer`] for one.
//! - [`LingerLayer`] is the outermost layer of a service with uploads. It makes clients receive responses to uploads
//!   that the service doesn't read.
//! - [`caller`] and [`FromExtensions`] read the caller from the extensions, in any handler.
//!
//! The other items are re-exported from `apikey_core`. Their documentation says how keys look, how they are resolved
//! and how requests are decided: see [`Authenticator`], [`KeyFormat`], [`Resolver`] and [`ScopeSet`].
//!
//! The layer respects the inner service's readiness and keeps its error type. It supports every version of HTTP, and
//! gRPC (see [`ApiKeyLayer::grpc`]). With tonic, handlers find the caller in `request.extensions()`.
//!
//! # Clients
//!
//! A tower client can send its key with tower-http's `AddAuthorizationLayer`, marked as sensitive so that it is not
//! logged:
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_http::auth::AddAuthorizationLayer;
//!
//! # let client = tower::service_fn(async |_: http::Request<String>| std::io::Result::Ok(http::Response::new("")));
//! # let key = "acme_live_example";
//! let client = ServiceBuilder::new()
//!     .layer(AddAuthorizationLayer::bearer(key).as_sensitive(true))
//!     .service(client);
//! # let _ = client;
//! ```
//!
//! # Crate features
//!
//! | feature | adds |
//! |---|---|
//! | `toml` | [`StaticKeys`] from TOML text and files, and files that the first start makes |
//! | `metrics` | `AuthenticatorBuilder::metrics`: counters and a histogram through the `metrics` facade |
//! | `test-util` | `TestKeys`, `ManualClock`, `AuthenticatedKey::fake` |
//! | `utoipa` | `ApiKeySecurity`: the scheme and the routes' scopes in an OpenAPI document of `utoipa` |
//!
//! None is on by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod accessors;
mod body;
mod caller;
mod config;
mod finish;
mod future;
mod grpc;
mod layer;
mod linger;
mod problem;
mod refusal;
mod require_scope;
mod response;
mod service;
mod view;

pub use apikey_core::{adapter::RequestDescription, reexports, reexports::*, scopes};

pub use self::{
    body::{BodyError, ResponseBody},
    caller::{FromExtensions, caller, optional_caller},
    finish::{FinishFuture, FinishLayer, FinishService},
    future::ResponseFuture,
    layer::ApiKeyLayer,
    linger::{LingerBody, LingerFuture, LingerLayer, LingerService, Lingering},
    problem::Problem,
    refusal::Refusal,
    require_scope::{RequireScopeFuture, RequireScopeLayer, RequireScopeService},
    response::refusal,
    service::ApiKeyService,
};
