//! API keys for Rust services: what a key is, and how one is verified.
//!
//! This crate knows no framework. `tower-apikey`, `axum-apikey` and `actix-apikey` show it a request's header bytes and
//! render what it decides, so that they can't differ. Services depend on one of those; this crate's documentation is
//! where the rules stand.
//!
//! ```
//! use apikey_core::{Authenticator, KeyFormat, KeyHasher, NewStaticKey, StaticKeys};
//!
//! let format = KeyFormat::builder("acme").environment("live").build()?;
//! let key = NewStaticKey::generate(&format, &KeyHasher::sha256(), "ci", ["files:read"])?;
//! let keys = StaticKeys::parse(&key.env_entry())?;
//! let authenticator = Authenticator::builder(keys).format(format).build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Overview
//!
//! - [`KeyFormat`] says what keys look like: prefix, environment, alphabet, checksum. [`KeyHasher`] says how they are
//!   digested: SHA-256, or HMAC under versioned [`Pepper`]s.
//! - A [`Resolver`] looks a [`PresentedKey`] key up and answers with a [`Resolution`]: [`StaticKeys`], a closure
//!   ([`resolver_fn`], [`resolver_with`]), or a type of your own.
//! - The [`Authenticator`] is the pipeline. It caches what it has verified, shares one look-up among concurrent requests,
//!   and forgets at once what is [revoked](Authenticator::revoke).
//! - An [`AuthenticatedKey`] is a verified caller with its [`Claims`]; a [`Rejection`] is the answer for anyone else.
//! - [`OnRevoked`] says what becomes of requests under way when their key is revoked or expires.
//! - [`scopes!`] declares [`Scope`]s as types; a [`ScopeCatalog`] adds roles and what implies what.
//!
//! # The life of a request
//!
//! 1. Exactly one credential is read: `Authorization: Bearer`, or a header the service opted into. Two are one too many.
//! 2. Its SHA-256 is looked for among the verified keys. A fresh entry decides; nothing more is done.
//! 3. Otherwise its format, environment and checksum are checked. What fails never reaches the resolver.
//! 4. The resolver is asked, with a time limit, by one request for all that wait. If the key was changed meanwhile, it is
//!    asked again.
//! 5. The digest is compared in constant time, the key's window is checked, its roles are expanded, and it is cached.
//!
//! # Crate features
//!
//! | feature | adds |
//! |---|---|
//! | `toml` | [`StaticKeys`] from TOML text and files, and files that the first start makes |
//! | `metrics` | [`AuthenticatorBuilder::metrics`]: counters and a histogram through the `metrics` facade |
//! | `test-util` | `TestKeys`, `ManualClock`, `AuthenticatedKey::fake` |
//! | `utoipa` | `ApiKeySecurity`: the scheme and the routes' scopes in an OpenAPI document of `utoipa` |
//!
//! None is on by default.
//!
//! # Telemetry
//!
//! Every decision is a `tracing` event of the target `apikey`, with the field `outcome` and, where one is known, `key_id`;
//! never with the key. Accepted requests are at level TRACE, refused ones at DEBUG, failures of the resolver at ERROR.
//! With [metrics](AuthenticatorBuilder::metrics): `apikey_decisions_total{outcome}` (a request that is let in, and then refused for its scope
//! or ended with its key, counts twice), `apikey_cache_hits_total`, `apikey_resolver_calls_total{result}` and
//! `apikey_resolver_seconds`.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adapter;
mod cache;
mod caller;
mod clock;
mod in_flight;
mod key;
#[cfg(feature = "utoipa")]
mod openapi;
mod problem;
mod rejection;
mod request;
mod scope;
mod source;
mod telemetry;
#[cfg(feature = "test-util")]
mod test_util;
pub mod text;

#[doc(inline)]
pub use reexports::*;

/// What services name: all of this crate but the macros. The crates of adapters re-export it, so that services depend on
/// one crate.
pub mod reexports {
    pub use crate::adapter;
    pub use crate::caller::{ActivitySink, AuthenticatedKey, KeyUsage, RequestReport, Revoked};
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub use crate::clock::ManualClock;
    pub use crate::clock::{Clock, Tick, Timestamp, TimestampError};
    pub use crate::in_flight::{LastFrame, OnRevoked};
    pub use crate::key::{
        ActorId, Alphabet, Checksum, Claims, DigestAlgorithm, GenerateKeyError, IdError, JsonError, JsonObject,
        KeyDigest, KeyFormat, KeyFormatBuilder, KeyFormatError, KeyHasher, KeyId, KeyOutput, KeyedChecksum,
        NoRandomness, NotToken68, OrganizationId, ParseDigestError, ParseKeyError, ParseKeyOutputError, ParsedKey,
        Pepper, PepperError, PepperVersion, PlaintextKey, ServiceAccountId,
    };
    #[cfg(feature = "utoipa")]
    #[cfg_attr(docsrs, doc(cfg(feature = "utoipa")))]
    pub use crate::openapi::ApiKeySecurity;
    pub use crate::rejection::{Rejection, RejectionKind};
    pub use crate::request::{Authenticator, AuthenticatorBuilder, ConfigError, ForeignTokens, TrustGate};
    pub use crate::scope::{
        AnyOf, RequiredScopes, Requirement, Scope, ScopeCatalog, ScopeError, ScopeMarker, ScopeSet,
    };
    pub use crate::source::{
        BoxError, GenerateStaticKeyError, KeyStatus, NewStaticKey, PresentedKey, Resolution, Resolver, ResolverFn,
        ResolverWith, StaticKeys, StaticKeysError, resolver_fn, resolver_with,
    };
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub use crate::test_util::{TestKey, TestKeys};
}
