//! Updates keys: their texts, scopes, validity and metadata.

use std::sync::Arc;

use apikey_core::{JsonObject, KeyId, Timestamp};
use serde_json::{Map, Value};

use super::{KeyManager, Shared, operation::Operation};
use crate::{
    actor::Actor,
    audit::Action,
    error::ManageError,
    record::{KeyRecord, Status},
    rights::Level,
    store::Made,
    validate::Fields,
};

/// The change of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Keeps the value.
    #[default]
    Keep,
    /// Clears the value.
    Clear,
    /// Sets this value.
    To(T),
}

impl<T> Patch<T> {
    pub(super) fn map<U>(self, to: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::To(value) => Patch::To(to(value)),
        }
    }
}

/// Sets this value.
impl<T> From<T> for Patch<T> {
    fn from(value: T) -> Self {
        Patch::To(value)
    }
}

/// Sets this text.
impl From<&str> for Patch<String> {
    fn from(text: &str) -> Self {
        Patch::To(text.to_owned())
    }
}

impl<T: Default> Patch<T> {
    pub(super) fn apply_to(self, field: &mut T) {
        match self {
            Patch::Keep => {}
            Patch::Clear => *field = T::default(),
            Patch::To(value) => *field = value,
        }
    }
}

/// A change of a key's record. Fields that are not set stay.
///
/// ```
/// use apikey_manager::{KeyUpdate, Patch};
///
/// let update = KeyUpdate::new().if_version(3).name("nightly").expires_at(Patch::Clear);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct KeyUpdate {
    version: Option<u64>,
    name: Patch<String>,
    description: Patch<String>,
    scopes: Patch<Vec<String>>,
    not_before: Patch<Timestamp>,
    expires_at: Patch<Timestamp>,
    metadata: Patch<Map<String, Value>>,
}

impl KeyUpdate {
    /// Creates a change that changes nothing.
    pub fn new() -> Self {
        KeyUpdate::default()
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

    /// Sets the grants, which replace all earlier ones. Clearing them leaves none.
    pub fn scopes(mut self, scopes: impl Into<Patch<Vec<String>>>) -> Self {
        self.scopes = scopes.into();
        self
    }

    /// Sets the time before which the key is rejected. Clearing it leaves none.
    pub fn not_before(mut self, not_before: impl Into<Patch<Timestamp>>) -> Self {
        self.not_before = not_before.into();
        self
    }

    /// Sets the time from which the key is rejected. Clearing it means that the key never expires.
    pub fn expires_at(mut self, expires_at: impl Into<Patch<Timestamp>>) -> Self {
        self.expires_at = expires_at.into();
        self
    }

    /// Sets the metadata, which replaces all earlier metadata.
    pub fn metadata(mut self, metadata: impl Into<Patch<Map<String, Value>>>) -> Self {
        self.metadata = metadata.into();
        self
    }
}

impl KeyManager {
    /// Changes a key's record. Requests in progress finish with the old rights. Requests that arrive after this returns
    /// have the new ones.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ManageError::Invalid) names each wrong field. [`StaleVersion`](ManageError::StaleVersion) if the
    /// record has changed. [`Forbidden`](ManageError::Forbidden) if the change widens or extends the key and the actor
    /// could not issue the result. [`LimitReached`](ManageError::LimitReached) if an expired key comes back and the
    /// plan allows no more. [`WrongState`](ManageError::WrongState) if the key is revoked.
    pub async fn update(&self, actor: &Actor, id: &KeyId, update: KeyUpdate) -> Result<KeyRecord, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut fields = Fields::default();
            let scopes = update.check(&shared, &mut fields);
            fields.finish().map_err(ManageError::Invalid)?;
            let limits = shared.limits(&actor).await?;
            let mut operation = Operation::begin(shared, actor, Level::Write).await?;
            let before = operation.key(&id).await?;
            operation.may_touch(&before)?;
            if let Some(version) = update.version
                && version != before.version
            {
                return Err(ManageError::StaleVersion { current: before.version });
            }
            let was = before.status(operation.now);
            if was == Status::Revoked {
                return Err(ManageError::WrongState { status: was, operation: "changed" });
            }
            let mut key = before.clone();
            update.name.apply_to(&mut key.name);
            update.description.apply_to(&mut key.description);
            scopes.apply_to(&mut key.scopes);
            update.metadata.map(JsonObject::from).apply_to(&mut key.metadata);
            update.not_before.map(Some).apply_to(&mut key.not_before);
            update.expires_at.map(Some).apply_to(&mut key.expires_at);
            operation.refresh(&id);
            if key == before {
                operation.commit().await?;
                return Ok(before);
            }
            if (key.not_before, key.expires_at) != (before.not_before, before.expires_at) {
                operation.check_expiry("expires_at", key.not_before, key.expires_at, &limits)?;
            }
            if raises(&before, &key, operation.catalog()) {
                operation.may_hand_out(&key)?;
                operation.lineage(&id, Made::Widening);
            }
            if key.status(operation.now).is_counted() && !was.is_counted() {
                operation.keep_key_limit(&limits, 1).await?;
            }
            operation.update_key(&before, &mut key, Action::KeyUpdated)?;
            operation.commit().await?;
            Ok(key)
        })
        .await
    }
}

impl KeyUpdate {
    fn check(&self, shared: &Shared, fields: &mut Fields) -> Patch<apikey_core::ScopeSet> {
        match &self.name {
            Patch::Keep => {}
            Patch::Clear => fields.push("name", "required", "a name can't be cleared"),
            Patch::To(name) => fields.name(name),
        }
        if let Patch::To(description) = &self.description {
            fields.description(description);
        }
        if let Patch::To(metadata) = &self.metadata {
            fields.metadata(metadata);
        }
        if let Patch::To(not_before) = &self.not_before
            && *not_before < shared.now()
        {
            fields.push("not_before", "past", "must not be in the past");
        }
        match &self.scopes {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::To(scopes) => Patch::To(shared.check_scopes(fields, scopes)),
        }
    }
}

/// Returns `true` if the change widens or extends the key.
fn raises(before: &KeyRecord, after: &KeyRecord, catalog: &apikey_core::ScopeCatalog) -> bool {
    let does_more = !catalog.expand(&before.scopes).covers_grants(&catalog.expand(&after.scopes));
    let lives_longer = match (before.expires_at, after.expires_at) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after > before,
    };
    let begins_earlier = match (before.not_before, after.not_before) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after < before,
    };
    does_more || lives_longer || begins_earlier
}
