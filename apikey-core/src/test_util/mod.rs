//! What a service's own tests need: keys without a store, a clock that is moved by hand, revocation at will.

mod test_keys;

pub use test_keys::{TestKey, TestKeys};

use std::sync::Arc;

use crate::{
    cache::{
        cache_key::CacheKey,
        entry::{Entry, Shared},
    },
    caller::AuthenticatedKey,
    clock::{Clock, Tick},
    key::{Claims, KeyDigest},
    rejection::Terms,
};

#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
impl AuthenticatedKey {
    /// A caller with `claims` that no authenticator has seen, for handlers called directly.
    ///
    /// It stays live. Layers replace it: it is not of their authenticator.
    ///
    /// ```
    /// use apikey_core::{AuthenticatedKey, Claims, KeyId, OrganizationId};
    ///
    /// let acme = OrganizationId::new("acme")?;
    /// let key = AuthenticatedKey::fake(Claims::new(KeyId::new("k-1")?).with_organization(acme));
    /// assert!(key.is_live() && key.require_organization("acme").is_ok());
    /// # Ok::<(), apikey_core::IdError>(())
    /// ```
    #[must_use]
    pub fn fake(claims: Claims) -> Self {
        let terms =
            Terms { realm: "test".into(), retry_after: std::time::Duration::from_secs(1), explain_refusals: false };
        let shared = Shared::new(Clock::system(), terms);
        let cache_key = CacheKey::of(b"");
        let digest = KeyDigest::sha256_from_bytes([0; 32]);
        let entry = Entry::new(Arc::new(shared), cache_key, digest, claims, Tick::NEVER, Tick::NEVER);
        AuthenticatedKey::new(Arc::new(entry))
    }
}
