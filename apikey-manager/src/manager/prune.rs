//! Prunes old data on demand, beside the sweep, which prunes by the manager's [retention](crate::Retention).

use super::KeyManager;
use crate::{
    actor::Actor,
    error::ManageError,
    query::{Prune, Pruned},
    rights::Standing,
};

impl KeyManager {
    /// Deletes old usage, activity and audit events of all organizations. Only the host may call this.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Store`](ManageError::Store).
    pub async fn prune(&self, host: &Actor, prune: Prune) -> Result<Pruned, ManageError> {
        Standing::of(&host.rights, &self.0.catalog).needs_host()?;
        self.run(async move |shared: std::sync::Arc<super::Shared>| {
            Ok(shared.store.prune(&prune, shared.now()).await?)
        })
        .await
    }
}
