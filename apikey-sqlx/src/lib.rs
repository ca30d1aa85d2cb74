//! API keys in SQLite and PostgreSQL.
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("keys.db");
//! # let url = format!("sqlite:{}", path.display());
//! use apikey_sqlx::{KeyStore, SqlStore};
//!
//! let store = SqlStore::connect(&url).await?; // or postgres://user@host/database
//! assert_eq!(store.revision().await?, 0);
//! store.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Beside the tables of a service
//!
//! Every table, index, trigger and function begins with a prefix (`apikey_`), and on PostgreSQL may be in a schema of its
//! own: see [`SqlOptions`]. Which migrations have been applied stands in a table of the store's own. They are applied by
//! `connect`, by one process at a time; or by hand, as [`SqlOptions::migrations`] prints them.
//!
//! # One shape, two dialects
//!
//! Statements are written once, with `$1` for values, which both databases read, and run by a small layer that knows
//! integers, text and bytes: the store is neither generic over a database nor written twice. What differs is in
//! `sqlite` and `postgres`: how a connection is opened and what it must be, and how a transaction begins. A change of
//! the tables is one file for both, with the types' names filled in.
//!
//! Every read is one statement, so all of it is of one moment. A change locks its organization first (SQLite: the
//! database) and takes the revision last, so no two changes wait for each other.
//!
//! # Features
//!
//! - `sqlite`: a file, by the SQLite that is compiled in.
//! - `postgres`: a server of PostgreSQL 14 or later. Without one of sqlx's `tls-…` features, which are for the
//!   service's manifest to name, connections are not encrypted, and a URL that requires it is an error.
//!
//! Neither is on by default; without either there is no store.

#![cfg_attr(docsrs, feature(doc_cfg))]

/// All of `apikey-manager`, so that a service needs no other crate for its keys' lives.
#[doc(no_inline)]
pub use apikey_manager::*;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod activity;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod changes;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod connect;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod database;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod error;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod found;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod migrate;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod options;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod prune;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod query;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod reads;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod store;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod transaction;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod usage;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::{
    error::{ConnectError, DatabaseError},
    options::{Dialect, SqlOptions},
    store::SqlStore,
};
