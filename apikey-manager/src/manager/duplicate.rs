//! Duplicates keys: for a rotation with two keys, or for one key per use.

use std::sync::Arc;

use apikey_core::KeyId;

use super::{
    IssuedKey, KeyManager, Shared,
    issue::{Draft, Expiry},
    operation::Operation,
};
use crate::{actor::Actor, audit::Action, error::ManageError, record::Status, rights::Level};

impl KeyManager {
    /// Issues a key with another key's name, description, scopes, environment, service account, expiry and metadata.
    /// The other key doesn't change.
    ///
    /// # Errors
    ///
    /// As [`issue`](KeyManager::issue); [`NotFound`](ManageError::NotFound);
    /// [`WrongState`](ManageError::WrongState) for a key that is revoked or expired.
    pub async fn duplicate(&self, actor: &Actor, id: &KeyId) -> Result<IssuedKey, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let limits = shared.limits(&actor).await?;
            let mut operation = Operation::begin_once(shared, actor, Level::Write).await?;
            let key = operation.key(&id).await?;
            let status = key.status(operation.now);
            if matches!(status, Status::Revoked | Status::Expired) {
                return Err(ManageError::WrongState { status, operation: "duplicated" });
            }
            let draft = Draft {
                name: key.name,
                description: key.description,
                scopes: key.scopes,
                environment: key.environment,
                service_account: key.service_account,
                not_before: key.not_before.filter(|not_before| *not_before > operation.now),
                expiry: key.expires_at.map_or(Expiry::Never, Expiry::At),
                metadata: key.metadata,
            };
            let issued = operation.issue(draft, &limits, Action::KeyDuplicated).await?;
            operation.commit_once(vec![issued.id().clone()]).await?;
            Ok(issued)
        })
        .await
    }
}
