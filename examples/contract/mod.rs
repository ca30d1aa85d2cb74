//! What the services have in common, tested from outside: each package's `tests/contract.rs` includes this module and
//! runs its own binary through it, so that they can't differ.
//!
//! It expects of the including crate: `BINARY`, `README`, `MAIN` (paths and texts of the package), `HAS_ADMIN`, and as
//! `keys` one of the modules beside this one that say where keys are kept: `key_file.rs` or `database.rs`.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test, which is what it is for")]

mod answers;
mod curl;
mod first_start;
pub(crate) mod http;
mod readme;
pub(crate) mod service;
mod shutdown;
