//! Revoking many keys at once: of somebody who left, of an environment that leaked.

use std::sync::Arc;

use super::{KeyManager, Shared, operation::Operation};
use crate::{
    account::ServiceAccountId,
    actor::{Actor, ActorId},
    error::ManageError,
    query::KeyFilter,
    record::KeyRecord,
    rights::Level,
    validate::Fields,
};

/// Which keys of the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// Those that this actor issued.
    CreatedBy(ActorId),
    /// Those of this service account.
    ServiceAccount(ServiceAccountId),
    /// Those of this environment.
    Environment(String),
    /// All of them, the actor's own included.
    Everything,
}

impl KeyManager {
    /// Revokes every key selected, and with `descendants` also those that they issued, and so on: all or none. Returns
    /// those that were not revoked before.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) where one of them may do more than an actor without `keys:admin`;
    /// [`Invalid`](ManageError::Invalid) (`reason`, `environment`).
    pub async fn revoke_selected(
        &self,
        actor: &Actor,
        selection: Selection,
        descendants: bool,
        reason: impl Into<String>,
    ) -> Result<Vec<KeyRecord>, ManageError> {
        let (actor, reason) = (actor.clone(), reason.into());
        self.run(async move |shared: Arc<Shared>| {
            let mut fields = Fields::default();
            fields.reason(&reason);
            if let Selection::Environment(environment) = &selection {
                fields.wanted("environment", Some(environment));
            }
            fields.finish().map_err(ManageError::Invalid)?;
            let mut operation = Operation::begin(shared, actor, Level::Write).await?;
            let is_everything = selection == Selection::Everything;
            let mut filter = KeyFilter::default();
            match selection {
                Selection::CreatedBy(actor) => filter.created_by = Some(actor),
                Selection::ServiceAccount(account) => filter.service_account = Some(account),
                Selection::Environment(environment) => filter.environment = Some(environment),
                Selection::Everything => {}
            }
            let mut keys = operation.transaction.keys(&filter, operation.now).await?;
            // Everything has its descendants among it.
            if descendants && !is_everything {
                keys = operation.with_descendants(keys).await?;
            }
            let revoked = operation.revoke_all(keys, &reason)?;
            operation.commit().await?;
            Ok(revoked)
        })
        .await
    }
}
