//! The first key of a new service. It is issued once, however often the service starts.

use std::sync::Arc;

use super::{IssuedKey, KeyManager, NewKey, Shared, issue::Draft, operation::Operation};
use crate::{
    actor::Actor,
    audit::Action,
    error::ManageError,
    rights::Level,
    store::{Change, StoreError},
};

/// The marker decides, rather than the absence of keys: a service whose last key was deleted gets no new one
/// automatically.
const MARKER: &str = "bootstrap";

impl KeyManager {
    /// Issues `key` once in the life of the store. Returns `None` if this or another process has already done so.
    ///
    /// If several processes start at once on an empty store, one of them gets the key. Only the host may call this.
    ///
    /// # Errors
    ///
    /// As [`issue`](KeyManager::issue).
    pub async fn bootstrap(&self, host: &Actor, key: NewKey) -> Result<Option<IssuedKey>, ManageError> {
        let actor = host.clone();
        self.run(async move |shared: Arc<Shared>| {
            if shared.store.marker(MARKER).await?.is_some() {
                return Ok(None);
            }
            let draft = Draft::check(&shared, key)?;
            let limits = shared.limits(&actor).await?;
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            operation.standing.needs_host()?;
            if operation.transaction.marker(MARKER).await?.is_some() {
                return Ok(None);
            }
            let issued = operation.issue(draft, &limits, Action::KeyIssued).await?;
            operation.change(Change::SetMarker(MARKER.to_owned(), issued.id().to_string()));
            match operation.commit().await {
                Ok(()) => Ok(Some(issued)),
                // Another process was faster, under another organization's lock.
                Err(ManageError::Store(error)) if StoreError::is_conflict(&error) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }
}
