//! Organizations are the host's; it may shut one out, with all its keys, and let it in again.

use std::sync::Arc;

use super::{KeyManager, Shared, operation::Operation};
use crate::{
    actor::Actor,
    audit::Action,
    error::ManageError,
    organization::{OrganizationRecord, Switched},
    query::KeyFilter,
    rights::Level,
    store::Change,
};

impl KeyManager {
    /// Shuts the actor's organization out: nobody is let in with any of its keys, and requests under way end. Only the
    /// host may.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) for anyone else.
    pub async fn suspend_organization(&self, host: &Actor) -> Result<OrganizationRecord, ManageError> {
        let actor = host.clone();
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin_ending(shared, actor, Level::Admin).await?;
            operation.standing.needs_host()?;
            for key in operation.transaction.ids(&KeyFilter::default(), operation.now).await? {
                operation.end(&key);
            }
            let mut organization = operation.transaction.organization().await?;
            if organization.suspended.is_none() {
                organization.suspended = Some(Switched { at: operation.now, by: operation.actor.id.clone() });
                operation.affect_callers();
                operation.change(Change::SetOrganization(organization.clone()));
                operation.audit(Action::OrganizationSuspended, organization.id.as_str(), None, None)?;
            }
            operation.commit().await?;
            Ok(organization)
        })
        .await
    }

    /// Lets the actor's organization in again. Only the host may.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) for anyone else.
    pub async fn resume_organization(&self, host: &Actor) -> Result<OrganizationRecord, ManageError> {
        let actor = host.clone();
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            operation.standing.needs_host()?;
            let mut organization = operation.transaction.organization().await?;
            if organization.suspended.take().is_none() {
                return Ok(organization);
            }
            for key in operation.transaction.ids(&KeyFilter::default(), operation.now).await? {
                operation.refresh(&key);
            }
            operation.affect_callers();
            operation.change(Change::SetOrganization(organization.clone()));
            operation.audit(Action::OrganizationResumed, organization.id.as_str(), None, None)?;
            operation.commit().await?;
            Ok(organization)
        })
        .await
    }
}
