//! API keys for Rust services: what a key is, and how one is verified.
//!
//! This crate knows no framework. `tower-apikey`, `axum-apikey` and `actix-apikey` hand it a request's header bytes and
//! render its decision, so that they behave the same. Services depend on one of them. The rules are documented here.
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
//! - A [`Resolver`] looks up a [`PresentedKey`] and answers with a [`Resolution`]: [`StaticKeys`], a closure
//!   ([`resolver_fn`], [`resolver_with`]), or a type of your own.
//! - The [`Authenticator`] is the pipeline. It caches verified keys, shares one lookup among concurrent requests, and
//!   drops [revoked](Authenticator::revoke) keys immediately.
//! - An [`AuthenticatedKey`] is a verified caller with its [`Claims`]; a [`Rejection`] is the answer for anyone else.
//! - [`OnRevoked`] says what happens to requests in progress when their key is revoked or expires.
//! - [`scopes!`] declares [`Scope`]s as types. A [`ScopeCatalog`] adds roles, and scopes that imply others.
//!
//! # The life of a request
//!
//! 1. The one credential is read from `Authorization: Bearer` or from a header that the service accepts.
//!    A request with two credentials is refused.
//! 2. Its SHA-256 is looked up in the cache of verified keys. A fresh entry decides, and nothing more is done.
//! 3. Otherwise the key's format, environment and checksum are checked. A key that fails never reaches the resolver.
//! 4. One request calls the resolver for all that wait, within a time limit. If the key was changed meanwhile, it
//!    calls again.
//! 5. The digest is compared in constant time, the key's validity is checked, its roles are expanded, and it is cached.
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
//! Every decision is a `tracing` event with the target `apikey` and the fields `outcome` and, if known, `key_id`. The
//! key is never logged. Accepted requests have the level TRACE, refused ones DEBUG, and resolver failures ERROR.
//!
//! With [metrics](AuthenticatorBuilder::metrics): `apikey_decisions_total{outcome}`, `apikey_cache_hits_total`,
//! `apikey_resolver_calls_total{result}` and `apikey_resolver_seconds`. A request that is accepted, and then refused
//! for its scope or ended with its key, counts as two decisions.

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

/// The items that services use: all of this crate except the macros. The adapters' crates re-export them, so that
/// services depend on one crate.
pub mod reexports {
    pub use crate::adapter;
    pub use crate::cache::gate::TrustGate;
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
    pub use crate::request::{
        Authenticator, AuthenticatorBuilder, ConfigError, Doubt, ForeignTokens, WeakAuthenticator,
    };
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
