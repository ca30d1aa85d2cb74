//! The pipeline from header bytes to a decision. Every adapter calls [`Authenticator::authenticate`] and renders its
//! answer.

mod builder;
mod doubt;
mod load;
mod loading;

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::Semaphore;

use self::load::Loaded;
pub use self::{
    builder::{AuthenticatorBuilder, ConfigError, ForeignTokens},
    doubt::Doubt,
    loading::Loading,
};
use crate::{
    cache::{cache_key::CacheKey, entry::Shared, flight::Flights, refused::RefusedKeys, table::Table},
    caller::{ActivitySink, AuthenticatedKey, KeyUsage, RequestReport},
    clock::{Clock, Tick, Timestamp},
    key::{KeyDigest, KeyFormat, KeyHasher, KeyId, ParseKeyError, PlaintextKey, is_token68},
    rejection::{Reason, Rejection, RejectionKind},
    request::{
        credentials::Credential,
        view::{Header, RequestView},
    },
    scope::ScopeCatalog,
    source::{ErasedResolver, PresentedKey, Resolver},
    telemetry::{self, Found},
};

/// Verifies the keys of requests, and caches the result.
///
/// A service has one. Clones are cheap and share one cache, so that a revocation through one applies to all.
///
/// ```
/// use apikey_core::{Authenticator, KeyFormat, resolver_fn};
///
/// let authenticator = Authenticator::builder(resolver_fn(async |_| std::io::Result::Ok(None)))
///     .format(KeyFormat::builder("acme").environment("live").build()?)
///     .realm("files")
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A load that has to wait for the resolver uses tokio's timer, so requests must be served on a tokio runtime.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

/// A handle of an [`Authenticator`] that doesn't keep it alive, for a task that serves it.
#[derive(Clone)]
pub struct WeakAuthenticator(Weak<Inner>);

impl WeakAuthenticator {
    /// Returns the authenticator, or `None` if its last handle is gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Authenticator> {
        self.0.upgrade().map(Authenticator)
    }
}

impl fmt::Debug for WeakAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakAuthenticator")
    }
}

/// The outcome of a request: a caller, `None` for an anonymous request or a foreign token that the service accepts, or
/// a refusal.
pub type Decision = Result<Option<AuthenticatedKey>, Rejection>;

/// The answer of [`Authenticator::authenticate`].
#[derive(Debug)]
#[must_use]
pub enum Authentication {
    /// Decided at once, from the cache or from the credential alone.
    Done(Decision),
    /// The key has to be looked up.
    Loading(Loading),
}

struct Inner {
    resolver: Arc<dyn ErasedResolver>,
    formats: Box<[KeyFormat]>,
    /// The accepted environments; `None` accepts all that the formats declare.
    environments: Option<Box<[Arc<str>]>>,
    /// The environments that formats declare, so that the claims of many keys share one string.
    declared_environments: Box<[Arc<str>]>,
    /// The length in bytes of the longest key that any format accepts.
    longest: usize,
    hasher: KeyHasher,
    catalog: ScopeCatalog,
    shared: Arc<Shared>,
    table: Table,
    refused: RefusedKeys,
    flights: Flights<Loaded>,
    /// Permits for loads of unknown keys, and the reserved ones for keys known to be valid.
    permits: Arc<Semaphore>,
    reserved_permits: Arc<Semaphore>,
    cache_ttl: Duration,
    refused_ttl: Duration,
    resolver_timeout: Duration,
    extra_headers: Box<[Box<str>]>,
    foreign_tokens: ForeignTokens,
    optional: bool,
    activity_sink: Option<Arc<dyn ActivitySink>>,
}

impl Authenticator {
    /// Configures an authenticator that looks keys up in `resolver`.
    pub fn builder(resolver: impl Resolver) -> AuthenticatorBuilder {
        AuthenticatorBuilder::new(Arc::new(resolver))
    }

    /// Decides about a request by its headers.
    ///
    /// Cached keys, and refusals that need no lookup, are decided before this returns. Only a refusal allocates.
    pub fn authenticate(&self, request: &impl RequestView) -> Authentication {
        if let Some(key) = request.authenticated()
            && self.still_accepts(&key)
        {
            return Authentication::Done(Ok(Some(key)));
        }
        match Credential::read(request, self.0.extra_headers.len()) {
            Ok(Some(credential)) => self.judge(credential),
            Ok(None) if self.0.optional => self.pass(),
            Ok(None) => self.reject(Reason::NoCredential, None),
            Err(reason) => self.reject(reason, None),
        }
    }

    /// Returns the lower-case names of the headers besides `Authorization` that may hold a key. [`Header::Extra`] is an
    /// index into them.
    #[must_use]
    pub fn extra_headers(&self) -> &[Box<str>] {
        &self.0.extra_headers
    }

    /// Returns the headers that may hold a key, `Authorization` first.
    pub fn headers(&self) -> impl Iterator<Item = Header> {
        [Header::Authorization].into_iter().chain((0..self.0.extra_headers.len()).map(Header::Extra))
    }

    /// Revokes a key: every handle of it is dead, and no request that arrives after this returns is accepted with it.
    ///
    /// Change the store first, because lookups after this call are trusted. The same holds for the methods below.
    ///
    /// ```
    /// # use apikey_core::{Authenticator, KeyId};
    /// # async fn update_row(_: &KeyId) -> std::io::Result<()> { Ok(()) }
    /// async fn revoke(authenticator: &Authenticator, id: &KeyId) -> std::io::Result<()> {
    ///     update_row(id).await?; // UPDATE keys SET revoked_at = now() WHERE id = …
    ///     authenticator.revoke(id);
    ///     Ok(()) // no later request is accepted with it
    /// }
    /// ```
    pub fn revoke(&self, key: &KeyId) {
        self.end(key, None);
    }

    /// Revokes one secret of a key, by its stored digest. The key's other secrets stay valid.
    pub fn revoke_secret(&self, key: &KeyId, digest: &KeyDigest) {
        self.end(key, Some(digest));
    }

    /// Moves the end of a key's validity, or of one secret's. Requests in progress end at `when`, and later ones are
    /// looked up.
    ///
    /// `None` removes the end. Without a `secret`, all secrets of the key get the same end. The authenticator converts
    /// `when` by its clock's current wall time; setting the wall clock later changes nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use apikey_core::TestKeys;
    ///
    /// let keys = TestKeys::new();
    /// let key = keys.key(["files:read"]);
    /// let end = keys.clock().wall() + Duration::from_secs(60);
    /// keys.authenticator().end_at(key.id(), None, Some(end)); // its streams break off in a minute
    /// ```
    pub fn end_at(&self, key: &KeyId, secret: Option<&KeyDigest>, when: Option<Timestamp>) {
        self.0.shared.registry.end_at(key, secret, self.tick_of(when)).iter().for_each(|entry| entry.end_has_moved());
    }

    fn tick_of(&self, end: Option<Timestamp>) -> Tick {
        let clock = &self.0.shared.clock;
        end.map_or(Tick::NEVER, |end| clock.now().saturating_add(clock.until(end)))
    }

    /// Looks `key` up again before it is next accepted, because its scopes, its validity or its status have changed.
    ///
    /// Requests in progress finish. Refusals are looked up again, too, so that a key that was just enabled or that just
    /// got another secret is accepted immediately.
    ///
    /// ```
    /// # use apikey_core::{Authenticator, KeyId};
    /// # async fn update_row(_: &KeyId, _: &str) -> std::io::Result<()> { Ok(()) }
    /// async fn narrow(authenticator: &Authenticator, id: &KeyId) -> std::io::Result<()> {
    ///     update_row(id, "files:read").await?;
    ///     authenticator.refresh(id);
    ///     Ok(()) // the next request has the new scopes
    /// }
    /// ```
    pub fn refresh(&self, key: &KeyId) {
        self.0.shared.registry.refresh(key);
    }

    /// Applies [`refresh`](Authenticator::refresh) to every key.
    pub fn refresh_all(&self) {
        self.0.shared.registry.refresh_all();
    }

    /// Returns a handle that doesn't keep the authenticator alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakAuthenticator {
        WeakAuthenticator(Arc::downgrade(&self.0))
    }

    /// Looks up every refused key again, because new keys exist.
    pub fn forget_refused(&self) {
        self.0.shared.registry.forget_refused();
    }

    /// Returns the clock that keys are judged by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.shared.clock
    }

    /// Returns how often each key was used since the last call. It is empty unless usage is
    /// [counted](AuthenticatorBuilder::count_usage).
    ///
    /// Every request is counted in exactly one result, even if its key or the cache changes meanwhile, or if several
    /// tasks call this. Requests accepted before the call are in this result or an earlier one. A secret may be listed
    /// twice: with its data before and after another lookup. The cost grows with the number of used keys.
    ///
    /// ```
    /// # use apikey_core::{Authenticator, StaticKeys};
    /// # let keys = StaticKeys::parse(&format!("ci sha256:{}", "00".repeat(32)))?;
    /// let authenticator = Authenticator::builder(keys).count_usage(true).build()?;
    /// for used in authenticator.take_usage() {
    ///     println!("{}: {} requests", used.key, used.requests);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "what was taken is not counted again"]
    pub fn take_usage(&self) -> Vec<KeyUsage> {
        let mut taken = Vec::new();
        let shared = &self.0.shared;
        let Some(usage) = &shared.usage else {
            return taken;
        };
        let (now, wall) = (shared.clock.now(), shared.clock.wall());
        usage.take(|entry, counted| {
            let ago = now.saturating_since(Tick::from_nanos(counted.last_used));
            taken.push(KeyUsage {
                key: entry.claims().key_id().clone(),
                organization: entry.claims().organization().cloned(),
                service_account: entry.claims().service_account().cloned(),
                environment: entry.claims().shared_environment(),
                digest: entry.digest(),
                requests: counted.requests,
                refused: counted.refused,
                last_used: wall.saturating_sub(ago),
            });
        });
        let lost = usage.take_lost();
        if lost > 0 {
            telemetry::usage_lost(lost);
        }
        taken
    }

    /// Completes when so many keys (8,192) were used since usage was last taken that it should be taken now. Only one
    /// task may await it at a time. It never completes if usage is not counted.
    pub async fn usage_piles_up(&self) {
        match &self.0.shared.usage {
            Some(usage) => usage.grows_long().await,
            None => std::future::pending().await,
        }
    }

    /// Returns `true` if usage is [counted](AuthenticatorBuilder::count_usage).
    #[must_use]
    pub fn counts_usage(&self) -> bool {
        self.0.shared.usage.is_some()
    }

    /// Returns `true` if there is an [activity sink](AuthenticatorBuilder::activity_sink). If not, an adapter need not
    /// inspect the request.
    #[must_use]
    pub fn records_activity(&self) -> bool {
        self.0.activity_sink.is_some()
    }

    /// Reports to the activity sink what `key` did. Adapters call it once an accepted request is answered.
    pub fn record_activity(&self, key: &AuthenticatedKey, request: &RequestReport<'_>) {
        if let Some(sink) = &self.0.activity_sink {
            sink.record(key, request);
        }
    }

    /// Refuses a request with this authenticator's settings, for an adapter that has decided by itself.
    ///
    /// [`InvalidRequest`](RejectionKind::InvalidRequest) means that several credentials were sent. To refuse a caller
    /// for missing scopes, use [`AuthenticatedKey::refuse_scopes`].
    ///
    /// ```
    /// use apikey_core::{RejectionKind, TestKeys};
    ///
    /// let rejection = TestKeys::new().authenticator().refuse(RejectionKind::MissingCredential);
    /// assert_eq!((rejection.status(), rejection.challenge().as_deref()), (401, Some("Bearer realm=\"api\"")));
    /// ```
    #[must_use]
    pub fn refuse(&self, kind: RejectionKind) -> Rejection {
        self.rejection(kind.into(), None)
    }

    fn end(&self, key: &KeyId, digest: Option<&KeyDigest>) {
        let table = &self.0.table;
        let ended = self.0.shared.registry.revoke(key, digest, |entry| table.remove(entry));
        ended.iter().for_each(|entry| entry.wake_waiters());
    }

    /// Returns `true` if this authenticator accepted the request before and the key is still live. The cache TTL no
    /// longer matters.
    fn still_accepts(&self, key: &AuthenticatedKey) -> bool {
        Arc::ptr_eq(key.shared(), &self.0.shared) && key.is_live()
    }

    #[inline]
    fn judge(&self, credential: Credential<'_>) -> Authentication {
        let inner = &*self.0;
        // A token that is longer than any key is not hashed. Shorter ones are looked up before they are parsed: cached
        // tokens were parsed before, and a digest stands for one string only.
        if credential.token.len() > inner.longest {
            return self.judge_new(credential, None);
        }
        let cache_key = CacheKey::of(credential.token);
        // The order matters: gate, entry. If the gate was open and the entry is valid after that, it was valid at some
        // moment of the lease. A gate's promises concern other machines, so it reads a clock of its own.
        let now = inner.shared.clock.at_latest();
        let trusted = inner.shared.trusts_cache();
        let cached = inner.table.get(&cache_key).filter(|entry| !entry.is_dead());
        match cached {
            Some(entry) if trusted && entry.is_good(now) => {
                if let Some(usage) = &inner.shared.usage {
                    usage.accepted(&entry, now);
                }
                telemetry::accepted(entry.claims().key_id(), Found::Cached, inner.shared.emits_metrics);
                Authentication::Done(Ok(Some(AuthenticatedKey::new(entry))))
            }
            cached => {
                let lookup = Lookup { cache_key, now, trusted, known: cached.is_some() };
                self.judge_new(credential, Some(lookup))
            }
        }
    }

    /// Judges a token that the cache can't answer. Without a `lookup`, it is too long to be a key.
    #[cold]
    fn judge_new(&self, credential: Credential<'_>, lookup: Option<Lookup>) -> Authentication {
        let Credential { token, header } = credential;
        let text = match std::str::from_utf8(token) {
            Ok(text) if is_token68(token) => text,
            _ => return self.reject(Reason::MalformedCredential, None),
        };
        let environment = match self.check_format(token) {
            Ok(environment) => environment,
            Err(_) if self.lets_pass(token, header) => return self.pass(),
            Err(error) => return self.reject(reason_of(&error), None),
        };
        // A format has accepted it, so it is not too long.
        let Some(lookup) = lookup else {
            return self.reject(Reason::WrongFormat, None);
        };
        if let (Some(environment), Some(accepted)) = (&environment, &self.0.environments)
            && !accepted.contains(environment)
        {
            return self.reject(Reason::WrongEnvironment, None);
        }
        if lookup.trusted
            && let refused_since = self.0.shared.registry.refused_since()
            && let Some(refusal) = self.0.refused.get(&lookup.cache_key, lookup.now, refused_since)
        {
            return self.reject(refusal.reason, refusal.key_id.as_ref());
        }
        let Ok(plaintext) = text.parse::<PlaintextKey>() else {
            return self.reject(Reason::MalformedCredential, None);
        };
        let digests = self.0.hasher.digests(&plaintext);
        let presented = PresentedKey::new(plaintext, digests, environment);
        Authentication::Loading(Loading::new(self.clone(), presented, lookup))
    }

    /// Returns the environment that the token names, by the first format that accepts it, or the error of the format
    /// that got furthest.
    ///
    /// A token with a declared format's prefix belongs to that format: a legacy format, which has no prefix, can't
    /// accept it after that format has refused it.
    fn check_format(&self, token: &[u8]) -> Result<Option<Arc<str>>, ParseKeyError> {
        let is_declared = |format: &&KeyFormat| format.prefix().is_some();
        let is_claimed = self.0.formats.iter().filter(is_declared).any(|format| format.has_prefix(token));
        let mut furthest = ParseKeyError::Prefix;
        for format in self.0.formats.iter().filter(|format| is_declared(format) || !is_claimed) {
            match format.check(token) {
                Ok(parsed) => return Ok(parsed.environment().map(|name| self.0.shared_environment(name))),
                Err(error) => furthest = furthest.max(error),
            }
        }
        Err(furthest)
    }

    fn lets_pass(&self, token: &[u8], header: Header) -> bool {
        self.0.foreign_tokens == ForeignTokens::PassThrough
            && header == Header::Authorization
            && !self.0.formats.iter().any(|format| format.has_prefix(token))
    }

    fn pass(&self) -> Authentication {
        telemetry::anonymous(self.0.shared.emits_metrics);
        Authentication::Done(Ok(None))
    }

    fn reject(&self, reason: Reason, key: Option<&KeyId>) -> Authentication {
        Authentication::Done(Err(self.rejection(reason, key)))
    }

    fn rejection(&self, reason: Reason, key: Option<&KeyId>) -> Rejection {
        let rejection = Rejection::new(reason, Arc::clone(&self.0.shared.terms));
        telemetry::refused(&rejection, key, self.0.shared.emits_metrics);
        rejection
    }
}

impl Inner {
    fn shared_environment(&self, name: &str) -> Arc<str> {
        let declared = self.declared_environments.iter().find(|declared| ***declared == *name);
        declared.cloned().unwrap_or_else(|| name.into())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Breaks a cycle: the list of used entries refers to entries, and entries to it.
        if let Some(usage) = &self.shared.usage {
            usage.close();
        }
    }
}

/// The result of a cache lookup that was no hit.
#[derive(Clone, Copy)]
struct Lookup {
    cache_key: CacheKey,
    now: Tick,
    /// `true` if cached answers may be used.
    trusted: bool,
    /// `true` if the key is cached as valid, but no longer fresh.
    known: bool,
}

fn reason_of(error: &ParseKeyError) -> Reason {
    match error {
        ParseKeyError::Checksum => Reason::WrongChecksum,
        ParseKeyError::Environment => Reason::WrongEnvironment,
        _ => Reason::WrongFormat,
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("realm", &self.0.shared.terms.realm)
            .field("formats", &self.0.formats)
            .field("optional", &self.0.optional)
            .finish_non_exhaustive()
    }
}
