//! The handle that a request carries once its key is verified: its claims, and whether the key is still live.

use std::{
    fmt,
    future::Future,
    ops::Deref,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    cache::entry::{Entry, Shared},
    key::{Claims, KeyDigest},
    rejection::{Reason, Rejection},
    scope::{RequiredScopes, Requirement},
};

/// A verified caller: one pointer, cheap to clone, that derefs to its [`Claims`].
///
/// Only an [`Authenticator`](crate::Authenticator) makes one (and, with the feature `test-util`,
/// `AuthenticatedKey::fake`), so a function that takes it can't be called for a request that was not authenticated.
///
/// All clones see a revocation immediately, however old the request is.
///
/// ```
/// use apikey_core::AuthenticatedKey;
///
/// fn commit(key: &AuthenticatedKey) -> Result<(), &'static str> {
///     // Work that took a while is over: does the caller still have a key?
///     if !key.is_live() {
///         return Err("the key was revoked meanwhile");
///     }
///     println!("committed for {}", key.name());
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct AuthenticatedKey(Arc<Entry>);

impl AuthenticatedKey {
    pub(crate) fn new(entry: Arc<Entry>) -> Self {
        AuthenticatedKey(entry)
    }

    pub(crate) fn entry(&self) -> &Arc<Entry> {
        &self.0
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.0.shared()
    }

    /// Returns the verified claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        self.0.claims()
    }

    /// Returns the digest of the presented secret. It tells which of the key's secrets the caller used.
    ///
    /// # Security
    ///
    /// Without a pepper, anyone who finds a key can confirm with this digest that it is this one. Keep it out of logs.
    #[must_use]
    pub fn secret_digest(&self) -> KeyDigest {
        self.0.digest()
    }

    /// Returns `true` if the key has neither expired nor, as far as this process knows, been revoked.
    ///
    /// A key that was only refreshed stays live for requests in progress.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.0.is_live()
    }

    /// Completes once this authenticator's key is revoked or has expired, immediately if it already is.
    ///
    /// It completes immediately on revocation and within a second of expiry. The future needs no runtime, and holds one
    /// waker however often it is polled. While futures wait for keys that expire, one thread of the authenticator
    /// watches the clock for all of them.
    ///
    /// ```
    /// # use apikey_core::AuthenticatedKey;
    /// async fn stream(key: AuthenticatedKey) {
    ///     let mut revoked = std::pin::pin!(key.revoked());
    ///     // tokio::select! { _ = &mut revoked => …, message = next_message() => … }
    ///     # revoked.as_mut().await;
    /// }
    /// ```
    pub fn revoked(&self) -> Revoked {
        Revoked { key: self.clone(), slot: None }
    }

    /// Checks that the key [is live](AuthenticatedKey::is_live), for example right before a commit. In a fleet it also
    /// checks that this process can know it, because it holds a lease.
    ///
    /// ```
    /// use apikey_core::{AuthenticatedKey, Rejection};
    ///
    /// fn commit(key: &AuthenticatedKey) -> Result<(), Rejection> {
    ///     key.require_live()?;
    ///     println!("committed for {}", key.name());
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// 401 `invalid_token`: the same bytes as for a new request with the key. 503 if this process holds no lease, or has
    /// held none for a while and has not looked the key up again since.
    pub fn require_live(&self) -> Result<(), Rejection> {
        // The order matters, as for a request: gate, entry.
        let trusted = self.shared().trusts_cache() && !self.0.is_doubtful();
        let reason = match self.is_live() {
            true if trusted => return Ok(()),
            true => Reason::Unavailable,
            false if self.0.is_dead() => Reason::Revoked,
            false => Reason::Expired,
        };
        Err(self.refuse(Rejection::new(reason, self.shared().terms.clone())))
    }

    /// Checks that the caller has the scopes `S`.
    ///
    /// # Errors
    ///
    /// 403 `insufficient_scope`.
    pub fn require<S: RequiredScopes>(&self) -> Result<(), Rejection> {
        match S::met_by(self.claims().scopes()) {
            true => Ok(()),
            false => Err(self.refuse_scopes(&S::requirement())),
        }
    }

    /// Checks that the caller has the scopes of `requirement`.
    ///
    /// # Errors
    ///
    /// 403 `insufficient_scope`.
    pub fn require_scopes(&self, requirement: &Requirement) -> Result<(), Rejection> {
        match requirement.is_met_by(self.claims().scopes()) {
            true => Ok(()),
            false => Err(self.refuse_scopes(requirement)),
        }
    }

    /// Checks that a resource of `organization` belongs to the caller's own organization.
    ///
    /// # Errors
    ///
    /// 404 if it belongs to another organization, or if the key has none.
    pub fn require_organization(&self, organization: &str) -> Result<(), Rejection> {
        match self.claims().organization().is_some_and(|own| own.as_str() == organization) {
            true => Ok(()),
            false => Err(self.refuse(Rejection::new(Reason::OtherOrganization, self.shared().terms.clone()))),
        }
    }

    /// Returns the refusal of a caller that lacks the scopes of `requirement`. It checks nothing: it is for code that
    /// has made its own check.
    #[must_use]
    pub fn refuse_scopes(&self, requirement: &Requirement) -> Rejection {
        if let Some(usage) = &self.shared().usage {
            usage.refused(&self.0);
        }
        self.refuse(Rejection::scope_missing(requirement, self.shared().terms.clone()))
    }

    fn refuse(&self, rejection: Rejection) -> Rejection {
        crate::telemetry::refused(&rejection, Some(self.key_id()), self.shared().emits_metrics);
        rejection
    }
}

impl Deref for AuthenticatedKey {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        self.claims()
    }
}

impl fmt::Debug for AuthenticatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticatedKey").field("claims", self.claims()).field("is_live", &self.is_live()).finish()
    }
}

/// The future of [`AuthenticatedKey::revoked`].
#[must_use = "futures do nothing unless polled"]
pub struct Revoked {
    key: AuthenticatedKey,
    slot: Option<usize>,
}

impl Revoked {
    /// Returns the key that the future waits for.
    #[must_use]
    pub fn key(&self) -> &AuthenticatedKey {
        &self.key
    }
}

impl Future for Revoked {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        match this.key.0.wait(&mut this.slot, cx.waker()) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

impl Drop for Revoked {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.key.0.stop_waiting(slot);
        }
    }
}

impl fmt::Debug for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revoked").field("key_id", self.key.key_id()).finish_non_exhaustive()
    }
}
