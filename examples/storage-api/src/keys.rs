//! The service's keys: where they are kept, what they look like, which environment they are for, and who makes the first.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    str::FromStr,
};

use apikey_sqlx::{Actor, IssuedKey, KeyManager, ManageError, NewKey, OrganizationId, SqlStore};
use axum_apikey::{BoxError, Checksum, KeyFormat, KeyFormatError};

use crate::{routes::Scopes, with_causes};

/// What the service is run for. The keys of one are refused in the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    Live,
    Test,
}

impl Environment {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Environment::Live => "live",
            Environment::Test => "test",
        }
    }

    fn other(self) -> Self {
        match self {
            Environment::Live => Environment::Test,
            Environment::Test => Environment::Live,
        }
    }

    fn format(self) -> Result<KeyFormat, KeyFormatError> {
        KeyFormat::builder("tsk").environment(self.name()).checksum(Checksum::Crc32).build()
    }
}

impl FromStr for Environment {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = [Environment::Live, Environment::Test].into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| format!("{name:?} is neither live nor test"))
    }
}

/// Opens the database at `url`, which gets its tables if it has none yet.
pub(crate) async fn open(url: &str, environment: Environment) -> Result<KeyManager, BoxError> {
    let store = SqlStore::connect(url).await.map_err(|error| format!("DATABASE_URL: {}", with_causes(&error)))?;
    let keys = KeyManager::builder(store)
        // The first format issues, so no key of the other environment is ever made here.
        .format(environment.format()?)
        // The other's keys are known for what they are: the log says `wrong_environment`, and not `malformed`.
        .format(environment.other().format()?)
        .catalog(Scopes::catalog())
        .authenticator(move |authenticator| authenticator.realm("storage").environments([environment.name()]))
        .build()?;
    Ok(keys)
}

/// The service itself, which may do everything with its keys. Those of an environment are of one organization: even in a
/// database that both share, whoever manages the keys of one can't see the other's. Where a service has customers, each
/// is an organization in each environment.
pub(crate) fn host(environment: Environment) -> Result<Actor, BoxError> {
    Ok(Actor::host("service", OrganizationId::new(environment.name())?)?)
}

/// Makes the first key, which may do everything; once in the life of the database, however many processes start.
pub(crate) async fn first(keys: &KeyManager, environment: Environment) -> Result<Option<IssuedKey>, BoxError> {
    Ok(keys.bootstrap(&host(environment)?, NewKey::new("bootstrap").scopes(["*"])).await?)
}

/// Shows the first key: on a terminal, if there is one, so that it gets into no log.
pub(crate) fn show(key: &IssuedKey, address: SocketAddr) {
    let secret = key.secret().expose_secret();
    let text = format!(
        "a key that may do everything, shown only now: {secret}\n\
         try it: curl -H \"Authorization: Bearer {secret}\" http://{address}/v1/environments"
    );
    if io::stdout().is_terminal() {
        println!("{text}");
    } else if io::stderr().is_terminal() {
        eprintln!("{text}");
    } else {
        println!("{text}");
        eprintln!("warning: without a terminal the key went to standard output, where a log may have kept it");
    }
}

/// Makes a key of this name, with these scopes. Services that run let it in at once.
pub(crate) async fn issue(
    keys: &KeyManager,
    environment: Environment,
    name: &str,
    scopes: &[&str],
) -> Result<IssuedKey, BoxError> {
    let key = NewKey::new(name).scopes(scopes.iter().copied());
    keys.issue(&host(environment)?, key).await.map_err(|error| match error {
        ManageError::Invalid(fields) if fields.iter().any(|field| field.field.starts_with("scopes")) => {
            let error = ManageError::Invalid(fields);
            let known: Vec<_> = keys.catalog().scopes().map(|(scope, _)| scope.as_str()).collect();
            format!("{error}; the scopes are {}, and * for all", known.join(", ")).into()
        }
        error => error.into(),
    })
}
