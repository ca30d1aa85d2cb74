//! A ledger behind API keys, with tonic.
//!
//! ```console
//! $ cargo run -p grpc --bin server
//! ```
//!
//! The first start creates `api-keys.toml` and shows a key on the terminal, once. Export it as `API_KEY` for the
//! client:
//!
//! ```console
//! $ export API_KEY=demo_live_…
//! $ cargo run -q -p grpc --bin client -- open cash
//! $ cargo run -q -p grpc --bin client -- post cash 1250 "first sale"
//! $ cargo run -q -p grpc --bin client -- entries cash
//! ```
//!
//! The path of a call: [`server`] has the layers, `services` the methods, and `books` the data.

mod bearer;
mod books;
pub mod server;
mod services;

pub use self::bearer::{Bearer, BearerError};

/// The code generated from `proto/ledger.proto`. It is committed, so that this package builds without a protobuf
/// compiler; `build.rs` describes how to regenerate it.
#[expect(clippy::allow_attributes_without_reason, reason = "it is generated")]
pub mod proto {
    include!("generated/ledger.v1.rs");
}
