//! Off, on, over, gone: disabling, enabling, revoking and deleting one key.

use std::{collections::HashSet, sync::Arc};

use apikey_core::KeyId;

use super::{KeyManager, Shared, operation::Operation};
use crate::{
    actor::Actor,
    audit::Action,
    error::{Forbidden, ManageError},
    organization::Switched,
    query::KeyFilter,
    record::{KeyRecord, Revocation, Status},
    rights::Level,
    validate::Fields,
};

/// How many keys one operation follows from those that issued them to those that were issued.
const MOST_DESCENDANTS: usize = 10_000;

impl KeyManager {
    /// Switches a key off: nobody is let in with it, and requests under way end. A key that is off stays as it is.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound),
    /// [`WrongState`](ManageError::WrongState) for a revoked key.
    pub async fn disable(&self, actor: &Actor, id: &KeyId) -> Result<KeyRecord, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin(shared, actor, Level::Write).await?;
            let before = operation.key(&id).await?;
            operation.may_touch(&before)?;
            not_revoked(&before, "disabled")?;
            operation.end(&id);
            if before.disabled.is_some() {
                operation.commit().await?;
                return Ok(before);
            }
            let mut key = before.clone();
            key.disabled = Some(Switched { at: operation.now, by: operation.actor.id.clone() });
            operation.update_key(&before, &mut key, Action::KeyDisabled)?;
            operation.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Switches a key on again. A key that is on stays as it is.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) unless the actor could issue such a key;
    /// [`WrongState`](ManageError::WrongState) for a revoked key.
    pub async fn enable(&self, actor: &Actor, id: &KeyId) -> Result<KeyRecord, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin(shared, actor, Level::Write).await?;
            let before = operation.key(&id).await?;
            operation.may_hand_out(&before)?;
            not_revoked(&before, "enabled")?;
            operation.refresh(&id);
            if before.disabled.is_none() {
                operation.commit().await?;
                return Ok(before);
            }
            let mut key = before.clone();
            key.disabled = None;
            operation.update_key(&before, &mut key, Action::KeyEnabled)?;
            operation.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Ends a key for good: nobody is let in with it, and requests under way end. A revoked key stays as it is, with the
    /// first reason.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound), [`Invalid`](ManageError::Invalid)
    /// (`reason`: at most 500 characters).
    pub async fn revoke(&self, actor: &Actor, id: &KeyId, reason: impl Into<String>) -> Result<KeyRecord, ManageError> {
        let (actor, id, reason) = (actor.clone(), id.clone(), reason.into());
        self.run(async move |shared: Arc<Shared>| {
            check_reason(&reason)?;
            let mut operation = Operation::begin(shared, actor, Level::Write).await?;
            let before = operation.key(&id).await?;
            operation.may_touch(&before)?;
            let key = operation.revoke(before, &reason)?;
            operation.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Ends the key that asks for it: whoever holds a key may.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) if the actor is not a key, or no longer a good one.
    pub async fn revoke_self(&self, actor: &Actor, reason: impl Into<String>) -> Result<KeyRecord, ManageError> {
        let (actor, reason) = (actor.clone(), reason.into());
        self.run(async move |shared: Arc<Shared>| {
            check_reason(&reason)?;
            let id = actor.key.clone().ok_or(Forbidden::NotLive)?;
            let mut operation = Operation::begin(shared, actor, Level::Nothing).await?;
            let before = operation.key(&id).await?;
            let key = operation.revoke(before, &reason)?;
            operation.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Revokes a key and every key that it issued, or that those did. Returns those that were not revoked before.
    ///
    /// # Errors
    ///
    /// As [`revoke`](KeyManager::revoke), for any of them; then none is revoked.
    pub async fn revoke_with_descendants(
        &self,
        actor: &Actor,
        id: &KeyId,
        reason: impl Into<String>,
    ) -> Result<Vec<KeyRecord>, ManageError> {
        let (actor, id, reason) = (actor.clone(), id.clone(), reason.into());
        self.run(async move |shared: Arc<Shared>| {
            check_reason(&reason)?;
            let mut operation = Operation::begin(shared, actor, Level::Write).await?;
            let key = operation.key(&id).await?;
            let keys = operation.with_descendants(vec![key]).await?;
            let revoked = operation.revoke_all(keys, &reason)?;
            operation.commit().await?;
            Ok(revoked)
        })
        .await
    }

    /// Deletes a key, in any state; one that is not revoked is, in the same step. What the audit trail and the usage say
    /// of it stays, and its secrets never come back.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound).
    pub async fn delete(&self, actor: &Actor, id: &KeyId) -> Result<(), ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin(shared, actor, Level::Write).await?;
            let key = operation.key(&id).await?;
            operation.may_touch(&key)?;
            let key = operation.revoke(key, "deleted")?;
            operation.delete_key(&key)?;
            operation.commit().await
        })
        .await
    }
}

impl Operation {
    /// Revokes a key, unless it is.
    pub(super) fn revoke(&mut self, before: KeyRecord, reason: &str) -> Result<KeyRecord, ManageError> {
        // Said again even so: the first time it may not have been heard here.
        self.end(&before.id);
        if before.revoked.is_some() {
            return Ok(before);
        }
        let mut key = before.clone();
        key.revoked = Some(Revocation { at: self.now, by: self.actor.id.clone(), reason: reason.to_owned() });
        self.update_key(&before, &mut key, Action::KeyRevoked)?;
        Ok(key)
    }

    /// Revokes those that are not yet, if the actor may touch every one of them.
    pub(super) fn revoke_all(&mut self, keys: Vec<KeyRecord>, reason: &str) -> Result<Vec<KeyRecord>, ManageError> {
        let (keys, over): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.revoked.is_none());
        over.iter().for_each(|key| self.end(&key.id));
        keys.iter().try_for_each(|key| self.may_touch(key))?;
        keys.into_iter().map(|key| self.revoke(key, reason)).collect()
    }

    /// `keys`, and those that they issued, and so on.
    pub(super) async fn with_descendants(&mut self, keys: Vec<KeyRecord>) -> Result<Vec<KeyRecord>, ManageError> {
        let mut seen: HashSet<KeyId> = keys.iter().map(|key| key.id.clone()).collect();
        let mut all = keys;
        let mut at = 0;
        while let Some(parent) = all.get(at) {
            let filter = KeyFilter { created_by_key: Some(parent.id.clone()), ..KeyFilter::default() };
            let children = self.transaction.keys(&filter, self.now).await?;
            all.extend(children.into_iter().filter(|child| seen.insert(child.id.clone())));
            if all.len() > MOST_DESCENDANTS {
                let message = "more than 10000 keys would have to be looked through; revoke them in parts";
                return Err(ManageError::field("descendants", "too_many", message));
            }
            at += 1;
        }
        Ok(all)
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
