//! A ledger behind API keys, with tonic.
//!
//! ```console
//! $ cargo run -p grpc --bin server
//! ```
//!
//! The first start makes `api-keys.toml` and shows a key on the terminal, once. Put it into `API_KEY`, where the client finds it:
//!
//! ```console
//! $ export API_KEY=demo_live_…
//! $ cargo run -q -p grpc --bin client -- open cash
//! $ cargo run -q -p grpc --bin client -- post cash 1250 "first sale"
//! $ cargo run -q -p grpc --bin client -- entries cash
//! ```
//!
//! The way of a call: [`server`] has the layers, `services` the methods, `books` what they do.

mod bearer;
mod books;
pub mod server;
mod services;

pub use self::bearer::{Bearer, BearerError};

/// The code of `proto/ledger.proto`. It is kept here, so that this package builds without a compiler for it; `build.rs`
/// tells how to make it again.
#[expect(clippy::allow_attributes_without_reason, reason = "it is generated")]
pub mod proto {
    include!("generated/ledger.v1.rs");
}
