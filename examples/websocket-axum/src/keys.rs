//! The keys of the file, and which of them were revoked since the start.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{PoisonError, RwLock},
};

use axum_apikey::{KeyId, KeyStatus, PresentedKey, Resolution, Resolver, StaticKeys};

/// What the authenticator asks. A product has a table here, in which a key is revoked for good.
pub(crate) struct Keys {
    listed: StaticKeys,
    revoked: RwLock<HashSet<KeyId>>,
}

impl Keys {
    pub(crate) fn new(listed: StaticKeys) -> Self {
        Keys { listed, revoked: RwLock::default() }
    }

    /// Has every later look-up refused. What was looked up before, `Authenticator::revoke` ends.
    pub(crate) fn revoke(&self, id: KeyId) {
        self.revoked.write().unwrap_or_else(PoisonError::into_inner).insert(id);
    }
}

impl Resolver for Keys {
    type Error = Infallible;

    async fn resolve(&self, key: &PresentedKey) -> Result<Option<Resolution>, Infallible> {
        let found = self.listed.resolve(key).await?;
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        Ok(found.map(|record| match revoked.contains(record.claims().key_id()) {
            true => record.with_status(KeyStatus::Revoked),
            false => record,
        }))
    }
}
