//! The management of API keys as a service to mount: a REST API with its OpenAPI document.
//!
//! ```
//! use apikey_console::Console;
//! use apikey_core::KeyFormat;
//! use apikey_manager::{KeyManager, MemoryStore};
//! use axum::Router;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let format = KeyFormat::builder("acme").environment("live").build()?;
//! let keys = KeyManager::builder(MemoryStore::new()).format(format).build()?;
//! let app: Router = Router::new().nest_service("/keys", Console::new(&keys));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod call;
mod input;
mod json;
mod moment;
mod openapi;
mod precondition;
mod problem;
mod reply;
mod routes;
mod service;
mod texts;

pub use self::service::{Console, ResponseBody, ResponseFuture};
