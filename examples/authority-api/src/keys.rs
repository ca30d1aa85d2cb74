//! The service's keys: where they are kept, what they look like, and who makes the first.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
};

use actix_apikey::{Alphabet, BoxError, Checksum, KeyFormat};
use apikey_sqlx::{Actor, IssuedKey, KeyManager, ManageError, NewKey, OrganizationId, SqlStore};

use crate::{routes, with_causes};

/// Opens the database at `url`, which gets its tables if it has none yet.
pub(crate) async fn open(url: &str) -> Result<KeyManager, BoxError> {
    let store = SqlStore::connect(url).await.map_err(|error| format!("DATABASE_URL: {}", with_causes(&error)))?;
    // `tc_` and 43 characters: 256 random bits as base64url, and nothing else.
    let format =
        KeyFormat::builder("tc").alphabet(Alphabet::Base64Url).entropy_bits(256).checksum(Checksum::None).build()?;
    let keys = KeyManager::builder(store)
        .format(format)
        .catalog(routes::catalog()?)
        .authenticator(|authenticator| authenticator.realm("authority"))
        .build()?;
    Ok(keys)
}

/// The service itself, which may do everything with its keys. All of them are of one organization: where a service has
/// customers, each is one, and a column of its own tables.
pub(crate) fn host() -> Result<Actor, BoxError> {
    Ok(Actor::host("service", OrganizationId::new("main")?)?)
}

/// Makes the first key, which may do everything; once in the life of the database, however many processes start.
pub(crate) async fn first(keys: &KeyManager) -> Result<Option<IssuedKey>, BoxError> {
    Ok(keys.bootstrap(&host()?, NewKey::new("bootstrap").scopes(["admin"])).await?)
}

/// Shows the first key: on a terminal, if there is one, so that it gets into no log.
pub(crate) fn show(key: &IssuedKey, address: SocketAddr) {
    let secret = key.secret().expose_secret();
    let text = format!(
        "a key that may do everything, shown only now: {secret}\n\
         try it: curl -H \"Authorization: Bearer {secret}\" http://{address}/revocations"
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
pub(crate) async fn issue(keys: &KeyManager, name: &str, scopes: &[&str]) -> Result<IssuedKey, BoxError> {
    let key = NewKey::new(name).scopes(scopes.iter().copied());
    keys.issue(&host()?, key).await.map_err(|error| match error {
        ManageError::Invalid(fields) if fields.iter().any(|field| field.field.starts_with("scopes")) => {
            let error = ManageError::Invalid(fields);
            let roles: Vec<_> = keys.catalog().roles().map(|(role, _)| role).collect();
            let scopes: Vec<_> = keys.catalog().scopes().map(|(scope, _)| scope.as_str()).collect();
            format!("{error}; the scopes are {}, the roles {}", scopes.join(", "), roles.join(", ")).into()
        }
        error => error.into(),
    })
}
