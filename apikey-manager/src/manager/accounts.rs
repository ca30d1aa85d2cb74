//! Creates, updates, disables, enables, rotates and deletes service accounts.

use std::sync::Arc;

use apikey_core::{KeyId, ServiceAccountId};

use super::{
    IssuedKey, KeyManager, Overlap, Patch, Shared,
    bulk::revoke_rest_of,
    operation::{Operation, describe_account, difference},
};
use crate::{
    account::ServiceAccount,
    actor::Actor,
    audit::Action,
    error::ManageError,
    organization::Switched,
    query::KeyFilter,
    record::KeyHead,
    rights::Level,
    store::{Change, Made},
    validate::Fields,
};

/// The most keys of an account that can be rotated together.
const MOST_ROTATED: usize = 500;
/// The number of keys that are revoked in the transaction that deletes their account.
const MOST_AT_ONCE: usize = 500;
/// The reason of the revocation of a deleted account's keys.
const DELETED: &str = "its service account was deleted";

/// A new service account.
#[derive(Clone, Debug)]
#[must_use]
pub struct NewAccount {
    name: String,
    description: String,
}

impl NewAccount {
    /// Creates an account with this name.
    pub fn new(name: impl Into<String>) -> Self {
        NewAccount { name: name.into(), description: String::new() }
    }

    /// Sets the description.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }
}

/// A change of a service account's record. Fields that are not set stay.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AccountUpdate {
    version: Option<u64>,
    name: Patch<String>,
    description: Patch<String>,
}

impl AccountUpdate {
    /// Creates a change that changes nothing.
    pub fn new() -> Self {
        AccountUpdate::default()
    }

    /// Sets the version that the record must still have.
    pub fn if_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets the name. It can't be cleared.
    pub fn name(mut self, name: impl Into<Patch<String>>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the description.
    pub fn description(mut self, description: impl Into<Patch<String>>) -> Self {
        self.description = description.into();
        self
    }
}

/// All of these operations require `keys:admin`.
impl KeyManager {
    /// Creates a service account. Issue keys to it with [`NewKey::service_account`](crate::NewKey::service_account).
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
                Patch::Keep => {}
                Patch::Clear => fields.push("name", "required", "a name can't be cleared"),
                Patch::To(name) => fields.name(name),
            }
            if let Patch::To(description) = &update.description {
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

    /// Disables an account: its keys are rejected, and requests in progress end.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound).
    pub async fn disable_account(&self, actor: &Actor, id: &ServiceAccountId) -> Result<ServiceAccount, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin_ending(shared, actor, Level::Admin).await?;
            let before = operation.account(&id).await?;
            operation.keys_of(&id).await?.iter().for_each(|key| operation.end(key));
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

    /// Enables an account, and with it those of its keys that are enabled.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) if the actor could not issue each key that becomes valid,
    /// [`NotFound`](ManageError::NotFound).
    pub async fn enable_account(&self, actor: &Actor, id: &ServiceAccountId) -> Result<ServiceAccount, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            let before = operation.account(&id).await?;
            let is_enabled = before.disabled.is_none();
            for key in operation.heads_of(&id).await? {
                if !is_enabled && !key.is_over(operation.now) {
                    operation.may_hand_out_head(&key)?;
                    operation.lineage(&key.id, Made::Widening);
                }
                operation.refresh(&key.id);
            }
            if is_enabled {
                operation.commit().await?;
                return Ok(before);
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

    /// Rotates all of an account's keys, or none. Revoked and expired ones are left out.
    ///
    /// # Errors
    ///
    /// As [`rotate`](KeyManager::rotate), for any of the keys. [`Invalid`](ManageError::Invalid) (`service_account`) if
    /// the account has more than 500 such keys.
    pub async fn rotate_account(
        &self,
        actor: &Actor,
        id: &ServiceAccountId,
        overlap: Overlap,
    ) -> Result<Vec<IssuedKey>, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            shared.check_overlap(&actor, overlap).await?;
            let mut operation = Operation::begin_once(shared, actor, Level::Admin).await?;
            operation.account(&id).await?;
            let mut issued = Vec::new();
            let mut keys = operation.heads_of(&id).await?;
            keys.retain(|key| !key.is_over(operation.now));
            // Rights and numbers are checked first, because reading whole records is needed only to change them.
            keys.iter().try_for_each(|key| operation.may_hand_out_head(key))?;
            if keys.len() > MOST_ROTATED {
                let message = "the account has more than 500 keys; rotate them one by one";
                return Err(ManageError::field("service_account", "too_many", message));
            }
            for key in keys {
                let key = operation.key(&key.id).await?;
                issued.push(operation.rotate(&key, overlap)?);
            }
            operation.commit_once(issued.iter().map(|issued| issued.id().clone()).collect()).await?;
            Ok(issued)
        })
        .await
    }

    /// Deletes an account. Its keys are rejected from then on and revoked: the first 500 in the same transaction, the
    /// others after it. They keep the account's id.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound).
    pub async fn delete_account(&self, actor: &Actor, id: &ServiceAccountId) -> Result<(), ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin_ending(Arc::clone(&shared), actor.clone(), Level::Admin).await?;
            let account = operation.account(&id).await?;
            let mut keys = operation.keys_of(&id).await?;
            // They are rejected from now on, because their account is gone.
            keys.iter().for_each(|key| operation.end(key));
            let rest = keys.split_off(keys.len().min(MOST_AT_ONCE));
            operation.revoke_keys(&keys, DELETED).await?;
            operation.affect_callers();
            operation.change(Change::DeleteAccount(id.clone()));
            operation.audit(Action::AccountDeleted, id.as_str(), Some(describe_account(&account)), None)?;
            operation.commit().await?;
            match rest.is_empty() {
                true => Ok(()),
                false => revoke_rest_of(&shared, &actor, &id, DELETED).await,
            }
        })
        .await
    }
}

impl Operation {
    async fn keys_of(&mut self, account: &ServiceAccountId) -> Result<Vec<KeyId>, ManageError> {
        let filter = KeyFilter { service_account: Some(account.clone()), ..KeyFilter::default() };
        Ok(self.transaction.ids(&filter, self.now).await?)
    }

    async fn heads_of(&mut self, account: &ServiceAccountId) -> Result<Vec<KeyHead>, ManageError> {
        let keys = self.keys_of(account).await?;
        Ok(self.transaction.heads(&keys).await?)
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
