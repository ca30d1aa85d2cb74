//! The setup of a server: a store with the cast of keys, the clock, and an authenticator with one of the table's
//! settings.

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
    /// The scopes on the servers.
    pub Files {
        /// Read files.
        FilesRead = "files:read",
        /// Write files.
        FilesWrite = "files:write",
    }
}

/// The realm of challenges, which needs escaping.
pub const REALM: &str = r#"the "files" \ of acme"#;

/// The settings of the authenticator and its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The defaults, with the format `my_app_live_…`.
    Plain,
    /// Keys are also accepted in `x-api-key` and `x-access-token`.
    ExtraHeaders,
    /// Requests without a credential are accepted.
    Optional,
    /// Tokens without the format's prefix are passed through. Keys are also accepted in `x-api-key`.
    PassThrough,
    /// Refusals of genuine keys give the reason.
    ExplainRefusals,
    /// No format is declared.
    AnyToken,
    /// A custom responder sets bodies, and headers that it can't set.
    Responder,
    /// The credential is removed before the handler sees the request. Keys are also accepted in `x-api-key`. The nested
    /// routes have a second layer of the same authenticator.
    Strip,
    /// The credential is removed before the nested routes' inner layer sees the request. That layer has its own
    /// authenticator.
    OtherInside,
    /// The resolver has almost no time.
    Impatient,
}

/// Everything that a server is started with, and that tests inspect.
pub struct Stand {
    /// The setting.
    pub setting: Setting,
    /// The keys' records.
    pub store: Arc<Store>,
    /// The authenticator's clock.
    pub clock: ManualClock,
    /// The authenticator.
    pub authenticator: Authenticator,
    /// The authenticator of the nested routes' inner layer: the same one under [`Setting::Strip`], otherwise another
    /// one that accepts anonymous requests and also reads `x-access-token`.
    pub inner: Authenticator,
    /// The number of handler calls.
    pub handled: Arc<AtomicUsize>,
    pub(crate) tokens: BTreeMap<String, PlaintextKey>,
    pub(crate) format: KeyFormat,
}

impl Stand {
    /// Creates the whole cast under `setting`.
    ///
    /// # Panics
    ///
    /// Panics if the setting is not a valid configuration.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        Stand::with(setting, |builder| builder)
    }

    /// Creates the whole cast under `setting`, changed by `configure`.
    ///
    /// # Panics
    ///
    /// Panics if the configuration is not valid.
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

    /// Returns the number of handler calls so far.
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
