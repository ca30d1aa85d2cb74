//! The stores on real databases: SQLite files, and a PostgreSQL server that the tests start.

#![cfg(all(unix, feature = "sqlite", feature = "postgres"))]
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod agreement;
mod at_once;
mod audit;
mod conforms;
mod connect;
mod corrupt;
mod files;
mod full_disk;
mod migrations;
mod outage;
mod poolers;
mod renewals;
mod support;
mod transactions;
mod usage;
