//! Doubt: after a process may have missed revocations, keys in use are looked up again.

use std::sync::Arc;

use super::Authenticator;
use crate::{
    caller::AuthenticatedKey,
    clock::{Tick, Timestamp},
    key::OrganizationId,
};

/// A key in use that may have been revoked; see [`Authenticator::doubt`].
#[derive(Debug)]
#[must_use]
pub struct Doubt {
    key: AuthenticatedKey,
    stamp: u64,
    /// The end of the key's window when it was doubted.
    ends: Tick,
}

impl Doubt {
    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &AuthenticatedKey {
        &self.key
    }
}

impl Authenticator {
    /// Doubts the keys of `organization`, or all keys, because this process may have missed that some were revoked. Each
    /// is looked up before it is next accepted, and so is every refused key.
    ///
    /// Requests in progress go on, but [`require_live`](AuthenticatedKey::require_live) refuses them with a 503. Look
    /// up each key that is returned, and either revoke it or confirm it
    /// ([`confirm_until`](Authenticator::confirm_until)).
    ///
    /// ```
    /// # use apikey_core::{Authenticator, AuthenticatedKey};
    /// # struct Row { expires_at: Option<apikey_core::Timestamp> }
    /// # async fn valid_row(_: &AuthenticatedKey) -> std::io::Result<Option<Row>> { Ok(None) }
    /// async fn reconnected(authenticator: &Authenticator) -> std::io::Result<()> {
    ///     for doubt in authenticator.doubt(None) {
    ///         match valid_row(doubt.key()).await? {
    ///             Some(row) => authenticator.confirm_until(doubt, row.expires_at),
    ///             None => authenticator.revoke_secret(doubt.key().key_id(), &doubt.key().secret_digest()),
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use = "what is under way with these keys has to be confirmed or ended"]
    pub fn doubt(&self, organization: Option<&OrganizationId>) -> Vec<Doubt> {
        let (mut entries, stamp) = self.0.shared.registry.doubt(organization);
        entries.retain(|(entry, _)| {
            let is_cached = self.0.table.get(entry.cache_key()).is_some_and(|cached| Arc::ptr_eq(&cached, entry));
            // Apart from this list and the table, requests hold it.
            Arc::strong_count(entry) > 1 + usize::from(is_cached)
        });
        entries.into_iter().map(|(entry, ends)| Doubt { key: AuthenticatedKey::new(entry), stamp, ends }).collect()
    }

    /// Confirms that a lookup after the doubt found the key valid. Its end is what was known before. It changes nothing if the
    /// key was doubted again meanwhile.
    pub fn confirm(&self, doubt: Doubt) {
        self.confirm_end(&doubt, doubt.ends);
    }

    /// Confirms that a lookup after the doubt found the key valid until `ends_at`; `None` means no end. It changes nothing if
    /// the key was doubted again meanwhile.
    ///
    /// Requests in progress end at `ends_at` from now on, unless [`end_at`](Authenticator::end_at) has told another end since
    /// the doubt: the lookup may be older than that.
    pub fn confirm_until(&self, doubt: Doubt, ends_at: Option<Timestamp>) {
        self.confirm_end(&doubt, self.tick_of(ends_at));
    }

    fn confirm_end(&self, doubt: &Doubt, ends: Tick) {
        let entry = doubt.key.entry();
        if self.0.shared.registry.confirm(entry, doubt.stamp, (doubt.ends, ends)) {
            entry.end_has_moved();
        }
    }
}
