//! A manager over the store under test, on a clock that is set by hand.

use std::{fmt::Debug, sync::Arc};

use apikey_core::{KeyFormat, KeyId, ManualClock, Scope, ScopeCatalog, ScopeSet};

use crate::{
    actor::{Actor, ActorId, Rights},
    conformance::{
        bed::{Bed, Dump},
        outcome::{Failure, Outcome, fail, same},
    },
    error::ManageError,
    manager::{IssuedKey, KeyManager, KeyManagerBuilder, NewKey},
    organization::OrganizationId,
    record::KeyRecord,
};

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) bed: Arc<Bed>,
    pub(super) keys: KeyManager,
    pub(super) clock: ManualClock,
    /// The host, in `ours`.
    pub(super) host: Actor,
    pub(super) ours: OrganizationId,
}

impl Stage {
    pub(super) fn new(bed: Arc<Bed>) -> Result<Self, Failure> {
        Stage::with(bed, |builder| builder)
    }

    pub(super) fn with(
        bed: Arc<Bed>,
        configure: impl FnOnce(KeyManagerBuilder) -> KeyManagerBuilder,
    ) -> Result<Self, Failure> {
        let clock = ManualClock::new();
        clock.set_wall(bed.now());
        let format = KeyFormat::builder("tst").environment("live").environment("test").build()?;
        let catalog = ScopeCatalog::new()
            .scope(Scope::from_static("files:read"), "Read files.")
            .scope(Scope::from_static("files:write"), "Write files.")
            .role("reader", ["files:read"])?;
        let builder = KeyManagerBuilder::new(Arc::clone(&bed.store)).format(format).catalog(catalog);
        let keys = configure(builder.clock(clock.clone())).build()?;
        let ours = bed.organization("ours");
        let host = Actor::host("tests", ours.clone())?;
        Ok(Stage { bed, keys, clock, host, ours })
    }

    /// Moves the clock to so many seconds after the beginning.
    pub(super) fn at(&self, seconds: i64) {
        self.clock.set_wall(self.bed.at(seconds));
    }

    pub(super) async fn issue(&self) -> Result<IssuedKey, ManageError> {
        self.keys.issue(&self.host, NewKey::new("a key").scopes(["files:read"])).await
    }

    pub(super) async fn stored(&self, id: &KeyId) -> Result<KeyRecord, ManageError> {
        self.keys.get(&self.host, id).await
    }

    pub(super) async fn dump(&self) -> Result<Dump, Failure> {
        Ok(self.bed.dump(&[&self.ours]).await?)
    }

    /// The operation is refused for this field, for this reason, and nothing was changed.
    pub(super) async fn refuses<T: Debug>(
        &self,
        what: &str,
        operation: impl Future<Output = Result<T, ManageError>>,
        field: &str,
        code: &str,
    ) -> Outcome {
        self.fails(what, operation, &format!("{field} ({code})"), |error| match error {
            ManageError::Invalid(fields) => {
                fields.iter().any(|error| error.field == field && error.code == code && !error.message.is_empty())
            }
            _ => false,
        })
        .await
    }

    /// The operation fails as expected, and nothing was changed.
    pub(super) async fn fails<T: Debug>(
        &self,
        what: &str,
        operation: impl Future<Output = Result<T, ManageError>>,
        expected: &str,
        is_expected: impl FnOnce(&ManageError) -> bool,
    ) -> Outcome {
        let before = self.dump().await?;
        match operation.await {
            Err(error) if is_expected(&error) => {}
            other => fail!("{what} must be refused: {expected}, but: {other:?}"),
        }
        same!(self.dump().await?, before, "what is kept after {what} was refused");
        Ok(())
    }
}

/// The key of a request, in the organization that it belongs to.
pub(super) fn key_actor(key: &KeyRecord) -> Actor {
    Actor {
        id: ActorId::of_key(&key.id),
        organization: key.organization.clone(),
        rights: Rights::scopes(key.scopes.clone()),
        key: Some(key.id.clone()),
        secret: key.secrets.first().map(|newest| newest.digest.clone()),
        request_id: None,
    }
}

pub(super) fn user(organization: &OrganizationId, scopes: &str) -> Result<Actor, Failure> {
    Ok(Actor::user("alice", organization.clone(), Rights::scopes(ScopeSet::parse(scopes)?))?)
}
