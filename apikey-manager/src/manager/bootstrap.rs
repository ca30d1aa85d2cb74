//! The first key of a new service: issued once, whoever starts how often.

use std::sync::Arc;

use super::{IssuedKey, KeyManager, NewKey, Shared, issue::Draft, operation::Operation};
use crate::{
    actor::Actor,
    audit::Action,
    error::ManageError,
    rights::Level,
    store::{Change, StoreError},
};

/// Not that there are no keys, but this decides: a service whose last key was deleted gets no new one by itself.
const MARKER: &str = "bootstrap";

impl KeyManager {
    /// Issues `key`, once in the life of the store: `None` if that has been done, by this process or another.
    ///
    /// Of many processes that start at once on an empty store, one gets the key. Only the host may call this.
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
                // Under another organization's lock somebody was faster.
                Err(ManageError::Store(error)) if StoreError::is_conflict(&error) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }
}
