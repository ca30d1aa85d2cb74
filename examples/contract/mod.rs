//! What the three services have in common, tested from outside: each package's `tests/contract.rs` includes this module
//! and runs its own binary through it, so that they can't differ.
//!
//! It expects of the including crate: `BINARY`, `README`, `MAIN` (paths and texts of the package) and `HAS_ADMIN`.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test, which is what it is for")]

mod answers;
mod curl;
mod first_start;
mod http;
mod readme;
mod service;
mod shutdown;
