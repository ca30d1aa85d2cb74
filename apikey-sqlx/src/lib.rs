//! API keys in SQLite and PostgreSQL.
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("keys.db");
//! # let url = format!("sqlite:{}", path.display());
//! use apikey_manager::KeyStore;
//! use apikey_sqlx::SqlStore;
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
//! The names of tables, indexes, triggers and functions begin with a prefix (`apikey_`). On PostgreSQL they may be in a
//! schema of their own: see [`SqlOptions`]. A table records the applied migrations. `connect` applies them, one process
//! at a time, or you apply them by hand: [`SqlOptions::migrations`] prints them.
//!
//! # One shape, two dialects
//!
//! Statements are written once, with `$1` for values as both databases accept it. A small layer over integers, text and
//! bytes runs them, so the store is neither generic over a database nor written twice. `sqlite` and `postgres` contain
//! what differs: opening and checking connections, and beginning transactions. A migration is one file for both, with
//! placeholders for types.
//!
//! Every read is one statement and therefore one snapshot. A change locks its organization first (on SQLite, the
//! database) and the revision last, so changes never deadlock.
//!
//! # Connections
//!
//! Lookups of keys, changes, and reads (lists, searches, sums) have connections of their own, so reads never delay
//! verification or revocation. [`SqlOptions::max_connections`] tells how the connections are divided.
//!
//! A connection is reused only if its state is known. It is closed if it doesn't answer in time, if it is lost, or if a
//! change on it can't be rolled back. A service therefore needs no restart after a full disk or a stalled server:
//! failed changes report an error, and the next change works.
//!
//! # PostgreSQL
//!
//! `connect` refuses a database whose encoding is not UTF-8, and a server that is not a writable primary.
//!
//! A pooler between the store and the server may pool sessions or transactions, as PgBouncer does with `pool_mode =
//! transaction`; `connect` refuses one that pools statements. Behind a pooler of transactions each statement runs in a
//! transaction of its own that begins with its settings, no statement has a name, and changes of other processes are
//! polled for, because nobody can listen. A lookup takes four round trips instead of one. `connect` recognizes such a
//! pooler if it sees a session change, or one lent to two connections. [`SqlOptions::transaction_pooling`] is for where
//! other clients, or many poolers behind one address, may hide that.
//!
//! No setting of the store outlives its transaction in a pooler's session. Lasting settings are parameters of the
//! session's start, which poolers refuse or ignore.
//!
//! # SQLite
//!
//! Writes to a deleted file are lost. If the file or its write-ahead log is deleted or replaced while it is open,
//! changes and [`check`](apikey_manager::KeyStore::check) fail, and within a second lookups fail, too. Stop the
//! service before you restore a backup. On Windows an open file can't be deleted.
//!
//! # Features
//!
//! - `sqlite`: a file, by the SQLite that is compiled in.
//! - `postgres`: a server of PostgreSQL 14 or later. Without one of sqlx's `tls-…` features, which are for the
//!   service's manifest to name, connections are not encrypted, and a URL that requires it is an error.
//!
//! Neither is enabled by default. Without either there is no store.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod activity;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod alerts;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod changes;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod connect;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod connection;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod database;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod dialect;
#[cfg(feature = "postgres")]
mod ear;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod error;
#[cfg(feature = "sqlite")]
mod files;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod fleet;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod found;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod hints;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod history;
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
#[cfg(feature = "postgres")]
mod sessions;
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
    dialect::Dialect,
    error::{ConnectError, DatabaseError},
    options::SqlOptions,
    store::SqlStore,
};
