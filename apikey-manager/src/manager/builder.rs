//! The configuration of a manager. `build` reports every mistake.

use std::{env, fmt, future::Future, sync::Arc, time::Duration};

use apikey_core::{
    Authenticator, AuthenticatorBuilder, BoxError, Clock, ConfigError, KeyFormat, KeyHasher, OrganizationId,
    PepperError, ScopeCatalog,
};

use apikey_fleet::InvalidLease;
use tokio::runtime::Handle;

use super::{
    Background, KeyManager, ReadSettings, Shared, event_ids::EventIds, readers::Readers, write_queue::WriteQueue,
};
use crate::{
    activity::{ActivityLog, ActivitySettings},
    alerts::{Alert, WebhookSender},
    courier::{Courier, Outlets},
    events::Thresholds,
    fleet::{Fleet, Gate, Membership, Part, State},
    floor::Floor,
    limits::{Limits, LimitsOf},
    resolver::{LOOKUPS, StoreResolver},
    rights::management_scopes,
    store::{KeyStore, StoreError},
    sweep::{Retention, Sweep, SweepSettings},
    usage::{UsageSettings, write_usage},
};

/// The error for a manager that can't be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No format was given.
    #[error("format: a key format is required")]
    NoFormat,
    /// The first format can't issue keys.
    #[error("format: the first one must be able to issue keys")]
    VerifyOnly,
    /// A setting of the authenticator is invalid.
    #[error(transparent)]
    Authenticator(#[from] ConfigError),
    /// An environment variable is invalid.
    #[error("{variable}: {reason}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// The mistake.
        reason: String,
    },
    /// The peppers are invalid.
    #[error(transparent)]
    Pepper(#[from] PepperError),
    /// The lease is out of range.
    #[error("fleet: {0}")]
    Fleet(String),
    /// The thread that renews the lease did not start.
    #[error(transparent)]
    Thread(StoreError),
    /// There is no tokio runtime.
    #[error("a manager must be built within a tokio runtime")]
    NoRuntime,
}

impl From<InvalidLease> for BuildError {
    fn from(error: InvalidLease) -> Self {
        BuildError::Fleet(error.to_string())
    }
}

type Configure = Box<dyn FnOnce(AuthenticatorBuilder) -> AuthenticatorBuilder + Send>;

/// Builds a [`KeyManager`].
#[must_use]
pub struct KeyManagerBuilder {
    store: Arc<dyn KeyStore>,
    formats: Vec<KeyFormat>,
    hasher: KeyHasher,
    catalog: Option<ScopeCatalog>,
    limits: LimitsOf,
    clock: Clock,
    reads: ReadSettings,
    usage: UsageSettings,
    activity: Option<ActivitySettings>,
    sweep: SweepSettings,
    outlets: Outlets,
    configure: Configure,
    part: Option<ChosenPart>,
}

/// The part among the processes on the database; by default, it is up to the store.
enum ChosenPart {
    Member(Fleet),
    Alone,
    Visitor,
}

impl KeyManagerBuilder {
    pub(crate) fn new(store: Arc<dyn KeyStore>) -> Self {
        KeyManagerBuilder {
            store,
            formats: Vec::new(),
            hasher: KeyHasher::sha256(),
            catalog: None,
            limits: LimitsOf::default(),
            clock: Clock::system(),
            reads: ReadSettings::new(),
            usage: UsageSettings::new(),
            activity: None,
            sweep: SweepSettings::default(),
            outlets: Outlets::default(),
            configure: Box::new(|builder| builder),
            part: None,
        }
    }

    /// Sets how this process keeps in step with others on the same database. It does so by default
    /// ([`Fleet::new`]) if the store can be opened by several: a revocation in one holds in all when it returns.
    pub fn fleet(mut self, fleet: Fleet) -> Self {
        self.part = Some(ChosenPart::Member(fleet));
        self
    }

    /// Declares that no other process uses the database, so that requests go on from the cache, for the cache's lifetime,
    /// while it doesn't answer.
    ///
    /// Two such processes would not hear of each other's revocations. One that starts while others are on the database,
    /// or one that joins while such a process is there, answers 503 and logs why. A deployment that starts the new
    /// process before it ends the old one has two. One that was killed blocks those that join until another such process
    /// was started and shut down.
    pub fn alone(mut self) -> Self {
        self.part = Some(ChosenPart::Alone);
        self
    }

    /// Declares that this process only manages keys, such as a command: its authenticator answers every request with a 503,
    /// and no other process waits for it. Its changes wait for the others. It doesn't look for what is due and prunes
    /// nothing. What it does to keys is told by the processes that serve requests, as if one of them had done it.
    pub fn without_requests(mut self) -> Self {
        self.part = Some(ChosenPart::Visitor);
        self
    }

    /// Accepts keys of this format. The first format issues.
    pub fn format(mut self, format: KeyFormat) -> Self {
        self.formats.push(format);
        self
    }

    /// Sets the hasher of keys. The default is plain SHA-256.
    pub fn hasher(mut self, hasher: KeyHasher) -> Self {
        self.hasher = hasher;
        self
    }

    /// Sets the scopes that keys can be granted. Without a catalog any well-formed scope can.
    pub fn catalog(mut self, catalog: ScopeCatalog) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// Sets the provider of organizations' limits. It is called before every operation that might exceed them. If it
    /// fails, the operation fails.
    ///
    /// ```
    /// # use apikey_manager::{KeyManager, Limits, MemoryStore};
    /// let builder = KeyManager::builder(MemoryStore::new()).limits(async |organization| {
    ///     let plan_of = |_| "free"; // SELECT plan FROM …
    ///     Ok(match plan_of(organization) {
    ///         "free" => Limits::new().keys(3),
    ///         _ => Limits::new(),
    ///     })
    /// });
    /// ```
    pub fn limits<F, Fut>(mut self, limits: F) -> Self
    where
        F: Fn(OrganizationId) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Limits, BoxError>> + Send + 'static,
    {
        self.limits = LimitsOf::new(limits);
        self
    }

    /// Sets the clock. The default is the system's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Changes settings of the authenticator, such as its realm, its headers and its cache. The manager sets format,
    /// hasher, catalog and clock.
    ///
    /// ```
    /// # use apikey_manager::{KeyManager, MemoryStore};
    /// let builder = KeyManager::builder(MemoryStore::new()).authenticator(|builder| builder.realm("files"));
    /// ```
    pub fn authenticator(
        mut self,
        configure: impl FnOnce(AuthenticatorBuilder) -> AuthenticatorBuilder + Send + 'static,
    ) -> Self {
        self.configure = Box::new(configure);
        self
    }

    /// Sets the bounds on concurrent reads. [`ReadSettings::new`] has the defaults.
    pub fn reads(mut self, settings: ReadSettings) -> Self {
        self.reads = settings;
        self
    }

    /// Sets how usage is written. The default is every five seconds.
    pub fn usage(mut self, settings: UsageSettings) -> Self {
        self.usage = settings;
        self
    }

    /// Records each request of a key. The default is off.
    pub fn activity(mut self, settings: ActivitySettings) -> Self {
        self.activity = Some(settings);
        self
    }

    /// Sets how long usage, activity and audit events are kept.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.sweep.retention = retention;
        self
    }

    /// Sets the thresholds of alerts for organizations that have set none of their own.
    pub fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.sweep.thresholds = thresholds;
        self
    }

    /// Sets the interval at which all keys are checked for due events: at least a second, five minutes by default. One
    /// of several nodes does it.
    pub fn sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep.interval = interval.max(Duration::from_secs(1));
        self
    }

    /// Sets the host's handler of alerts, of every organization: to write a mail, or to a chat. Set it in every process that
    /// serves requests.
    ///
    /// Alerts are written with what they tell of, and delivered at least once, by one of the processes: one after another,
    /// each within 60 seconds. If the handler fails, panics or takes too long, it gets the alert again, until it has accepted
    /// it or the alert is [pruned](Retention::alerts). The [`id`](Alert::id) tells repetitions.
    ///
    /// ```
    /// # use apikey_manager::{Alert, KeyManager, MemoryStore};
    /// let builder = KeyManager::builder(MemoryStore::new()).on_alert(async |alert: Alert| {
    ///     println!("{} {}: {}", alert.id, alert.event.organization(), alert.event.name()); // or write a mail
    ///     Ok(())
    /// });
    /// ```
    pub fn on_alert<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Alert) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.outlets.host = Some(Arc::new(move |alert| Box::pin(handler(alert))));
        self
    }

    /// Lets organizations have webhooks, which this sends. `apikey-webhooks` has a sender over HTTPS. Set it in every process
    /// that serves requests.
    pub fn webhooks(mut self, sender: impl WebhookSender) -> Self {
        self.outlets.sender = Some(Arc::new(sender));
        self
    }

    /// Reads settings from environment variables, if they are set: `API_KEY_PREFIX` and `API_KEY_ENVIRONMENTS` (names,
    /// separated by commas) add a format, and `API_KEY_PEPPERS` is parsed by [`KeyHasher::parse`].
    ///
    /// # Errors
    ///
    /// Returns an error that names the variable if one is malformed.
    pub fn from_env(mut self) -> Result<Self, BuildError> {
        let read = |variable: &'static str| match env::var(variable) {
            Ok(text) => Ok(Some(text)),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => {
                Err(BuildError::Variable { variable, reason: "the variable is not UTF-8".to_owned() })
            }
        };
        if let Some(prefix) = read("API_KEY_PREFIX")? {
            let mut format = KeyFormat::builder(prefix);
            for environment in read("API_KEY_ENVIRONMENTS")?.iter().flat_map(|names| names.split(',')) {
                format = format.environment(environment.trim());
            }
            let reason = |error: apikey_core::KeyFormatError| error.to_string();
            let format = format
                .build()
                .map_err(|error| BuildError::Variable { variable: "API_KEY_PREFIX", reason: reason(error) })?;
            self.formats.push(format);
        }
        if env::var_os("API_KEY_PEPPERS").is_some() {
            self.hasher = KeyHasher::from_env("API_KEY_PEPPERS")?;
        }
        Ok(self)
    }

    /// Builds the manager. Its operations, lookups and writes run on the current tokio runtime, which must live as
    /// long.
    ///
    /// # Errors
    ///
    /// Returns an error if no format can issue, a setting is out of range, or there is no tokio runtime.
    pub fn build(self) -> Result<KeyManager, BuildError> {
        let KeyManagerBuilder {
            store,
            formats,
            hasher,
            catalog,
            limits,
            clock,
            reads,
            usage,
            activity,
            sweep,
            outlets,
            configure,
            part,
        } = self;
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let format = formats.first().ok_or(BuildError::NoFormat)?.clone();
        if !format.can_issue() {
            return Err(BuildError::VerifyOnly);
        }
        let knows_all_scopes = catalog.is_some();
        let own = management_scopes().unwrap_or_default();
        let catalog = catalog.unwrap_or_default().merge(own);
        let part = match part {
            Some(ChosenPart::Alone) if store.fleet().is_shared() => Part::Alone,
            Some(ChosenPart::Visitor) => Part::Visitor,
            Some(ChosenPart::Member(fleet)) => Part::member(&fleet)?,
            None if store.fleet().is_shared() => Part::member(&Fleet::new())?,
            _ => Part::Only,
        };
        let is_visitor = matches!(part, Part::Visitor);
        let floor = if matches!(part, Part::Only) { Floor::only() } else { Arc::default() };
        let resolver = Arc::new(StoreResolver::new(Arc::clone(&store), Arc::clone(&floor), runtime.clone()));
        let state = State::new(floor);
        // Many lookups share one statement, so far more of them may wait than a store could answer one by one.
        let mut builder = configure(Authenticator::builder(Arc::clone(&resolver)).resolver_concurrency(LOOKUPS));
        if !matches!(part, Part::Only) {
            builder = builder.trust_gate(Gate(Arc::clone(&state)));
        }
        for format in &formats {
            builder = builder.format(format.clone());
        }
        let activity = activity.map(|settings| ActivityLog::start(Arc::clone(&store), settings));
        if let Some(log) = &activity {
            builder = builder.activity_sink(Arc::new(log.clone()));
        }
        let builder = builder.hasher(hasher.clone()).catalog(catalog.clone()).clock(clock.clone());
        let authenticator = builder.count_usage(true).build()?;
        let courier = Arc::new(Courier::start(Arc::clone(&store), clock.clone(), outlets));
        let thresholds = sweep.thresholds.clone();
        let of_requests = (&authenticator, clock.clone());
        let membership =
            Membership::begin(part, Arc::clone(&state), Arc::clone(&store), resolver, of_requests, &runtime)
                .map_err(BuildError::Thread)?;
        let background = Background {
            usage: write_usage(Arc::clone(&store), authenticator.clone(), usage, state),
            activity,
            sweep: (!is_visitor).then(|| Sweep::start(Arc::clone(&store), clock.clone(), sweep, Arc::clone(&courier))),
        };
        Ok(KeyManager(Arc::new(Shared {
            store,
            authenticator,
            format,
            formats,
            hasher,
            catalog,
            knows_all_scopes,
            limits,
            clock,
            courier,
            is_visitor,
            thresholds,
            background,
            membership,
            write_queue: WriteQueue::default(),
            readers: Readers::new(reads),
            webhook_tests: Readers::new(ReadSettings::new().per_organization(1)),
            event_ids: EventIds::default(),
            checked: Arc::default(),
            runtime,
        })))
    }
}

impl fmt::Debug for KeyManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyManagerBuilder")
            .field("store", &self.store)
            .field("formats", &self.formats)
            .finish_non_exhaustive()
    }
}
