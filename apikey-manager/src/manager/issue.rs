//! Issues keys.

use std::{fmt, sync::Arc, time::Duration};

use apikey_core::{
    GenerateKeyError, JsonObject, KeyId, KeyOutput, PlaintextKey, ScopeSet, ServiceAccountId, Timestamp,
};
use serde_json::{Map, Value};

use super::{KeyManager, Shared, operation::Operation};
use crate::{
    actor::Actor, audit::Action, error::ManageError, limits::Limits, record::KeyRecord, rights::Level, validate::Fields,
};

/// The most grants of a key.
const MAX_SCOPES: usize = 200;

/// The expiry of a new key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// The default of the organization's plan, or never.
    #[default]
    Default,
    /// Never.
    Never,
    /// At this time.
    At(Timestamp),
    /// This long after the issue.
    In(Duration),
}

/// A new key.
///
/// ```
/// use std::time::Duration;
/// use apikey_manager::NewKey;
///
/// let key = NewKey::new("nightly-build")
///     .description("publishes releases")
///     .scopes(["files:read", "files:write"])
///     .environment("live")
///     .expires_in(Duration::from_secs(90 * 86_400));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct NewKey {
    name: String,
    description: String,
    scopes: Vec<String>,
    environment: Option<String>,
    service_account: Option<ServiceAccountId>,
    not_before: Option<Timestamp>,
    expiry: Expiry,
    metadata: Map<String, Value>,
}

impl NewKey {
    /// Creates a key with this name and without grants.
    pub fn new(name: impl Into<String>) -> Self {
        NewKey { name: name.into(), ..NewKey::default() }
    }

    /// Sets the description.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Adds scopes and roles to the grants.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Sets the environment. The default is the format's first one.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = Some(environment.into());
        self
    }

    /// Sets the service account that owns the key.
    pub fn service_account(mut self, account: ServiceAccountId) -> Self {
        self.service_account = Some(account);
        self
    }

    /// Sets the time before which the key is rejected.
    pub fn not_before(mut self, not_before: impl Into<Timestamp>) -> Self {
        self.not_before = Some(not_before.into());
        self
    }

    /// Sets the expiry.
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// Sets the time from which the key is rejected.
    pub fn expires_at(self, expires_at: impl Into<Timestamp>) -> Self {
        self.expiry(Expiry::At(expires_at.into()))
    }

    /// Sets the lifetime after the issue.
    pub fn expires_in(self, lifetime: Duration) -> Self {
        self.expiry(Expiry::In(lifetime))
    }

    /// Sets the service's additional data.
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = metadata;
        self
    }
}

/// A key that was just issued or rotated: its record, and the secret for its holder. The secret can't be read again.
#[derive(Debug)]
pub struct IssuedKey {
    record: KeyRecord,
    secret: PlaintextKey,
}

impl IssuedKey {
    pub(super) fn new(record: KeyRecord, secret: PlaintextKey) -> Self {
        IssuedKey { record, secret }
    }

    /// Returns the key's id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.record.id
    }

    /// Returns the record.
    #[must_use]
    pub fn record(&self) -> &KeyRecord {
        &self.record
    }

    /// Returns the secret.
    #[must_use]
    pub fn secret(&self) -> &PlaintextKey {
        &self.secret
    }

    /// Shows the secret on `output`. Without a terminal, the operator chooses the place.
    ///
    /// ```no_run
    /// # async fn first(keys: apikey_manager::KeyManager, host: apikey_manager::Actor) -> Result<(), Box<dyn std::error::Error>> {
    /// use apikey_core::KeyOutput;
    /// use apikey_manager::NewKey;
    ///
    /// let output: KeyOutput = std::env::var("KEY_OUTPUT")?.parse()?;
    /// output.check()?; // before there is a key, so that none is lost
    /// if let Some(key) = keys.bootstrap(&host, NewKey::new("bootstrap").scopes(["*"])).await? {
    ///     key.show(&output)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`KeyOutput::show`].
    pub fn show(&self, output: &KeyOutput) -> std::io::Result<()> {
        output.show(&self.record.name, &self.secret)
    }

    /// Returns the record and the secret.
    #[must_use]
    pub fn into_parts(self) -> (KeyRecord, PlaintextKey) {
        (self.record, self.secret)
    }
}

impl KeyManager {
    /// Issues a key.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ManageError::Invalid) names each invalid field. [`Forbidden`](ManageError::Forbidden) if the actor
    /// lacks `keys:write`, or if the key would exceed or outlive it. [`LimitReached`](ManageError::LimitReached) if the
    /// plan allows no more keys. [`AlreadyDone`](ManageError::AlreadyDone) and
    /// [`IdempotencyKeyReused`](ManageError::IdempotencyKeyReused) as described at [`Actor::with_idempotency_key`].
    pub async fn issue(&self, actor: &Actor, key: NewKey) -> Result<IssuedKey, ManageError> {
        let actor = actor.clone();
        self.run(async move |shared: Arc<Shared>| {
            let draft = Draft::check(&shared, key)?;
            let limits = shared.limits(&actor).await?;
            let mut operation = Operation::begin_once(shared, actor, Level::Write).await?;
            let issued = operation.issue(draft, &limits, Action::KeyIssued).await?;
            operation.commit_once(vec![issued.id().clone()]).await?;
            Ok(issued)
        })
        .await
    }
}

/// A new key whose fields have been validated, as far as possible without the store.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) scopes: ScopeSet,
    pub(super) environment: Option<String>,
    pub(super) service_account: Option<ServiceAccountId>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) expiry: Expiry,
    pub(super) metadata: JsonObject,
}

impl Draft {
    pub(super) fn check(shared: &Shared, key: NewKey) -> Result<Self, ManageError> {
        let NewKey { name, description, scopes, environment, service_account, not_before, expiry, metadata } = key;
        let mut fields = Fields::default();
        fields.name(&name);
        fields.description(&description);
        fields.metadata(&metadata);
        let scopes = shared.check_scopes(&mut fields, &scopes);
        let mut declared = shared.format.environments();
        let environment = match environment {
            None => declared.next().map(str::to_owned),
            Some(named) if declared.any(|declared| declared == named) => Some(named),
            Some(_) => {
                let known: Vec<_> = shared.format.environments().collect();
                let message = match known.is_empty() {
                    true => "keys of this service have no environments".to_owned(),
                    false => format!("must be one of: {}", known.join(", ")),
                };
                fields.push("environment", "unknown", message);
                None
            }
        };
        if let Expiry::In(lifetime) = expiry
            && lifetime.is_zero()
        {
            fields.push("expires_in", "too_short", "a lifetime must be longer than zero");
        }
        if not_before.is_some_and(|not_before| not_before < shared.now()) {
            fields.push("not_before", "past", "must not be in the past");
        }
        fields.finish().map_err(ManageError::Invalid)?;
        let metadata = metadata.into();
        Ok(Draft { name, description, scopes, environment, service_account, not_before, expiry, metadata })
    }
}

impl Shared {
    pub(super) async fn limits(&self, actor: &Actor) -> Result<Limits, ManageError> {
        self.limits.ask(&actor.organization).await.map_err(ManageError::Limits)
    }

    pub(super) fn check_scopes(&self, fields: &mut Fields, scopes: &[String]) -> ScopeSet {
        if scopes.len() > MAX_SCOPES {
            fields.push("scopes", "too_many", format!("at most {MAX_SCOPES} scopes are allowed"));
            return ScopeSet::empty();
        }
        for (at, scope) in scopes.iter().enumerate() {
            match ScopeSet::from_grants([scope]) {
                Err(error) => fields.push(format!("scopes[{at}]"), "malformed", error.to_string()),
                Ok(one) if self.knows_all_scopes && !self.catalog.unknown(&one).is_empty() => {
                    fields.push(format!("scopes[{at}]"), "unknown", format!("there is no scope {scope}"));
                }
                Ok(_) => {}
            }
        }
        ScopeSet::from_grants(scopes).unwrap_or_default()
    }

    /// Generates a secret for this environment.
    pub(super) fn generate(&self, environment: Option<&str>) -> Result<PlaintextKey, ManageError> {
        let has_environments = self.format.environments().next().is_some();
        match environment.filter(|_| has_environments) {
            Some(named) => self.format.generate_for(named).map_err(|error| match error {
                // The key was imported or is older than the format.
                GenerateKeyError::UnknownEnvironment => {
                    let message = format!("the format has no environment {named} any more");
                    ManageError::field("environment", "unknown", message)
                }
                error => error.into(),
            }),
            None => Ok(self.format.generate()?),
        }
    }
}

impl Operation {
    /// Adds a new key to the change.
    pub(super) async fn issue(
        &mut self,
        draft: Draft,
        limits: &Limits,
        action: Action,
    ) -> Result<IssuedKey, ManageError> {
        let expires_at = self.expiry_of(&draft, limits)?;
        let secret = self.shared.generate(draft.environment.as_deref())?;
        let digest = self.shared.hasher.digest(&secret);
        let organization = self.actor.organization.clone();
        let mut key = KeyRecord::new(KeyId::generate(self.now)?, organization, digest, self.now, self.actor.id.clone());
        key.hint = self.shared.format.hint(&secret, draft.environment.as_deref());
        key.name = draft.name;
        key.description = draft.description;
        key.scopes = draft.scopes;
        key.environment = draft.environment;
        key.service_account = draft.service_account;
        key.created_by_key = self.actor.key.clone();
        key.not_before = draft.not_before;
        key.expires_at = expires_at;
        key.metadata = draft.metadata;
        self.may_hand_out(&key)?;
        if let Some(account) = &key.service_account {
            let account = self.transaction.account(account).await?;
            if account.is_none() {
                return Err(ManageError::field("service_account", "unknown", "there is no such service account"));
            }
        }
        self.keep_key_limit(limits, 1).await?;
        self.insert_key(&key, action)?;
        Ok(IssuedKey::new(key, secret))
    }

    fn expiry_of(&self, draft: &Draft, limits: &Limits) -> Result<Option<Timestamp>, ManageError> {
        let after = |lifetime| {
            let end = self.now.checked_add(lifetime);
            let message = "the lifetime ends after the year 9999";
            end.ok_or_else(|| ManageError::field("expires_in", "too_late", message)).map(Some)
        };
        let (field, asked) = match draft.expiry {
            Expiry::Default => ("expires_at", limits.default_lifetime.map_or(Ok(None), after)?),
            Expiry::Never => ("expires_at", None),
            Expiry::At(moment) => ("expires_at", Some(moment)),
            Expiry::In(lifetime) => ("expires_in", after(lifetime)?),
        };
        self.check_expiry(field, draft.not_before, asked, limits)?;
        Ok(asked)
    }

    /// Checks whether a key may get this expiry now.
    pub(super) fn check_expiry(
        &self,
        field: &'static str,
        not_before: Option<Timestamp>,
        expires_at: Option<Timestamp>,
        limits: &Limits,
    ) -> Result<(), ManageError> {
        let mut fields = Fields::default();
        fields.window(field, not_before, expires_at, self.now);
        match expires_at {
            None if limits.expiry_required => {
                fields.push(field, "required", "the organization's plan requires an expiry");
            }
            Some(expires_at) => {
                let longest = limits.longest_lifetime;
                let lifetime = expires_at.saturating_since(self.now);
                if let Some(longest) = longest.filter(|longest| lifetime > *longest) {
                    let longest = humantime::format_duration(longest);
                    fields.push(field, "too_late", format!("the organization's plan allows at most {longest}"));
                }
            }
            None => {}
        }
        fields.finish().map_err(ManageError::Invalid)
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expiry::Default => f.write_str("as the plan says"),
            Expiry::Never => f.write_str("never"),
            Expiry::At(moment) => write!(f, "at {moment:.0}"),
            Expiry::In(lifetime) => write!(f, "in {}", humantime::format_duration(*lifetime)),
        }
    }
}
