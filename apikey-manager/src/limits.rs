//! The limits of an organization's plan. The host provides them, and they are checked under the organization's lock.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use apikey_core::{BoxError, OrganizationId};

/// The limits of an organization. The default is unlimited.
///
/// A lowered limit rejects new keys and accounts and doesn't affect existing ones.
///
/// ```
/// use std::time::Duration;
/// use apikey_manager::Limits;
///
/// let free = Limits::new().keys(3).longest_lifetime(Duration::from_secs(90 * 86_400)).expiry_required(true);
/// # let _ = free;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub(crate) keys: Option<u64>,
    pub(crate) service_accounts: Option<u64>,
    pub(crate) longest_lifetime: Option<Duration>,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) expiry_required: bool,
    pub(crate) longest_overlap: Option<Duration>,
}

impl Limits {
    /// No limits.
    #[must_use]
    pub fn new() -> Self {
        Limits::default()
    }

    /// Sets the largest number of keys that are neither revoked nor expired.
    #[must_use]
    pub fn keys(mut self, keys: u64) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets the largest number of service accounts.
    #[must_use]
    pub fn service_accounts(mut self, accounts: u64) -> Self {
        self.service_accounts = Some(accounts);
        self
    }

    /// Sets the longest lifetime of a key. Keys without an expiry are allowed unless
    /// [`expiry_required`](Limits::expiry_required) is set, too.
    #[must_use]
    pub fn longest_lifetime(mut self, lifetime: Duration) -> Self {
        self.longest_lifetime = Some(lifetime);
        self
    }

    /// Sets the lifetime of keys that are issued without an expiry.
    #[must_use]
    pub fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = Some(lifetime);
        self
    }

    /// Sets whether every new key must expire.
    #[must_use]
    pub fn expiry_required(mut self, required: bool) -> Self {
        self.expiry_required = required;
        self
    }

    /// Sets the longest overlap of a rotation. With zero, each rotation ends the old secret now, and keys can't rotate
    /// themselves.
    #[must_use]
    pub fn longest_overlap(mut self, overlap: Duration) -> Self {
        self.longest_overlap = Some(overlap);
        self
    }

    /// Returns the largest number of keys.
    #[must_use]
    pub fn allowed_keys(&self) -> Option<u64> {
        self.keys
    }

    /// Returns the largest number of service accounts.
    #[must_use]
    pub fn allowed_service_accounts(&self) -> Option<u64> {
        self.service_accounts
    }

    /// Returns the longest lifetime of a key.
    #[must_use]
    pub fn allowed_lifetime(&self) -> Option<Duration> {
        self.longest_lifetime
    }

    /// Returns the lifetime of keys that are issued without an expiry.
    #[must_use]
    pub fn lifetime_unless_set(&self) -> Option<Duration> {
        self.default_lifetime
    }

    /// Returns the longest overlap of a rotation.
    #[must_use]
    pub fn allowed_overlap(&self) -> Option<Duration> {
        self.longest_overlap
    }

    /// Returns `true` if every new key must expire.
    #[must_use]
    pub fn is_expiry_required(&self) -> bool {
        self.expiry_required
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Limits, BoxError>> + Send>>;

/// Provides the limits of an organization's plan.
pub(crate) struct LimitsOf(Box<dyn Fn(OrganizationId) -> Answer + Send + Sync>);

impl LimitsOf {
    pub(crate) fn new<F, Fut>(limits: F) -> Self
    where
        F: Fn(OrganizationId) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Limits, BoxError>> + Send + 'static,
    {
        LimitsOf(Box::new(move |organization| Box::pin(limits(organization))))
    }

    pub(crate) async fn ask(&self, organization: &OrganizationId) -> Result<Limits, BoxError> {
        (self.0)(organization.clone()).await
    }
}

impl Default for LimitsOf {
    fn default() -> Self {
        LimitsOf::new(async |_| Ok(Limits::new()))
    }
}

impl fmt::Debug for LimitsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LimitsOf")
    }
}
