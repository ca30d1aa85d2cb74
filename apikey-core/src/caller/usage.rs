//! How often each key was used, for whoever keeps account of it.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    key::{KeyDigest, KeyId, OrganizationId, ServiceAccountId},
};

/// What one secret of a key was used for since usage was last taken; see
/// [`Authenticator::take_usage`](crate::Authenticator::take_usage).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyUsage {
    /// The key.
    pub key: KeyId,
    /// The organization that owned it when it was used, whatever became of either since.
    pub organization: Option<OrganizationId>,
    /// The service account that it acted for.
    pub service_account: Option<ServiceAccountId>,
    /// The environment that it belonged to.
    pub environment: Option<Arc<str>>,
    /// The digest that the secret is stored under.
    pub digest: KeyDigest,
    /// Requests that were let in. A request that passes several layers of one authenticator is one.
    pub requests: u64,
    /// Requests that were let in and then refused for a missing scope, counted when they were refused: those of requests
    /// that were taken earlier are among them, so that there may be more than `requests`.
    ///
    /// Every check that refuses counts. Code that only wants to know asks the claims' scopes instead.
    pub refused: u64,
    /// When the last request was let in, to within some hundredths of a second: the clock of the hit path is a coarse one.
    pub last_used: Timestamp,
}

impl KeyUsage {
    /// `requests` of one secret, none of them refused, of a key that belongs to nobody.
    #[must_use]
    pub fn new(key: KeyId, digest: KeyDigest, requests: u64, last_used: Timestamp) -> Self {
        KeyUsage {
            key,
            organization: None,
            service_account: None,
            environment: None,
            digest,
            requests,
            refused: 0,
            last_used,
        }
    }
}
