//! The trait that looks keys up, its input and its answer.
//!
//! A resolver only looks up. The [`Authenticator`](crate::Authenticator) then compares the digest, checks the key's
//! window and decides what is cached for how long.

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    clock::Timestamp,
    key::{Claims, KeyDigest, PlaintextKey},
};

/// Any boxed error. A [`Resolver`]'s error type converts into it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Looks a presented key up in a store: a table, a file, another service.
///
/// It is called on a cache miss, for keys with a valid format and checksum. Concurrent requests with one key share a
/// call. A call may be dropped at any await point, when its callers hang up or the resolver timeout passes.
///
/// ```
/// use std::convert::Infallible;
/// use apikey_core::{PresentedKey, Resolution, Resolver};
///
/// struct Table(std::collections::HashMap<apikey_core::KeyDigest, apikey_core::Claims>);
///
/// impl Resolver for Table {
///     type Error = Infallible;
///
///     async fn resolve(&self, key: &PresentedKey) -> Result<Option<Resolution>, Infallible> {
///         let found = key.digests().iter().find_map(|digest| self.0.get_key_value(digest));
///         Ok(found.map(|(digest, claims)| Resolution::new(digest.clone(), claims.clone())))
///     }
/// }
/// ```
///
/// # Errors
///
/// An error means that the store can't tell: the request is answered 503 and nothing is cached. A key that doesn't
/// exist is `Ok(None)`. A panic counts as an error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not resolve API keys",
    note = "implement `Resolver`, or wrap a closure in `resolver_fn` or `resolver_with`"
)]
pub trait Resolver: Send + Sync + 'static {
    /// The error of a failed lookup.
    type Error: Into<BoxError>;

    /// Looks up the record of `key`.
    fn resolve(&self, key: &PresentedKey) -> impl Future<Output = Result<Option<Resolution>, Self::Error>> + Send;
}

impl<R: Resolver> Resolver for Arc<R> {
    type Error = R::Error;

    fn resolve(&self, key: &PresentedKey) -> impl Future<Output = Result<Option<Resolution>, Self::Error>> + Send {
        R::resolve(self, key)
    }
}

/// A key as a caller presented it, with the digests under which a store may keep it.
///
/// Clones are cheap. The plaintext is wiped when the last one is dropped.
#[derive(Clone)]
pub struct PresentedKey(Arc<Parts>);

struct Parts {
    plaintext: PlaintextKey,
    digests: Vec<KeyDigest>,
    environment: Option<Arc<str>>,
}

impl PresentedKey {
    pub(crate) fn new(plaintext: PlaintextKey, digests: Vec<KeyDigest>, environment: Option<Arc<str>>) -> Self {
        PresentedKey(Arc::new(Parts { plaintext, digests, environment }))
    }

    /// Returns the key itself, for resolvers that pass it to another verifier.
    ///
    /// Stores should look keys up by [`digests`](PresentedKey::digests).
    #[must_use]
    pub fn plaintext(&self) -> &PlaintextKey {
        &self.0.plaintext
    }

    /// Returns the digest under the issuing pepper, or plain SHA-256 without peppers.
    #[must_use]
    pub fn digest(&self) -> &KeyDigest {
        &self.0.digests[0]
    }

    /// Returns one digest for each accepted pepper, the issuing one first. A store looks all of them up at once.
    #[must_use]
    pub fn digests(&self) -> &[KeyDigest] {
        &self.0.digests
    }

    /// Returns the environment in the key's text, if its format has environments.
    #[must_use]
    pub fn environment(&self) -> Option<&str> {
        self.0.environment.as_deref()
    }

    pub(crate) fn shared_environment(&self) -> Option<Arc<str>> {
        self.0.environment.clone()
    }
}

impl fmt::Debug for PresentedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedKey").finish_non_exhaustive()
    }
}

/// A resolver's answer: the record of the key that was presented.
#[derive(Clone, Debug)]
pub struct Resolution {
    pub(crate) proof: Proof,
    pub(crate) claims: Claims,
    pub(crate) status: KeyStatus,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) secret_ends_at: Option<Timestamp>,
}

/// How the record is known to belong to the presented key.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    Digest(KeyDigest),
    Vouched,
}

/// The state of a key's record, apart from its window of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyStatus {
    /// The key may be used.
    #[default]
    Active,
    /// The key is disabled and can be enabled again.
    Disabled,
    /// The key is revoked for good.
    Revoked,
}

impl Resolution {
    /// Creates the answer for an active key that is stored under `digest`.
    ///
    /// Pass the digest **as stored**. The authenticator compares it in constant time with those of the presented key,
    /// so another key's record is not accepted.
    #[must_use]
    pub fn new(digest: KeyDigest, claims: Claims) -> Self {
        Resolution {
            proof: Proof::Digest(digest),
            claims,
            status: KeyStatus::Active,
            not_before: None,
            secret_ends_at: None,
        }
    }

    /// Creates the answer for an active key that the resolver has verified itself, for example by asking another
    /// service.
    ///
    /// # Security
    ///
    /// No digest is compared. Resolvers that look a digest up should use [`new`](Resolution::new).
    #[must_use]
    pub fn vouched(claims: Claims) -> Self {
        Resolution { proof: Proof::Vouched, claims, status: KeyStatus::Active, not_before: None, secret_ends_at: None }
    }

    /// Sets the status. The default is [`Active`](KeyStatus::Active).
    #[must_use]
    pub fn with_status(mut self, status: KeyStatus) -> Self {
        self.status = status;
        self
    }

    /// Rejects the key before this moment.
    #[must_use]
    pub fn with_not_before(mut self, not_before: impl Into<Timestamp>) -> Self {
        self.not_before = Some(not_before.into());
        self
    }

    /// Rejects this secret from this moment on, apart from the key's own expiry: the end of a rotation's overlap.
    #[must_use]
    pub fn with_secret_end(mut self, ends_at: impl Into<Timestamp>) -> Self {
        self.secret_ends_at = Some(ends_at.into());
        self
    }

    /// Changes the claims, for resolvers that wrap another.
    ///
    /// ```
    /// # use apikey_core::{Claims, KeyDigest, KeyId, Resolution};
    /// # let digest = KeyDigest::sha256_from_bytes([0; 32]);
    /// let found = Resolution::new(digest, Claims::new(KeyId::new("k-1")?));
    /// let named = found.map_claims(|claims| claims.with_name("CI pipeline"));
    /// assert_eq!(named.claims().name(), "CI pipeline");
    /// # Ok::<(), apikey_core::IdError>(())
    /// ```
    #[must_use]
    pub fn map_claims(mut self, change: impl FnOnce(Claims) -> Claims) -> Self {
        self.claims = change(self.claims);
        self
    }

    /// Returns the key's claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        self.status
    }

    /// Returns the earlier of the key's expiry and its secret's end.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        match (self.claims.expires_at(), self.secret_ends_at) {
            (Some(key), Some(secret)) => Some(key.min(secret)),
            (key, secret) => key.or(secret),
        }
    }
}

/// Creates a resolver from a closure that takes the [`PresentedKey`].
///
/// ```
/// use apikey_core::{Claims, KeyId, Resolution, resolver_fn};
///
/// let only: apikey_core::KeyDigest =
///     "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".parse()?;
/// let resolver = resolver_fn(move |key| {
///     let only = only.clone();
///     async move {
///         let found = *key.digest() == only;
///         let id = KeyId::new("the-only-one")?;
///         Ok::<_, apikey_core::IdError>(found.then(|| Resolution::new(only, Claims::new(id))))
///     }
/// });
/// # let _ = apikey_core::Authenticator::builder(resolver);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn resolver_fn<F, Fut, E>(resolve: F) -> ResolverFn<F>
where
    F: Fn(PresentedKey) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Resolution>, E>> + Send,
    E: Into<BoxError>,
{
    ResolverFn(resolve)
}

/// Creates a resolver from a state and a function of state and key. The state is cloned for each call: use a pool, a
/// client or an `Arc`.
///
/// The function may be an async closure that captures nothing:
///
/// ```
/// use std::sync::Arc;
/// use apikey_core::{Resolution, PresentedKey, resolver_with};
/// # struct Database;
/// # impl Database {
/// #     async fn find(&self, _: &[apikey_core::KeyDigest]) -> std::io::Result<Option<Resolution>> { Ok(None) }
/// # }
/// let database = Arc::new(Database);
/// let resolver = resolver_with(database, async |database: Arc<Database>, key: PresentedKey| {
///     database.find(key.digests()).await
/// });
/// # let _ = apikey_core::Authenticator::builder(resolver);
/// ```
pub fn resolver_with<S, F, Fut, E>(state: S, resolve: F) -> ResolverWith<S, F>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(S, PresentedKey) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Resolution>, E>> + Send,
    E: Into<BoxError>,
{
    ResolverWith { state, resolve }
}

/// The resolver of [`resolver_fn`].
pub struct ResolverFn<F>(F);

/// The resolver of [`resolver_with`].
pub struct ResolverWith<S, F> {
    state: S,
    resolve: F,
}

impl<F, Fut, E> Resolver for ResolverFn<F>
where
    F: Fn(PresentedKey) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Resolution>, E>> + Send,
    E: Into<BoxError>,
{
    type Error = E;

    fn resolve(&self, key: &PresentedKey) -> impl Future<Output = Result<Option<Resolution>, E>> + Send {
        (self.0)(key.clone())
    }
}

impl<S, F, Fut, E> Resolver for ResolverWith<S, F>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(S, PresentedKey) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Resolution>, E>> + Send,
    E: Into<BoxError>,
{
    type Error = E;

    fn resolve(&self, key: &PresentedKey) -> impl Future<Output = Result<Option<Resolution>, E>> + Send {
        (self.resolve)(self.state.clone(), key.clone())
    }
}

impl<F> fmt::Debug for ResolverFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResolverFn")
    }
}

impl<S, F> fmt::Debug for ResolverWith<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResolverWith")
    }
}

/// The result of a load.
pub(crate) type Resolved = Result<Option<Resolution>, BoxError>;

/// A type-erased [`Resolver`]. Only a cache miss boxes a future.
pub(crate) trait ErasedResolver: Send + Sync {
    fn load(self: Arc<Self>, key: PresentedKey) -> Pin<Box<dyn Future<Output = Resolved> + Send>>;
}

impl<R: Resolver> ErasedResolver for R {
    fn load(self: Arc<Self>, key: PresentedKey) -> Pin<Box<dyn Future<Output = Resolved> + Send>> {
        Box::pin(async move { self.resolve(&key).await.map_err(Into::into) })
    }
}
