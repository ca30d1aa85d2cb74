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
//! - [`ApiKeyMiddleware`] verifies. It goes around an `App`, a `web::scope` or a resource, and answers by itself for
//!   whoever has no valid key.
//! - [`ApiKey`], [`RequireScope`] and [`MaybeApiKey`] are what handlers take.
//! - [`RequireScopeMiddleware`] checks scopes for everything in a `web::scope` or resource, before a body is read.
//! - [`FinishMiddleware`] lets a route's requests finish though their key dies meanwhile;
//!   [`ApiKeyMiddleware::on_revoked`] says what happens to all others.
//! - [`ApiKeyRejection`] is the extractors' error, and lets handlers refuse with `?`.
//! - `mount` (feature `tower`) puts a tower service, such as an axum router, under a path.
//!
//! What a key is, how one is stored and looked up, and what a refusal says, is the core's: [`Authenticator`] and its
//! [builder](AuthenticatorBuilder), [`KeyFormat`], [`Resolver`], [`StaticKeys`], [`Scope`] and [`Claims`] come from there
//! and are re-exported, so this is the one crate to add.
//!
//! # Order
//!
//! In actix the **last** `wrap` is the outermost and sees the request first:
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
//! Over HTTP/1 actix reads on what a refused client still sends, so that it has the answer: for
//! `HttpServer::client_disconnect_timeout`, which is a second unless set. Services that take large bodies over slow networks
//! set more. Over HTTP/2 it resets the stream at once, without an error; curl 7.88 loses the answer then.
//!
//! # In a service's own tests
//!
//! With the feature `test-util`, `TestKeys` makes keys and the authenticator that accepts them, on a clock that is moved
//! by hand; `AuthenticatedKey::fake` is a caller for handlers that are called directly.
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
