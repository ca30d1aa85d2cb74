//! What the services have in common, tested from outside: each package's `tests/contract.rs` includes this module and
//! runs its own binary through it, so that they can't differ.
//!
//! It expects of the including crate: `BINARY`, `README`, `MAIN` (paths and texts of the package), `API`, `BOUNDS`, and as `keys` one
//! of the modules beside this one that say where keys are kept: `key_file.rs`, or `database.rs` in the file `DATABASE`. Services
//! that answer as the quickstarts do include `answers.rs`, too, and those of them that count usage `usage.rs`.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test, which is what it is for")]

mod curl;
mod first_start;
pub(crate) mod http;
pub(crate) mod patience;
mod readme;
mod refusals;
pub(crate) mod service;
mod shutdown;
mod uploads;

/// Where services differ.
pub(crate) struct Api {
    /// What keys begin with.
    pub(crate) prefix: &'static str,
    /// A list of things, of which there are none at first, and the scope for it.
    pub(crate) list: (&'static str, &'static str),
    /// That list, then.
    pub(crate) empty: &'static str,
    /// Where any key may ask who it is.
    pub(crate) whoami: &'static str,
    /// Method, path, body and scope of a request that makes such a thing.
    pub(crate) add: (&'static str, &'static str, &'static str, &'static str),
    /// Whether it has a console at `/keys`.
    pub(crate) has_console: bool,
}
