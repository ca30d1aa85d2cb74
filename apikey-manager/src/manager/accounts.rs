//! Service accounts: made, renamed, switched off with all their keys, rotated together, deleted.

use std::sync::Arc;

use super::{
    IssuedKey, KeyManager, Overlap, Set, Shared,
    operation::{Operation, describe_account, difference},
};
use crate::{
    account::{ServiceAccount, ServiceAccountId},
    actor::Actor,
    audit::Action,
    error::ManageError,
    organization::Switched,
    query::KeyFilter,
    record::{KeyRecord, Status},
    rights::Level,
    store::Change,
    validate::Fields,
};

/// A service account to be made.
#[derive(Clone, Debug)]
#[must_use]
pub struct NewAccount {
    name: String,
    description: String,
}

impl NewAccount {
    /// An account of this name.
    pub fn new(name: impl Into<String>) -> Self {
        NewAccount { name: name.into(), description: String::new() }
    }

    /// Says what it is for.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }
}

/// A change of a service account's record. What is not said stays.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AccountUpdate {
    version: Option<u64>,
    name: Set<String>,
    description: Set<String>,
}

impl AccountUpdate {
    /// Changes nothing.
    pub fn new() -> Self {
        AccountUpdate::default()
    }

    /// Only if the record is of this version still.
    pub fn if_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// The name. It can't be cleared.
    pub fn name(mut self, name: Set<String>) -> Self {
        self.name = name;
        self
    }

    /// The description.
    pub fn description(mut self, description: Set<String>) -> Self {
        self.description = description;
        self
    }
}

/// All of it needs `keys:admin`.
impl KeyManager {
    /// Makes a service account. Keys are issued to it by [`NewKey::service_account`](crate::NewKey::service_account).
    ///
    /// # Errors
    ///
    /// [`Invalid`](ManageError::Invalid), [`Forbidden`](ManageError::Forbidden),
    /// [`LimitReached`](ManageError::LimitReached).
    pub async fn create_account(&self, actor: &Actor, account: NewAccount) -> Result<ServiceAccount, ManageError> {
        let actor = actor.clone();
        self.run(async move |shared: Arc<Shared>| {
            let mut fields = Fields::default();
            fields.name(&account.name);
            fields.description(&account.description);
            fields.finish().map_err(ManageError::Invalid)?;
            let limits = shared.limits(&actor).await?;
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            operation.keep_account_limit(&limits).await?;
            let id = ServiceAccountId::generate(operation.now)?;
            let organization = operation.actor.organization.clone();
            let by = operation.actor.id.clone();
            let mut made = ServiceAccount::new(id, organization, account.name, operation.now, by);
            made.description = account.description;
            operation.change(Change::InsertAccount(made.clone()));
            operation.audit(Action::AccountCreated, made.id.as_str(), None, Some(describe_account(&made)))?;
            operation.commit().await?;
            Ok(made)
        })
        .await
    }

    /// Changes an account's name or description.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ManageError::Invalid), [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound),
    /// [`StaleVersion`](ManageError::StaleVersion).
    pub async fn update_account(
        &self,
        actor: &Actor,
        id: &ServiceAccountId,
        update: AccountUpdate,
    ) -> Result<ServiceAccount, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut fields = Fields::default();
            match &update.name {
                Set::Keep => {}
                Set::Clear => fields.push("name", "required", "a name can't be cleared"),
                Set::To(name) => fields.name(name),
            }
            if let Set::To(description) = &update.description {
                fields.description(description);
            }
            fields.finish().map_err(ManageError::Invalid)?;
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            let before = operation.account(&id).await?;
            if let Some(version) = update.version
                && version != before.version
            {
                return Err(ManageError::StaleVersion { current: before.version });
            }
            let mut account = before.clone();
            update.name.apply_to(&mut account.name);
            update.description.apply_to(&mut account.description);
            if account == before {
                return Ok(before);
            }
            operation.update_account(&before, &mut account, Action::AccountUpdated)?;
            operation.commit().await?;
            Ok(account)
        })
        .await
    }

    /// Switches an account off: nobody is let in with any of its keys, and requests under way end.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound).
    pub async fn disable_account(&self, actor: &Actor, id: &ServiceAccountId) -> Result<ServiceAccount, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            let before = operation.account(&id).await?;
            let keys = operation.keys_of(&id).await?;
            keys.iter().for_each(|key| operation.end(&key.id));
            if before.disabled.is_some() {
                operation.commit().await?;
                return Ok(before);
            }
            let mut account = before.clone();
            account.disabled = Some(Switched { at: operation.now, by: operation.actor.id.clone() });
            operation.affect_callers();
            operation.update_account(&before, &mut account, Action::AccountDisabled)?;
            operation.commit().await?;
            Ok(account)
        })
        .await
    }

    /// Switches an account on again, and with it those of its keys that are on.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) unless the actor could issue each of its keys that would be let in;
    /// [`NotFound`](ManageError::NotFound).
    pub async fn enable_account(&self, actor: &Actor, id: &ServiceAccountId) -> Result<ServiceAccount, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            let before = operation.account(&id).await?;
            if before.disabled.is_none() {
                return Ok(before);
            }
            for key in operation.keys_of(&id).await? {
                let is_over = matches!(key.status(operation.now), Status::Revoked | Status::Expired);
                if !is_over {
                    operation.may_hand_out(&key)?;
                }
                operation.refresh(&key.id);
            }
            let mut account = before.clone();
            account.disabled = None;
            operation.affect_callers();
            operation.update_account(&before, &mut account, Action::AccountEnabled)?;
            operation.commit().await?;
            Ok(account)
        })
        .await
    }

    /// Gives each of an account's keys a new secret, all or none; keys that are revoked or expired are left out.
    ///
    /// # Errors
    ///
    /// As [`rotate`](KeyManager::rotate), for any of them.
    pub async fn rotate_account(
        &self,
        actor: &Actor,
        id: &ServiceAccountId,
        overlap: Overlap,
    ) -> Result<Vec<IssuedKey>, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            overlap.check()?;
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            operation.account(&id).await?;
            let mut issued = Vec::new();
            for key in operation.keys_of(&id).await? {
                if !matches!(key.status(operation.now), Status::Revoked | Status::Expired) {
                    issued.push(operation.rotate(&key, overlap)?);
                }
            }
            operation.commit().await?;
            Ok(issued)
        })
        .await
    }

    /// Deletes an account; its keys are revoked in the same step, and keep its id.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound).
    pub async fn delete_account(&self, actor: &Actor, id: &ServiceAccountId) -> Result<(), ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            let account = operation.account(&id).await?;
            let keys = operation.keys_of(&id).await?;
            operation.revoke_all(keys, "its service account was deleted")?;
            operation.affect_callers();
            operation.change(Change::DeleteAccount(id.clone()));
            operation.audit(Action::AccountDeleted, id.as_str(), Some(describe_account(&account)), None)?;
            operation.commit().await
        })
        .await
    }
}

impl Operation {
    async fn keys_of(&mut self, account: &ServiceAccountId) -> Result<Vec<KeyRecord>, ManageError> {
        let filter = KeyFilter { service_account: Some(account.clone()), ..KeyFilter::default() };
        Ok(self.transaction.keys(&filter, self.now).await?)
    }

    fn update_account(
        &mut self,
        before: &ServiceAccount,
        account: &mut ServiceAccount,
        action: Action,
    ) -> Result<(), ManageError> {
        account.version = before.version + 1;
        self.change(Change::UpdateAccount(account.clone()));
        let (was, is) = difference(describe_account(before), describe_account(account));
        self.audit(action, account.id.as_str(), Some(was), Some(is))
    }
}
