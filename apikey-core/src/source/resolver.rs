//! Where keys come from: the trait a service implements, what it is given and what it answers.
//!
//! A resolver only looks up. That the digest matches, that the key's window is open and what is cached for how long is
//! decided by the [`Authenticator`](crate::Authenticator), after the resolver has answered.

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    clock::Timestamp,
    key::{Claims, KeyDigest, PlaintextKey},
};

/// Any error, boxed: what a [`Resolver`]'s own error type must turn into.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Looks a presented key up in a store: a table, a file, another service.
///
/// Asked only on a cache miss, and only for keys whose format and checksum hold. Concurrent requests with one key share
/// one call. A call may be dropped at any await point (its callers hung up, or the resolver timeout passed).
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
/// An error means "can't tell": the request is answered 503 and nothing is cached. A key that doesn't exist is
/// `Ok(None)`. A panic counts as an error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not resolve API keys",
    note = "implement `Resolver`, or wrap a closure in `resolver_fn` or `resolver_with`"
)]
pub trait Resolver: Send + Sync + 'static {
    /// What can go wrong with the store.
    type Error: Into<BoxError>;

    /// Finds the record of `key`, if there is one.
    fn resolve(&self, key: &PresentedKey) -> impl Future<Output = Result<Option<Resolution>, Self::Error>> + Send;
}

impl<R: Resolver> Resolver for Arc<R> {
    type Error = R::Error;

    fn resolve(&self, key: &PresentedKey) -> impl Future<Output = Result<Option<Resolution>, Self::Error>> + Send {
        R::resolve(self, key)
    }
}

/// A key as a caller presented it, with the digests a store may know it by.
///
/// Cheap to clone; the plaintext is wiped when the last clone goes.
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

    /// The key itself, for resolvers that must pass it on to whoever verifies it.
    ///
    /// Stores should look keys up by [`digests`](PresentedKey::digests).
    #[must_use]
    pub fn plaintext(&self) -> &PlaintextKey {
        &self.0.plaintext
    }

    /// The digest under the pepper that issues (or plain SHA-256 where there is none).
    #[must_use]
    pub fn digest(&self) -> &KeyDigest {
        &self.0.digests[0]
    }

    /// One digest for each accepted pepper, the issuing one first. A store looks them all up at once.
    #[must_use]
    pub fn digests(&self) -> &[KeyDigest] {
        &self.0.digests
    }

    /// The environment the key's text names, where its format has one.
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

/// Why the record is believed to belong to the presented key.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    Digest(KeyDigest),
    Vouched,
}

/// Whether a key's record lets it be used at all. Windows of time are apart from this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyStatus {
    /// In use.
    #[default]
    Active,
    /// Switched off; may be switched on again.
    Disabled,
    /// Ended for good.
    Revoked,
}

impl Resolution {
    /// An active key with `claims`, stored under `digest`.
    ///
    /// Give the digest **as stored**: the authenticator compares it in constant time with those of the presented key, so
    /// that a store which answers with another key's record lets nobody in.
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

    /// An active key with `claims`, where the resolver itself has made sure that the presented key is this one, for
    /// example by having another service verify it.
    ///
    /// # Security
    ///
    /// No digest is compared. A resolver that looks a digest up should use [`new`](Resolution::new).
    #[must_use]
    pub fn vouched(claims: Claims) -> Self {
        Resolution { proof: Proof::Vouched, claims, status: KeyStatus::Active, not_before: None, secret_ends_at: None }
    }

    /// Sets whether the key may be used; [`Active`](KeyStatus::Active) unless said.
    #[must_use]
    pub fn with_status(mut self, status: KeyStatus) -> Self {
        self.status = status;
        self
    }

    /// Refuses the key before this moment.
    #[must_use]
    pub fn with_not_before(mut self, not_before: impl Into<Timestamp>) -> Self {
        self.not_before = Some(not_before.into());
        self
    }

    /// Refuses this secret from this moment on, whatever the key's own expiry: the end of a rotation's overlap.
    #[must_use]
    pub fn with_secret_end(mut self, ends_at: impl Into<Timestamp>) -> Self {
        self.secret_ends_at = Some(ends_at.into());
        self
    }

    /// Changes the claims, in a resolver that wraps another.
    ///
    /// ```
    /// # use apikey_core::{Claims, KeyDigest, KeyId, Resolution};
    /// # let digest = KeyDigest::sha256_from_bytes([0; 32]);
    /// let found = Resolution::new(digest, Claims::new(KeyId::new("k-1")?));
    /// let named = found.map_claims(|claims| claims.with_name("CI pipeline"));
    /// assert_eq!(named.claims().name(), "CI pipeline");
    /// # Ok::<(), apikey_core::KeyIdError>(())
    /// ```
    #[must_use]
    pub fn map_claims(mut self, change: impl FnOnce(Claims) -> Claims) -> Self {
        self.claims = change(self.claims);
        self
    }

    /// The key's claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Whether the key may be used.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        self.status
    }

    /// The earlier of the key's expiry and its secret's end.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        match (self.claims.expires_at(), self.secret_ends_at) {
            (Some(key), Some(secret)) => Some(key.min(secret)),
            (key, secret) => key.or(secret),
        }
    }
}

/// A resolver made of a closure that is given the [`PresentedKey`] key.
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
///         Ok::<_, apikey_core::KeyIdError>(found.then(|| Resolution::new(only, Claims::new(id))))
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

/// A resolver made of a state and a function of both state and key; the state is cloned for each call, so make it a
/// pool, a client or an `Arc`.
///
/// An async closure that captures nothing fits:
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

/// See [`resolver_fn`].
pub struct ResolverFn<F>(F);

/// See [`resolver_with`].
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

/// What a load ends with.
pub(crate) type Resolved = Result<Option<Resolution>, BoxError>;

/// [`Resolver`] with its type forgotten. Only a cache miss boxes a future.
pub(crate) trait ErasedResolver: Send + Sync {
    fn load(self: Arc<Self>, key: PresentedKey) -> Pin<Box<dyn Future<Output = Resolved> + Send>>;
}

impl<R: Resolver> ErasedResolver for R {
    fn load(self: Arc<Self>, key: PresentedKey) -> Pin<Box<dyn Future<Output = Resolved> + Send>> {
        Box::pin(async move { self.resolve(&key).await.map_err(Into::into) })
    }
}
