//! Tests that all services share: each package's `tests/contract.rs` includes this module and runs its own binary, so
//! that the services behave the same.
//!
//! The including crate defines `BINARY`, `README`, `MAIN` (paths and texts of the package), `API`, `BOUNDS`, and as
//! `keys` one of two modules beside this one, which say where keys are stored: `key_file.rs`, or `database.rs` with the
//! file `DATABASE`. Services that answer like the quickstarts also include `answers.rs`, and those that count usage
//! `usage.rs`.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod curl;
mod first_start;
pub(crate) mod http;
pub(crate) mod patience;
mod readme;
mod refusals;
pub(crate) mod service;
mod shutdown;
mod uploads;

/// The differences between services.
pub(crate) struct Api {
    /// The prefix of keys.
    pub(crate) prefix: &'static str,
    /// A list that is empty at first, and its scope, which is empty where every key may do everything.
    pub(crate) list: (&'static str, &'static str),
    /// The body of that list.
    pub(crate) empty: &'static str,
    /// The path where any key may read its own data.
    pub(crate) whoami: &'static str,
    /// Method, path, body and scope (or none) of a request that creates an item.
    pub(crate) add: (&'static str, &'static str, &'static str, &'static str),
    /// `true` if it has a console at `/keys`.
    pub(crate) has_console: bool,
    /// `true` if the console serves a page.
    pub(crate) has_page: bool,
}
