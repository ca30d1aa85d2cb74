//! API keys for actix-web: wrap an application, and its handlers receive verified, scoped callers.
//!
//! ```
//! use actix_apikey::{ApiKeyMiddleware, Authenticator, KeyFormat, RequireScope, StaticKeys, scopes};
//! use actix_web::{App, HttpServer, web};
//!
//! scopes! { Files { FilesRead = "files:read" } }
//!
//! async fn list(key: RequireScope<FilesRead>) -> String {
//!     format!("the files of {}", key.name())
//! }
//!
//! # fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let format = KeyFormat::builder("acme").environment("live").build()?;
//! let authenticator = Authenticator::builder(StaticKeys::from_env("API_KEYS")?).format(format).build()?;
//! let server = HttpServer::new(move || {
//!     App::new().route("/files", web::get().to(list)).wrap(ApiKeyMiddleware::new(authenticator.clone()))
//! });
//! # drop(server);
//! # Ok(())
//! # }
//! # let _ = serve;
//! ```
//!
//! # Overview
//!
//! - [`ApiKeyMiddleware`] verifies. It wraps an `App`, a `web::scope` or a resource, and refuses requests without a
//!   valid key.
//! - [`ApiKey`], [`RequireScope`] and [`MaybeApiKey`] are the extractors for handlers.
//! - [`RequireScopeMiddleware`] checks scopes for everything in a `web::scope` or resource, before a body is read.
//! - [`FinishMiddleware`] lets a route's requests finish even if their key dies. [`ApiKeyMiddleware::on_revoked`] sets
//!   what happens to all others.
//! - [`ApiKeyRejection`] is the extractors' error, and lets handlers refuse with `?`.
//! - `mount` (feature `tower`) puts a tower service, such as an axum router, under a path.
//!
//! The core defines what a key is, how it is stored and looked up, and what a refusal says. [`Authenticator`] and its
//! [builder](AuthenticatorBuilder), [`KeyFormat`], [`Resolver`], [`StaticKeys`], [`Scope`] and [`Claims`] are
//! re-exported, so a service needs this crate alone.
//!
//! # Order
//!
//! In actix, the **last** `wrap` is the outermost, and sees the request first:
//!
//! ```
//! # use actix_apikey::{ApiKeyMiddleware, TestKeys};
//! # use actix_cors::Cors;
//! # use actix_web::{App, middleware::Logger};
//! # let authenticator = TestKeys::new().authenticator();
//! App::new()
//!     .wrap(ApiKeyMiddleware::new(authenticator)) // third: a key
//!     .wrap(Cors::permissive()) // second: a preflight has no key, and a browser must be able to read a 401
//!     .wrap(Logger::default()); // first: refused requests are logged too
//! ```
//!
//! # Refused uploads
//!
//! Over HTTP/1, actix keeps reading what a refused client sends, so that the client receives the response. It does so
//! for `HttpServer::client_disconnect_timeout`, one second by default. Increase it for large bodies over slow networks.
//! Over HTTP/2, it resets the stream immediately, without an error; curl 7.88 then loses the response.
//!
//! # Testing
//!
//! With the feature `test-util`, `TestKeys` makes keys and the authenticator that accepts them, on a clock that tests
//! move by hand. `AuthenticatedKey::fake` is a caller for handlers that are called directly.
//!
//! # Crate features
//!
//! | feature | adds |
//! |---|---|
//! | `tower` | `mount`: any tower service under a path |
//! | `toml` | [`StaticKeys`] from TOML text and files, and files that the first start makes |
//! | `metrics` | `AuthenticatorBuilder::metrics`: counters and a histogram through the `metrics` facade |
//! | `test-util` | `TestKeys`, `ManualClock`, `AuthenticatedKey::fake` |
//! | `utoipa` | `ApiKeySecurity`: the scheme and the routes' scopes in an OpenAPI document of `utoipa` |
//!
//! None is on by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod extract;
mod finish;
mod kept;
mod middleware;
#[cfg(feature = "tower")]
mod mount;
mod options;
mod problem;
mod rejection;
mod require_scope;
mod response;
mod service;

pub use apikey_core::{reexports::*, scopes};

#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use crate::mount::{Mount, RequestBody, RequestBodyError, mount};
pub use crate::{
    body::{BodyError, ResponseBody},
    extract::{ApiKey, MaybeApiKey, RequireScope},
    finish::{FinishFuture, FinishMiddleware, FinishService},
    middleware::ApiKeyMiddleware,
    problem::Problem,
    rejection::ApiKeyRejection,
    require_scope::{RequireScopeFuture, RequireScopeMiddleware, RequireScopeService},
    response::Refusal,
    service::{ApiKeyService, ResponseFuture},
};
