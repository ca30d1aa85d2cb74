//! A store of keys in memory that a test fills, breaks and watches.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    clock::ManualClock,
    key::{Claims, KeyDigest, KeyFormat, KeyHasher, KeyId, PlaintextKey},
    request::{Authenticator, AuthenticatorBuilder},
    scope::ScopeSet,
    source::{BoxError, KeyStatus, PresentedKey, Resolution, Resolver},
};

/// Keys for a service's own tests, and the authenticator that accepts them, on a [`ManualClock`].
///
/// Clones share everything. Keys look like `test_…`.
///
/// ```
/// use apikey_core::TestKeys;
///
/// let keys = TestKeys::new();
/// let reader = keys.key(["files:read"]);
/// // Give `keys.authenticator()` to the layer, and send:
/// let authorization = reader.authorization();
/// assert!(authorization.starts_with("Bearer test_"));
/// // From here on the service refuses it, and its handles in running handlers are dead:
/// keys.revoke(&reader);
/// ```
#[derive(Clone)]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub struct TestKeys {
    shared: Arc<Shared>,
    authenticator: Authenticator,
}

/// A key that [`TestKeys`] made.
#[derive(Debug)]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub struct TestKey {
    id: KeyId,
    secret: PlaintextKey,
}

struct Shared {
    format: KeyFormat,
    clock: ManualClock,
    keys: Mutex<HashMap<KeyDigest, Resolution>>,
    next_id: AtomicUsize,
    calls: AtomicUsize,
    failure: Mutex<Option<String>>,
}

impl TestKeys {
    /// No keys yet, and an authenticator with the usual settings.
    ///
    /// # Panics
    ///
    /// Panics if the operating system gives no random bytes.
    #[must_use]
    pub fn new() -> Self {
        TestKeys::with(|builder| builder)
    }

    /// No keys yet, and an authenticator with the settings that `configure` makes.
    ///
    /// # Panics
    ///
    /// Panics if the configuration is wrong.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a wrong configuration in a test panics")]
    pub fn with(configure: impl FnOnce(AuthenticatorBuilder) -> AuthenticatorBuilder) -> Self {
        let format = KeyFormat::builder("test").build().expect("a format without mistakes");
        let shared = Arc::new(Shared {
            format: format.clone(),
            clock: ManualClock::new(),
            keys: Mutex::default(),
            next_id: AtomicUsize::new(1),
            calls: AtomicUsize::new(0),
            failure: Mutex::default(),
        });
        // Small, so that a suite with an authenticator for each test stays quick.
        let builder = Authenticator::builder(Arc::clone(&shared))
            .format(format)
            .clock(shared.clock.clone())
            // Small, so that a suite with an authenticator for each test stays quick.
            .cache_capacity(1_000);
        let authenticator = configure(builder).build().expect("the configuration should be right");
        TestKeys { shared, authenticator }
    }

    /// The authenticator that accepts these keys.
    #[must_use]
    pub fn authenticator(&self) -> Authenticator {
        self.authenticator.clone()
    }

    /// The authenticator's clock.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.shared.clock
    }

    /// A new key with these scopes.
    ///
    /// # Panics
    ///
    /// Panics if a scope is malformed.
    #[expect(clippy::expect_used, reason = "a malformed scope in a test panics")]
    pub fn key<S: AsRef<str>>(&self, scopes: impl IntoIterator<Item = S>) -> TestKey {
        let scopes = ScopeSet::from_grants(scopes).expect("the scopes should be well-formed");
        self.key_with(|claims| claims.with_scopes(scopes))
    }

    /// A new key with the claims that `describe` makes of those of a nameless key.
    pub fn key_with(&self, describe: impl FnOnce(Claims) -> Claims) -> TestKey {
        self.insert(|digest, id| Resolution::new(digest, describe(Claims::new(id))))
    }

    /// A new key with the record that `describe` makes of its digest and id.
    ///
    /// # Panics
    ///
    /// Panics if the operating system gives no random bytes.
    #[expect(clippy::expect_used, reason = "nothing can be tested without randomness")]
    pub fn insert(&self, describe: impl FnOnce(KeyDigest, KeyId) -> Resolution) -> TestKey {
        let number = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let id = KeyId::new(format!("test-{number}")).expect("a well-formed id");
        let secret = self.shared.format.generate().expect("randomness");
        let digest = KeyHasher::sha256().digest(&secret);
        let resolution = describe(digest.clone(), id);
        let id = resolution.claims.key_id().clone();
        self.keys().insert(digest, resolution);
        TestKey { id, secret }
    }

    /// Revokes `key`, in the store and at the authenticator.
    pub fn revoke(&self, key: &TestKey) {
        self.update(key, |resolution| resolution.with_status(KeyStatus::Revoked));
        self.authenticator.revoke(&key.id);
    }

    /// Changes the record of `key` in the store, without notification.
    pub fn update(&self, key: &TestKey, change: impl Fn(Resolution) -> Resolution) {
        for resolution in self.keys().values_mut().filter(|found| *found.claims.key_id() == key.id) {
            *resolution = change(resolution.clone());
        }
    }

    /// Makes every lookup fail from now on, or none (`None`).
    pub fn fail(&self, message: Option<&str>) {
        let mut failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = message.map(ToOwned::to_owned);
    }

    /// How many lookups there have been.
    #[must_use]
    pub fn resolver_calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<KeyDigest, Resolution>> {
        self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TestKeys {
    fn default() -> Self {
        TestKeys::new()
    }
}

impl fmt::Debug for TestKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestKeys").field("resolver_calls", &self.resolver_calls()).finish_non_exhaustive()
    }
}

impl Resolver for Shared {
    type Error = BoxError;

    async fn resolve(&self, key: &PresentedKey) -> Result<Option<Resolution>, BoxError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(message) = &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(message.clone().into());
        }
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(key.digests().iter().find_map(|digest| keys.get(digest)).cloned())
    }
}

impl TestKey {
    /// The id of the key's record.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key itself.
    #[must_use]
    pub fn secret(&self) -> &PlaintextKey {
        &self.secret
    }

    /// The value of an `Authorization` header that presents the key.
    #[must_use]
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.secret.expose_secret())
    }
}
