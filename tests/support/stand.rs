//! What stands before a server is started: a store with the cast of keys, the clock, and an authenticator over them
//! with one of the settings that the table needs.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use apikey_core::{Authenticator, AuthenticatorBuilder, ForeignTokens, KeyFormat, ManualClock, PlaintextKey};

pub use crate::cast::key_id;
use crate::store::Store;

apikey_core::scopes! {
    /// What keys may do on the servers.
    pub Files {
        /// Read files.
        FilesRead = "files:read",
        /// Write files.
        FilesWrite = "files:write",
    }
}

/// The realm that challenges name: one that has to be escaped.
pub const REALM: &str = r#"the "files" \ of acme"#;

/// How an authenticator, and the layer that has it, are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// As they come, with the format `my_app_live_…`.
    Plain,
    /// Keys in `x-api-key` and `x-access-token`, too.
    ExtraHeaders,
    /// Requests without a credential pass.
    Optional,
    /// Tokens without the format's prefix pass. Keys in `x-api-key`, too.
    PassThrough,
    /// Holders are told why their key is refused.
    ExplainRefusals,
    /// No format is declared.
    AnyToken,
    /// Refusals have a body of the service's own, and headers it may not set.
    Responder,
    /// The credential is removed before the handler sees the request. Keys in `x-api-key`, too. The nested routes have
    /// a second layer of the same authenticator.
    Strip,
    /// The credential is removed before the nested routes' inner layer sees the request, which has an authenticator of
    /// its own.
    OtherInside,
    /// The resolver has next to no time.
    Impatient,
}

/// Everything a server is started with, and a test looks at.
pub struct Stand {
    /// The setting.
    pub setting: Setting,
    /// The keys' records.
    pub store: Arc<Store>,
    /// The authenticator's clock.
    pub clock: ManualClock,
    /// The authenticator.
    pub authenticator: Authenticator,
    /// The authenticator of the nested routes' inner layer: the same one under [`Setting::Strip`], else another one
    /// that lets anonymous requests pass and reads `x-access-token`, too.
    pub inner: Authenticator,
    /// How often a handler was entered.
    pub handled: Arc<AtomicUsize>,
    pub(crate) tokens: BTreeMap<String, PlaintextKey>,
    pub(crate) format: KeyFormat,
}

impl Stand {
    /// The whole cast under `setting`.
    ///
    /// # Panics
    ///
    /// When the setting is not a valid configuration.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        Stand::with(setting, |builder| builder)
    }

    /// The whole cast under `setting`, changed by `configure`.
    ///
    /// # Panics
    ///
    /// When the configuration is not valid.
    #[must_use]
    pub fn with(setting: Setting, configure: impl FnOnce(AuthenticatorBuilder) -> AuthenticatorBuilder) -> Self {
        let format = KeyFormat::builder("my_app").environment("live").environment("test").build().unwrap();
        let store = Arc::new(Store::default());
        let clock = ManualClock::new();
        let builder = Authenticator::builder(Arc::clone(&store)).realm(REALM).clock(clock.clone());
        let builder = builder.retry_after(Duration::from_millis(1_500)).cache_capacity(64).refused_capacity(64);
        let builder = match setting {
            Setting::AnyToken => builder,
            _ => builder.format(format.clone()).environments(["live"]),
        };
        let builder = match setting {
            Setting::Plain | Setting::AnyToken | Setting::Responder | Setting::OtherInside => builder,
            Setting::ExtraHeaders => builder.header("X-API-Key").header("x-access-token"),
            Setting::Optional => builder.optional(true),
            Setting::PassThrough => builder.foreign_tokens(ForeignTokens::PassThrough).header("x-api-key"),
            Setting::ExplainRefusals => builder.explain_refusals(true),
            Setting::Strip => builder.header("x-api-key"),
            Setting::Impatient => builder.resolver_timeout(Duration::from_millis(1)),
        };
        let authenticator = configure(builder).build().unwrap();
        let inner = match setting {
            Setting::Strip => authenticator.clone(),
            _ => {
                let inner =
                    Authenticator::builder(Arc::clone(&store)).realm(REALM).format(format.clone()).cache_capacity(64);
                inner.header("x-access-token").optional(true).clock(clock.clone()).build().unwrap()
            }
        };
        let handled = Arc::default();
        let mut stand = Stand { setting, store, clock, authenticator, inner, handled, tokens: BTreeMap::new(), format };
        stand.add_cast();
        stand
    }

    /// How often a handler was entered so far.
    #[must_use]
    pub fn handler_calls(&self) -> usize {
        self.handled.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stand").field("setting", &self.setting).finish_non_exhaustive()
    }
}
