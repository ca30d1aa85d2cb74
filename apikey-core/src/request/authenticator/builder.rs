//! An authenticator's configuration. Whatever is wrong with it is said by `build`, and nothing fails later.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{Authenticator, Inner, TrustGate};
use crate::{
    cache::{entry::Shared, flight::Flights, refused::RefusedKeys, table::Table, usage::Usage},
    caller::ActivitySink,
    clock::Clock,
    key::{KeyFormat, KeyHasher},
    rejection::Terms,
    request::view::is_tchar,
    scope::ScopeCatalog,
    source::ErasedResolver,
};

/// Keys of no declared format: any token68 of these many bytes.
const ANY_TOKEN: std::ops::RangeInclusive<usize> = 16..=256;
/// Above this a table would not fit any machine this is for.
const MAX_CAPACITY: usize = 1 << 28;
/// What a verified key may take on average, unless said otherwise.
const BYTES_A_KEY: usize = 1_024;
/// A small table may still hold some keys with much metadata.
const LEAST_BYTES: usize = 1 << 20;

/// What becomes of a `Bearer` token that has no accepted format's prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignTokens {
    /// It is refused as an invalid key.
    #[default]
    Reject,
    /// The request goes on without a key, for another layer to judge: a JWT verifier, for one.
    PassThrough,
}

/// Why an authenticator can't be built; the message names the setting.
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

    /// Accepts keys of `format`; may be called for several. What has the wrong shape never reaches the resolver.
    ///
    /// Without any, every token68 string of 16 to 256 bytes is looked up.
    pub fn format(mut self, format: KeyFormat) -> Self {
        self.formats.push(format);
        self
    }

    /// Accepts keys of these environments only; all that the formats declare, unless said.
    ///
    /// A key of another environment is refused without a look-up, if its text says so, and after it otherwise. So is one
    /// that neither its text nor its record puts into any.
    pub fn environments<E: Into<Arc<str>>>(mut self, environments: impl IntoIterator<Item = E>) -> Self {
        self.environments = Some(environments.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how keys are digested; SHA-256 unless said.
    pub fn hasher(mut self, hasher: KeyHasher) -> Self {
        self.hasher = hasher;
        self
    }

    /// Sets the roles and implied scopes by which granted scopes are expanded.
    pub fn catalog(mut self, catalog: ScopeCatalog) -> Self {
        self.catalog = catalog;
        self
    }

    /// Sets how many verified keys are kept; 10,000 unless said. A key without metadata takes up to half a kilobyte.
    pub fn cache_capacity(mut self, keys: usize) -> Self {
        self.cache_capacity = keys;
        self
    }

    /// Sets how many bytes the verified keys may take together; 1 KiB for each key of the capacity unless said, and never
    /// less than 1 MiB by default. Extras that the resolver attaches are not counted.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = Some(bytes);
        self
    }

    /// Sets how long a verified key is believed without asking again; 60 seconds unless said.
    ///
    /// This bounds how long a change may go unnoticed that nobody told the authenticator of (with
    /// [`revoke`](Authenticator::revoke) or [`refresh`](Authenticator::refresh)); it counts from the call of the resolver. Zero asks for every request.
    pub fn cache_ttl(mut self, cache_ttl: Duration) -> Self {
        self.cache_ttl = cache_ttl;
        self
    }

    /// Sets how many refused keys are kept; 10,000 unless said.
    pub fn refused_capacity(mut self, keys: usize) -> Self {
        self.refused_capacity = keys;
        self
    }

    /// Sets how long a refused key is refused without asking again; 10 seconds unless said. Zero asks every time.
    pub fn refused_ttl(mut self, refused_ttl: Duration) -> Self {
        self.refused_ttl = refused_ttl;
        self
    }

    /// Sets how long a request waits for the resolver, its turn included; 5 seconds unless said. Then it is answered 503.
    pub fn resolver_timeout(mut self, timeout: Duration) -> Self {
        self.resolver_timeout = timeout;
        self
    }

    /// Sets how many calls of the resolver may run at once; 64 unless said.
    ///
    /// A quarter of them is kept for keys that were good before, so that a flood of unknown ones doesn't lock those out.
    pub fn resolver_concurrency(mut self, calls: usize) -> Self {
        self.resolver_concurrency = calls;
        self
    }

    /// Sets the clock; the system's unless said.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Sets the realm that challenges name (RFC 9110 §11.5); `api` unless said.
    pub fn realm(mut self, realm: impl Into<Box<str>>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Sets after how long a client should retry when keys can't be checked; one second unless said. Whole seconds are
    /// sent, rounded up.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = delay;
        self
    }

    /// Accepts keys in the header `name` as well, its whole value being the key; may be called for several.
    ///
    /// # Security
    ///
    /// Shared caches spare answers to requests with `Authorization`, and with no other header (RFC 9111 §3.5). The
    /// adapters set `Cache-Control: private` on answers to keys from elsewhere.
    pub fn header(mut self, name: impl AsRef<str>) -> Self {
        self.extra_headers.push(name.as_ref().to_ascii_lowercase().into());
        self
    }

    /// Sets what becomes of tokens that belong to somebody else; they are refused unless said.
    ///
    /// They are told by their prefix, so passing them on needs a [`format`](AuthenticatorBuilder::format). One without a
    /// prefix ([`KeyFormat::legacy`]) claims every token of its lengths.
    pub fn foreign_tokens(mut self, foreign_tokens: ForeignTokens) -> Self {
        self.foreign_tokens = foreign_tokens;
        self
    }

    /// Lets requests without a credential pass, without a key; one that is sent must still be good.
    pub fn optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    /// Tells who holds a genuine key why it is refused: expired, disabled, revoked, not yet valid, other environment.
    ///
    /// # Security
    ///
    /// It also tells a thief that the key they hold was good once. Guessers learn nothing.
    pub fn explain_refusals(mut self, explain_refusals: bool) -> Self {
        self.explain_refusals = explain_refusals;
        self
    }

    /// Asks `gate` before a cached answer is believed.
    pub fn trust_gate(mut self, gate: impl TrustGate) -> Self {
        self.gate = Some(Box::new(gate));
        self
    }

    /// Counts how often each key is used, for somebody to [take](Authenticator::take_usage); off unless said.
    ///
    /// It costs a request a few nanoseconds. Whoever switches it on has to take the counts: those of more than 131,072
    /// secrets are not kept.
    pub fn count_usage(mut self, count_usage: bool) -> Self {
        self.count_usage = count_usage;
        self
    }

    /// Emits counters and a histogram through the `metrics` facade; off unless said. The [crate's page](crate#telemetry)
    /// lists them.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn metrics(mut self, metrics: bool) -> Self {
        self.metrics = metrics;
        self
    }

    /// Has `sink` told of every request that is let in, by adapters that can tell.
    pub fn activity_sink(mut self, sink: Arc<dyn ActivitySink>) -> Self {
        self.activity_sink = Some(sink);
        self
    }

    /// Checks the configuration and builds the authenticator.
    ///
    /// # Errors
    ///
    /// Zero or absurd capacities, no time or no turns for the resolver, a realm that is not printable ASCII, a header
    /// name that is none or repeated, a format given twice, an environment that no format declares, foreign tokens that
    /// nothing tells from keys.
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
            gate: self.gate,
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
