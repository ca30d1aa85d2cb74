//! Suspends and resumes organizations.

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
    /// Suspends the actor's organization: all its keys are rejected, and requests in progress end. Only the host may
    /// call this.
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

    /// Resumes the actor's organization. Only the host may call this.
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
            for key in operation.transaction.ids(&KeyFilter::default(), operation.now).await? {
                operation.refresh(&key);
            }
            if organization.suspended.take().is_some() {
                operation.affect_callers();
                operation.change(Change::SetOrganization(organization.clone()));
                operation.audit(Action::OrganizationResumed, organization.id.as_str(), None, None)?;
            }
            operation.commit().await?;
            Ok(organization)
        })
        .await
    }
}
