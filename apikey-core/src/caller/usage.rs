//! Usage: how often each key was used.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    key::{KeyDigest, KeyId, OrganizationId, ServiceAccountId},
};

/// How often one secret of a key was used since the last call of
/// [`Authenticator::take_usage`](crate::Authenticator::take_usage).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyUsage {
    /// The key.
    pub key: KeyId,
    /// The organization that owned the key when it was used.
    pub organization: Option<OrganizationId>,
    /// The service account of the key, if any.
    pub service_account: Option<ServiceAccountId>,
    /// The environment of the key, if any.
    pub environment: Option<Arc<str>>,
    /// The digest of the secret.
    pub digest: KeyDigest,
    /// The number of accepted requests. A request through several layers of one authenticator counts once.
    pub requests: u64,
    /// The number of refusals for a missing scope, counted when they happen. They may belong to requests of an earlier
    /// call, so that there may be more than `requests`.
    ///
    /// Every failed check counts. To ask without counting, read the scopes of the claims.
    pub refused: u64,
    /// When the last request was accepted, to within a few hundredths of a second: it is read from a coarse clock.
    pub last_used: Timestamp,
}

impl KeyUsage {
    /// Creates the usage of one secret, without refusals, of a key without an owner.
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
