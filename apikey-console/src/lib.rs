//! The management of API keys as a service to mount: a REST API with its OpenAPI document, and a [`Page`] for people.
//!
//! ```
//! use apikey_console::Console;
//! use apikey_core::KeyFormat;
//! use apikey_manager::{Actor, KeyManager, MemoryStore, NewKey, OrganizationId};
//! use axum::Router;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let format = KeyFormat::builder("acme").environment("live").build()?;
//! let keys = KeyManager::builder(MemoryStore::new()).format(format).build()?;
//! let host = Actor::host("setup", OrganizationId::new("acme")?)?;
//! if let Some(first) = keys.bootstrap(&host, NewKey::new("first").scopes(["*"])).await? {
//!     println!("shown once: {}", first.secret().expose_secret());
//! }
//! let app: Router = Router::new().nest_service("/keys", Console::new(&keys));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Then, with that key:
//!
//! ```console
//! $ curl -H "Authorization: Bearer $KEY" http://localhost:3000/keys/v1/api-keys \
//!     -H 'Content-Type: application/json' -d '{"name": "reader", "scopes": ["files:read"]}'
//! ```
//!
//! # Overview
//!
//! Below `v1` there are:
//!
//! | path | purpose |
//! |---|---|
//! | `api-keys`, `api-keys/{id}` | list, issue, read, change (a merge patch, with `If-Match`), delete |
//! | `api-keys/{id}/…` | `rotate`, `end-overlap`, `duplicate`, `disable`, `enable`, `revoke`; `usage`, `activity` |
//! | `api-keys/bulk-revoke`, `self-revoke`, `self-rotate` | revoke many keys; revoke or rotate the caller's own |
//! | `service-accounts`, `service-accounts/{id}` | the same for service accounts; `disable`, `enable`, `rotate-all` |
//! | `usage`, `limits`, `audit-events`, `scopes`, `whoami` | usage, the plan, the audit trail, grantable scopes, the caller |
//! | `fleet` | with [`Console::operators`]: the processes of the service |
//! | `session` | with a [`Page`]: sign in, sign out |
//! | `health`, `openapi.json` | public |
//!
//! The document at `v1/openapi.json` specifies all of it.
//!
//! # Errors
//!
//! Errors are problems (RFC 9457) with a stable `code`. Those of fields and parameters have `errors`.
//!
//! | status | `code` | when |
//! |---|---|---|
//! | 400 | `invalid_json`, `incomplete_body`, `invalid_precondition`, `unsupported_precondition` | the request can't be read |
//! | 400 | `invalid_request` | more than one credential: a login and a key, or two keys |
//! | 401 | `missing_credential`, `invalid_token` | as under every layer |
//! | 403 | `insufficient_scope` | with the challenge that names the scope |
//! | 403 | `forbidden`, `cross_origin` | the call would grant more than the caller has; a change from a foreign page |
//! | 404, 405 | `not_found`, `method_not_allowed` | other organizations' resources get the same bytes as unknown ones |
//! | 408 | `request_timeout` | a body took longer than 30 seconds |
//! | 409 | `wrong_state`, `conflict`, `limit_reached` | the last with `used` and `allowed` |
//! | 412 | `stale_version` | `If-Match` doesn't match the current version |
//! | 413, 415 | `body_too_large`, `unsupported_media_type` | more than 64 KiB, or not JSON |
//! | 422 | `invalid` | each wrong field is named, including unknown and read-only ones |
//! | 429, 503 | `busy` | with `Retry-After`: too many concurrent reads, of the organization or in total |
//! | 503 | `unavailable` | with `Retry-After` |
//! | 504 | `unknown_outcome` | it is unknown whether the change was made: check before retrying |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod call;
mod config;
mod declaration;
mod document;
mod idempotency;
mod input;
mod login;
mod merge_patch;
mod page;
mod precondition;
mod problem;
mod reply;
mod routes;
mod schema;
mod service;
mod session;

pub use self::page::Page;
pub use self::routes::views;
pub use self::service::{Console, ResponseBody, ResponseFuture};
