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
//! # Connections
//!
//! Look-ups of keys, changes, and reads (lists, searches, sums) each have a part of the connections. Requests are verified
//! and keys revoked however many people read. [`SqlOptions::max_connections`] tells how the connections are divided.
//!
//! A connection is used again only if its state is known. It is closed when it didn't answer in time, when it was lost, and
//! when a change on it could not be undone. So a service needs no restart after its disk was full or its server stood
//! still: what could not be written has failed, and the next change works.
//!
//! # PostgreSQL
//!
//! The database's encoding is UTF-8, and the server is a primary that can be written to; any other is refused by `connect`.
//!
//! A pooler between the store and the server must pool sessions. Transaction pooling, as by PgBouncer with
//! `pool_mode = transaction`, is not supported yet: the store prepares statements, which belong to a session. `connect`
//! refuses such a pooler when it sees one session lent to two connections; while other clients are busy it may miss that.
//! No setting of the store outlives its transaction in a pooler's session. Those that last are parameters of the session's
//! start, which poolers refuse or leave out.
//!
//! # SQLite
//!
//! What is written to a deleted file is lost. So once the file, or the log that SQLite keeps beside it, was deleted or
//! replaced while it was open, changes and [`check`](KeyStore::check) fail, and within a second look-ups fail, too. Stop the
//! service before you restore a backup. On Windows a file that is open can't be deleted.
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
mod connection;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod database;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod error;
#[cfg(feature = "sqlite")]
mod files;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod found;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod lanes;
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
mod reach;
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
