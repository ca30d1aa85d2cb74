//! A manager on a store in memory, with a manual clock.

use std::{fmt::Debug, sync::Arc};

use apikey_core::{
    AuthenticatedKey, KeyFormat, KeyId, ManualClock, PlaintextKey, Scope, ScopeCatalog, ScopeSet,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};
use apikey_manager::{
    Actor, IssuedKey, KeyManager, KeyManagerBuilder, KeyRecord, ManageError, NewKey, OrganizationId, Rights,
};

use crate::bed::{Bed, Dump};

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) bed: Arc<Bed>,
    pub(crate) keys: KeyManager,
    pub(crate) clock: ManualClock,
    /// The host, in `ours`.
    pub(crate) host: Actor,
    pub(crate) ours: OrganizationId,
}

impl Stage {
    pub(crate) fn new(bed: Arc<Bed>) -> Self {
        Stage::with(bed, |builder| builder)
    }

    pub(crate) fn with(bed: Arc<Bed>, configure: impl FnOnce(KeyManagerBuilder) -> KeyManagerBuilder) -> Self {
        let clock = ManualClock::new();
        clock.set_wall(bed.now());
        let format = KeyFormat::builder("tst").environment("live").environment("test").build().unwrap();
        let catalog = ScopeCatalog::new()
            .scope(Scope::from_static("files:read"), "Read files.")
            .scope(Scope::from_static("files:write"), "Write files.")
            .role("reader", ["files:read"])
            .unwrap();
        let builder = KeyManager::builder(bed.memory.clone()).format(format).catalog(catalog);
        let keys = configure(builder.clock(clock.clone())).build().unwrap();
        let ours = bed.organization("ours");
        let host = Actor::host("tests", ours.clone()).unwrap();
        Stage { bed, keys, clock, host, ours }
    }

    /// Sets the clock to this many seconds after the beginning.
    pub(crate) fn at(&self, seconds: i64) {
        self.clock.set_wall(self.bed.at(seconds));
    }

    pub(crate) async fn issue(&self) -> Result<IssuedKey, ManageError> {
        self.keys.issue(&self.host, NewKey::new("a key").scopes(["files:read"])).await
    }

    /// Returns the caller of a request with the key.
    pub(crate) async fn present(&self, key: &IssuedKey) -> AuthenticatedKey {
        let decision = match self.keys.authenticator().authenticate(&Bearer::of(key.secret())) {
            Authentication::Done(decision) => decision,
            Authentication::Loading(loading) => loading.await,
        };
        decision.unwrap().unwrap()
    }

    /// Returns the actor of such a request.
    pub(crate) async fn actor(&self, key: &IssuedKey) -> Actor {
        Actor::key(&self.present(key).await).unwrap()
    }

    pub(crate) async fn stored(&self, id: &KeyId) -> KeyRecord {
        self.keys.get(&self.host, id).await.unwrap()
    }

    pub(crate) async fn dump(&self) -> Dump {
        self.bed.dump(&[&self.ours]).await
    }

    /// Checks that the operation is rejected for this field and reason, and changes nothing.
    pub(crate) async fn refuses<T: Debug>(
        &self,
        what: &str,
        operation: impl Future<Output = Result<T, ManageError>>,
        field: &str,
        code: &str,
    ) {
        self.fails(what, operation, &format!("{field} ({code})"), |error| match error {
            ManageError::Invalid(fields) => {
                fields.iter().any(|error| error.field == field && error.code == code && !error.message.is_empty())
            }
            _ => false,
        })
        .await
    }

    /// Checks that the operation fails as expected, and changes nothing.
    pub(crate) async fn fails<T: Debug>(
        &self,
        what: &str,
        operation: impl Future<Output = Result<T, ManageError>>,
        expected: &str,
        is_expected: impl FnOnce(&ManageError) -> bool,
    ) {
        let before = self.dump().await;
        match operation.await {
            Err(error) if is_expected(&error) => {}
            other => panic!("{what} must be refused: {expected}, but: {other:?}"),
        }
        assert_eq!(self.dump().await, before, "what is kept after {what} was refused");
    }
}

/// Creates a request with a key.
struct Bearer(String);

impl Bearer {
    fn of(key: &PlaintextKey) -> Self {
        Bearer(format!("Bearer {}", key.expose_secret()))
    }
}

impl RequestView for Bearer {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        (header == Header::Authorization).then_some(self.0.as_bytes()).into_iter().collect()
    }
}

pub(crate) fn user(organization: &OrganizationId, scopes: &str) -> Actor {
    Actor::user("alice", organization.clone(), Rights::scopes(ScopeSet::parse(scopes).unwrap())).unwrap()
}
