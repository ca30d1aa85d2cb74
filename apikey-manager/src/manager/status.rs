//! Disables, enables, revokes and deletes one key.

use std::sync::Arc;

use apikey_core::KeyId;

use super::{KeyManager, Shared, operation::Operation};
use crate::{
    actor::Actor,
    audit::Action,
    error::{Forbidden, ManageError},
    organization::Switched,
    record::{KeyHead, KeyRecord, Status},
    rights::Level,
    store::Made,
    validate::Fields,
};

impl KeyManager {
    /// Disables a key: it is rejected, and requests in progress end. A disabled key doesn't change.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound),
    /// [`WrongState`](ManageError::WrongState) if the key is revoked.
    pub async fn disable(&self, actor: &Actor, id: &KeyId) -> Result<KeyRecord, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin_ending(shared, actor, Level::Write).await?;
            let mut key = operation.key_or_head(&id).await?;
            operation.may_touch(&key)?;
            not_revoked(&key, "disabled")?;
            operation.end(&id);
            if key.disabled.is_none() {
                let disabled = Switched { at: operation.now, by: operation.actor.id.clone() };
                operation.disable_key(&mut key, Some(disabled), Action::KeyDisabled)?;
            }
            operation.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Enables a key. An enabled key doesn't change.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) if the actor could not issue such a key,
    /// [`WrongState`](ManageError::WrongState) if the key is revoked.
    pub async fn enable(&self, actor: &Actor, id: &KeyId) -> Result<KeyRecord, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin(shared, actor, Level::Write).await?;
            let mut key = operation.key(&id).await?;
            operation.may_hand_out(&key)?;
            not_revoked(&key, "enabled")?;
            operation.refresh(&id);
            if key.disabled.is_some() {
                operation.disable_key(&mut key, None, Action::KeyEnabled)?;
                operation.lineage(&id, Made::Widening);
            }
            operation.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Revokes a key permanently: it is rejected, and requests in progress end. A revoked key doesn't change; the first
    /// reason stays.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound), [`Invalid`](ManageError::Invalid)
    /// (`reason`: at most 500 characters).
    pub async fn revoke(&self, actor: &Actor, id: &KeyId, reason: impl Into<String>) -> Result<KeyRecord, ManageError> {
        let (actor, id, reason) = (actor.clone(), id.clone(), reason.into());
        self.run(async move |shared: Arc<Shared>| {
            check_reason(&reason)?;
            revoke_one(shared, actor, &id, &reason).await
        })
        .await
    }

    /// Revokes the acting key. Requires no scope.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) if the actor is not a key, or no longer a valid one.
    pub async fn revoke_self(&self, actor: &Actor, reason: impl Into<String>) -> Result<KeyRecord, ManageError> {
        let (actor, reason) = (actor.clone(), reason.into());
        self.run(async move |shared: Arc<Shared>| {
            check_reason(&reason)?;
            let id = actor.key.clone().ok_or(Forbidden::NotLive)?;
            let mut operation = Operation::begin_ending(shared, actor, Level::Nothing).await?;
            let mut key = operation.key_or_head(&id).await?;
            operation.revoke(&mut key, &reason)?;
            operation.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Deletes a key in any state. A key that is not revoked is revoked in the same transaction. Its audit events and
    /// usage stay, and its secrets can't be used again.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound).
    pub async fn delete(&self, actor: &Actor, id: &KeyId) -> Result<(), ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin_ending(shared, actor, Level::Write).await?;
            let mut key = operation.key_or_head(&id).await?;
            operation.may_touch(&key)?;
            operation.revoke(&mut key, "deleted")?;
            operation.delete_key(&key)?;
            operation.commit().await
        })
        .await
    }
}

/// Revokes one key, ahead of other changes.
pub(super) async fn revoke_one(
    shared: Arc<Shared>,
    actor: Actor,
    id: &KeyId,
    reason: &str,
) -> Result<KeyRecord, ManageError> {
    let mut operation = Operation::begin_ending(shared, actor, Level::Write).await?;
    let mut key = operation.key_or_head(id).await?;
    operation.may_touch(&key)?;
    operation.revoke(&mut key, reason)?;
    operation.commit().await?;
    Ok(key)
}

impl Operation {
    /// Revokes a key, unless it is revoked.
    fn revoke(&mut self, key: &mut KeyRecord, reason: &str) -> Result<(), ManageError> {
        let mut head = KeyHead::from(&*key);
        self.revoke_head(&mut head, reason)?;
        key.revoked = head.revoked;
        key.version = head.version;
        Ok(())
    }
}

pub(super) fn check_reason(reason: &str) -> Result<(), ManageError> {
    let mut fields = Fields::default();
    fields.reason(reason);
    fields.finish().map_err(ManageError::Invalid)
}

fn not_revoked(key: &KeyRecord, operation: &'static str) -> Result<(), ManageError> {
    match key.revoked {
        None => Ok(()),
        Some(_) => Err(ManageError::WrongState { status: Status::Revoked, operation }),
    }
}
