//! The configuration of an authenticator. `build` reports every mistake, so that nothing fails later.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{Authenticator, Inner};
use crate::{
    cache::{entry::Shared, flight::Flights, gate::TrustGate, refused::RefusedKeys, table::Table, usage::Usage},
    caller::ActivitySink,
    clock::Clock,
    key::{KeyFormat, KeyHasher},
    rejection::Terms,
    request::view::is_tchar,
    scope::ScopeCatalog,
    source::ErasedResolver,
};

/// The lengths in bytes of keys without a declared format, which may be any token68.
const ANY_TOKEN: std::ops::RangeInclusive<usize> = 16..=256;
/// The largest capacity. A larger table would not fit into memory.
const MAX_CAPACITY: usize = 1 << 28;
/// The default number of bytes for each verified key.
const BYTES_A_KEY: usize = 1_024;
/// The least default number of bytes, because even a small table may hold keys with much metadata.
const LEAST_BYTES: usize = 1 << 20;

/// What happens to a `Bearer` token that has no accepted format's prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignTokens {
    /// Refuse it as an invalid key.
    #[default]
    Reject,
    /// Let the request go on without a key, for another layer to judge, such as a JWT verifier.
    PassThrough,
}

/// The error for a configuration that is not valid. The message names the setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// Configures an [`Authenticator`].
///
/// ```
/// use std::time::Duration;
/// use apikey_core::{Authenticator, KeyFormat, KeyHasher, ScopeCatalog, resolver_fn};
///
/// let authenticator = Authenticator::builder(resolver_fn(async |_| std::io::Result::Ok(None)))
///     .format(KeyFormat::builder("acme").environment("live").environment("test").build()?)
///     .environments(["live"])
///     .catalog(ScopeCatalog::new().role("admin", ["*"])?)
///     .realm("files")
///     .header("x-api-key")
///     .cache_capacity(50_000)
///     .cache_ttl(Duration::from_secs(30))
///     .resolver_timeout(Duration::from_secs(2))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct AuthenticatorBuilder {
    resolver: Arc<dyn ErasedResolver>,
    formats: Vec<KeyFormat>,
    environments: Option<Vec<Arc<str>>>,
    hasher: KeyHasher,
    catalog: ScopeCatalog,
    cache_capacity: usize,
    cache_bytes: Option<usize>,
    cache_ttl: Duration,
    refused_capacity: usize,
    refused_ttl: Duration,
    resolver_timeout: Duration,
    resolver_concurrency: usize,
    clock: Clock,
    realm: Box<str>,
    retry_after: Duration,
    extra_headers: Vec<Box<str>>,
    foreign_tokens: ForeignTokens,
    optional: bool,
    explain_refusals: bool,
    gate: Option<Box<dyn TrustGate>>,
    count_usage: bool,
    metrics: bool,
    activity_sink: Option<Arc<dyn ActivitySink>>,
}

impl AuthenticatorBuilder {
    pub(super) fn new(resolver: Arc<dyn ErasedResolver>) -> Self {
        AuthenticatorBuilder {
            resolver,
            formats: Vec::new(),
            environments: None,
            hasher: KeyHasher::sha256(),
            catalog: ScopeCatalog::new(),
            cache_capacity: 10_000,
            cache_bytes: None,
            cache_ttl: Duration::from_secs(60),
            refused_capacity: 10_000,
            refused_ttl: Duration::from_secs(10),
            resolver_timeout: Duration::from_secs(5),
            resolver_concurrency: 64,
            clock: Clock::system(),
            realm: "api".into(),
            retry_after: Duration::from_secs(1),
            extra_headers: Vec::new(),
            foreign_tokens: ForeignTokens::Reject,
            optional: false,
            explain_refusals: false,
            gate: None,
            count_usage: false,
            metrics: false,
            activity_sink: None,
        }
    }

    /// Accepts keys of `format`. It may be called for several formats. Keys of another shape never reach the resolver.
    ///
    /// Without a format, every token68 string of 16 to 256 bytes is looked up.
    pub fn format(mut self, format: KeyFormat) -> Self {
        self.formats.push(format);
        self
    }

    /// Accepts keys of these environments only. By default, keys of all environments that the formats declare are
    /// accepted.
    ///
    /// A key of another environment is refused without a lookup if its text names the environment, and after the lookup
    /// otherwise. A key without an environment is refused, too.
    pub fn environments<E: Into<Arc<str>>>(mut self, environments: impl IntoIterator<Item = E>) -> Self {
        self.environments = Some(environments.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how keys are digested. Default: SHA-256.
    pub fn hasher(mut self, hasher: KeyHasher) -> Self {
        self.hasher = hasher;
        self
    }

    /// Sets the roles and implied scopes that expand granted scopes.
    pub fn catalog(mut self, catalog: ScopeCatalog) -> Self {
        self.catalog = catalog;
        self
    }

    /// Sets how many verified keys are cached. Default: 10,000. A key without metadata takes up to half a kilobyte.
    pub fn cache_capacity(mut self, keys: usize) -> Self {
        self.cache_capacity = keys;
        self
    }

    /// Sets how many bytes the cached keys may take together. Default: 1 KiB for each key of the capacity, and at least
    /// 1 MiB. Extras that the resolver attaches are not counted.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = Some(bytes);
        self
    }

    /// Sets how long a verified key is cached, from the call of the resolver. Default: 60 seconds. Zero calls the
    /// resolver for every request.
    ///
    /// It limits how long a change goes unnoticed if the authenticator is not told with
    /// [`revoke`](Authenticator::revoke) or [`refresh`](Authenticator::refresh).
    pub fn cache_ttl(mut self, cache_ttl: Duration) -> Self {
        self.cache_ttl = cache_ttl;
        self
    }

    /// Sets how many refused keys are cached. Default: 10,000.
    pub fn refused_capacity(mut self, keys: usize) -> Self {
        self.refused_capacity = keys;
        self
    }

    /// Sets how long a refused key is cached. Default: 10 seconds. Zero calls the resolver for every request.
    pub fn refused_ttl(mut self, refused_ttl: Duration) -> Self {
        self.refused_ttl = refused_ttl;
        self
    }

    /// Sets how long a request waits for the resolver, queueing included, before it is answered with 503. Default: 5
    /// seconds.
    pub fn resolver_timeout(mut self, timeout: Duration) -> Self {
        self.resolver_timeout = timeout;
        self
    }

    /// Sets how many calls of the resolver may run at once. Default: 64.
    ///
    /// A quarter of them is reserved for keys that were valid before, so that a flood of unknown keys doesn't lock them
    /// out.
    pub fn resolver_concurrency(mut self, calls: usize) -> Self {
        self.resolver_concurrency = calls;
        self
    }

    /// Sets the clock. Default: the system's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Sets the realm of challenges (RFC 9110 §11.5). Default: `api`.
    pub fn realm(mut self, realm: impl Into<Box<str>>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Sets when a client should retry if keys can't be checked. Default: one second. It is sent in whole seconds,
    /// rounded up.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = delay;
        self
    }

    /// Accepts keys in the header `name` as well. Its whole value is the key. It may be called for several headers.
    ///
    /// # Security
    ///
    /// Shared caches don't store responses to requests with `Authorization`, but they may store others (RFC 9111 §3.5).
    /// The adapters therefore set `Cache-Control: private` on responses to keys in other headers.
    pub fn header(mut self, name: impl AsRef<str>) -> Self {
        self.extra_headers.push(name.as_ref().to_ascii_lowercase().into());
        self
    }

    /// Sets what happens to tokens that are not this service's keys. By default, they are refused.
    ///
    /// Keys are recognized by their prefix, so passing other tokens on requires a
    /// [`format`](AuthenticatorBuilder::format). A format without a prefix ([`KeyFormat::legacy`]) claims every token
    /// of its lengths.
    pub fn foreign_tokens(mut self, foreign_tokens: ForeignTokens) -> Self {
        self.foreign_tokens = foreign_tokens;
        self
    }

    /// Accepts requests without a credential, as anonymous. A credential that is sent must still be valid.
    pub fn optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    /// Tells the holder of a genuine key why it is refused: expired, disabled, revoked, not yet valid, other
    /// environment.
    ///
    /// # Security
    ///
    /// It also tells a thief that a stolen key was once valid. Someone who guesses keys learns nothing.
    pub fn explain_refusals(mut self, explain_refusals: bool) -> Self {
        self.explain_refusals = explain_refusals;
        self
    }

    /// Calls `gate` before a cached answer is used.
    pub fn trust_gate(mut self, gate: impl TrustGate) -> Self {
        self.gate = Some(Box::new(gate));
        self
    }

    /// Counts how often each key is used, to be read with [`take_usage`](Authenticator::take_usage). By default,
    /// nothing is counted.
    ///
    /// It costs each request a few nanoseconds. Take the counts regularly: at most 131,072 secrets are counted between
    /// two calls.
    pub fn count_usage(mut self, count_usage: bool) -> Self {
        self.count_usage = count_usage;
        self
    }

    /// Emits counters and a histogram through the `metrics` facade. The [crate's page](crate#telemetry) lists them. By
    /// default, none are emitted.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn metrics(mut self, metrics: bool) -> Self {
        self.metrics = metrics;
        self
    }

    /// Reports every accepted request to `sink`, if the adapter supports it.
    pub fn activity_sink(mut self, sink: Arc<dyn ActivitySink>) -> Self {
        self.activity_sink = Some(sink);
        self
    }

    /// Checks the configuration and builds the authenticator.
    ///
    /// # Errors
    ///
    /// A capacity that is zero or too large, a zero timeout or concurrency of the resolver, a realm that is not
    /// printable ASCII, a header name that is not valid or repeated, a format given twice, an environment that no
    /// format declares, or foreign tokens passed on without a format that tells keys apart.
    pub fn build(self) -> Result<Authenticator, ConfigError> {
        for (setting, capacity) in
            [("cache_capacity", self.cache_capacity), ("refused_capacity", self.refused_capacity)]
        {
            if capacity == 0 || capacity > MAX_CAPACITY {
                return Err(error(setting, format!("{capacity} keys, of 1 to {MAX_CAPACITY}")));
            }
        }
        let cache_bytes = self.cache_bytes.unwrap_or_else(|| LEAST_BYTES.max(self.cache_capacity * BYTES_A_KEY));
        if cache_bytes < BYTES_A_KEY {
            return Err(error(
                "cache_bytes",
                format!("{cache_bytes} bytes hold no key; at least {BYTES_A_KEY} are needed"),
            ));
        }
        if self.resolver_timeout.is_zero() {
            return Err(error("resolver_timeout", "zero leaves the resolver no time"));
        }
        if self.resolver_concurrency == 0 || self.resolver_concurrency > Semaphore::MAX_PERMITS {
            let calls = self.resolver_concurrency;
            return Err(error("resolver_concurrency", format!("{calls} calls, of 1 to {}", Semaphore::MAX_PERMITS)));
        }
        if let Some(odd) = self.realm.chars().find(|c| !matches!(c, ' '..='~')) {
            return Err(error("realm", format!("{odd:?} is not printable ASCII (RFC 9110 §5.6.4)")));
        }
        self.check_headers()?;
        let formats = self.checked_formats()?;
        let reserved = match self.resolver_concurrency {
            1 => 0,
            calls => (calls / 4).max(1),
        };
        let terms = Terms { realm: self.realm, retry_after: self.retry_after, explain_refusals: self.explain_refusals };
        let mut shared = Shared::new(self.clock, terms);
        shared.usage = self.count_usage.then(Usage::new);
        shared.emits_metrics = self.metrics;
        shared.gate = self.gate;
        Ok(Authenticator(Arc::new(Inner {
            resolver: self.resolver,
            longest: formats.iter().map(KeyFormat::longest).max().unwrap_or_default(),
            declared_environments: formats.iter().flat_map(KeyFormat::environments).map(Arc::from).collect(),
            formats,
            environments: self.environments.map(Vec::into_boxed_slice),
            hasher: self.hasher,
            catalog: self.catalog,
            shared: Arc::new(shared),
            table: Table::new(self.cache_capacity, cache_bytes),
            refused: RefusedKeys::new(self.refused_capacity as u64),
            flights: Flights::new(),
            permits: Arc::new(Semaphore::new(self.resolver_concurrency - reserved)),
            reserved_permits: Arc::new(Semaphore::new(reserved)),
            cache_ttl: self.cache_ttl,
            refused_ttl: self.refused_ttl,
            resolver_timeout: self.resolver_timeout,
            extra_headers: self.extra_headers.into_boxed_slice(),
            foreign_tokens: self.foreign_tokens,
            optional: self.optional,
            activity_sink: self.activity_sink,
        })))
    }

    fn check_headers(&self) -> Result<(), ConfigError> {
        for (n, name) in self.extra_headers.iter().enumerate() {
            if name.is_empty() || !name.bytes().all(is_tchar) {
                return Err(error("header", format!("{name:?} is not a header name (RFC 9110 §5.1)")));
            }
            if ["authorization", "proxy-authorization", "cookie"].contains(&&**name) {
                return Err(error("header", format!("{name} has a meaning of its own and holds no bare key")));
            }
            if self.extra_headers[..n].contains(name) {
                return Err(error("header", format!("{name} is given twice")));
            }
        }
        Ok(())
    }

    fn checked_formats(&self) -> Result<Box<[KeyFormat]>, ConfigError> {
        for (n, format) in self.formats.iter().enumerate() {
            if self.formats[..n].contains(format) {
                return Err(error("format", format!("number {} repeats an earlier one", n + 1)));
            }
        }
        if let Some(environments) = &self.environments {
            if environments.is_empty() {
                return Err(error("environments", "none is accepted, so no key would be"));
            }
            let declared = |name: &str| self.formats.iter().any(|f| f.environments().any(|e| e == name));
            let any_declared = self.formats.iter().any(|format| format.environments().next().is_some());
            if let Some(name) = environments.iter().find(|name| any_declared && !declared(name)) {
                return Err(error("environments", format!("no format declares {name:?}")));
            }
        }
        if self.formats.is_empty() && self.foreign_tokens == ForeignTokens::PassThrough {
            return Err(error("foreign_tokens", "without a format, every token may be a key and none is foreign"));
        }
        match self.formats.is_empty() {
            false => Ok(self.formats.clone().into_boxed_slice()),
            true => match KeyFormat::legacy(ANY_TOKEN) {
                Ok(any) => Ok([any].into()),
                Err(cause) => Err(error("format", cause.to_string())),
            },
        }
    }
}

fn error(setting: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError { setting, reason: reason.into() }
}

impl fmt::Debug for AuthenticatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticatorBuilder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::resolver_fn;

    fn builder() -> AuthenticatorBuilder {
        Authenticator::builder(resolver_fn(async |_| std::io::Result::Ok(None)))
    }

    fn format(prefix: &str) -> KeyFormat {
        KeyFormat::builder(prefix).environment("live").build().unwrap()
    }

    #[test]
    fn given_a_wrong_setting_when_built_then_the_error_names_it_and_the_reason() {
        type Wrong = fn(AuthenticatorBuilder) -> AuthenticatorBuilder;
        let cases: [(Wrong, &str); 21] = [
            (|b| b.cache_capacity(0), "cache_capacity: 0 keys, of 1 to"),
            (|b| b.cache_capacity(usize::MAX), "cache_capacity: "),
            (|b| b.cache_bytes(1_023), "cache_bytes: 1023 bytes hold no key"),
            (|b| b.refused_capacity(0), "refused_capacity: 0 keys, of 1 to"),
            (|b| b.refused_capacity(usize::MAX), "refused_capacity: "),
            (|b| b.resolver_timeout(Duration::ZERO), "resolver_timeout: zero"),
            (|b| b.resolver_concurrency(0), "resolver_concurrency: 0 calls, of 1 to"),
            (|b| b.resolver_concurrency(usize::MAX), "resolver_concurrency: "),
            (|b| b.realm("a\r\nSet-Cookie: b"), "realm: '\\r' is not printable ASCII"),
            (|b| b.realm("a\n"), "realm: '\\n' is not printable ASCII"),
            (|b| b.realm("é"), "realm: 'é' is not printable ASCII"),
            (|b| b.header(""), "header: \"\" is not a header name"),
            (|b| b.header("x api key"), "header: \"x api key\" is not a header name"),
            (|b| b.header("x-key:"), "header: \"x-key:\" is not a header name"),
            (|b| b.header("Authorization"), "header: authorization has a meaning of its own"),
            (|b| b.header("cookie"), "header: cookie has a meaning of its own"),
            (|b| b.header("x-api-key").header("X-API-Key"), "header: x-api-key is given twice"),
            (|b| b.format(format("a")).format(format("b")).format(format("a")), "format: number 3 repeats"),
            (|b| b.environments([""; 0]), "environments: none is accepted"),
            (|b| b.format(format("a")).environments(["live", "test"]), "environments: no format declares \"test\""),
            (|b| b.foreign_tokens(ForeignTokens::PassThrough), "foreign_tokens: without a format"),
        ];
        for (wrong, expected) in cases {
            let error = wrong(builder()).build().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn given_settings_at_their_edges_when_built_then_they_are_accepted() {
        type Right = fn(AuthenticatorBuilder) -> AuthenticatorBuilder;
        let cases: [Right; 8] = [
            |b| b,
            |b| b.cache_capacity(1).cache_bytes(1_024).refused_capacity(1).resolver_concurrency(1),
            |b| b.cache_ttl(Duration::ZERO).refused_ttl(Duration::ZERO),
            |b| b.cache_ttl(Duration::MAX).refused_ttl(Duration::MAX).retry_after(Duration::MAX),
            |b| b.realm("").header("X-API-Key"),
            |b| b.realm("a \"quoted\" \\ ~"),
            |b| b.format(format("a")).format(format("b")).environments(["live"]),
            |b| b.format(format("a")).foreign_tokens(ForeignTokens::PassThrough),
        ];
        for right in cases {
            right(builder()).build().unwrap();
        }
        let authenticator = builder().header("X-API-Key").build().unwrap();
        assert_eq!(authenticator.extra_headers(), ["x-api-key".into()]);
    }
}
