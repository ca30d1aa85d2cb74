//! Whether a program is signed in: the place of the key and its hint, never the key.

use std::fmt;

use apikey_core::{KeyFormat, PlaintextKey};

use crate::{
    credentials::{Credentials, FoundKey},
    error::Error,
    place::Place,
    service::{self, Caller},
};

/// The key in force, without its text.
#[derive(Debug)]
#[non_exhaustive]
pub struct Status {
    /// The host, such as `https://registry.example`.
    pub host: String,
    /// Where the key is.
    pub place: Place,
    /// The beginning and the end of the key, or nothing for a short one.
    pub hint: String,
    /// The caller, as the service sees it.
    pub caller: Caller,
}

impl Credentials {
    /// Returns where the key in force is, and asks the service whose it is.
    ///
    /// # Errors
    ///
    /// Those of [`key`](Credentials::key), and [`Rejected`](Error::Rejected) if the service rejects the key.
    pub async fn status(&self) -> Result<Status, Error> {
        let FoundKey { key, place } = self.key().await?;
        let caller = service::whoami(self, &self.client_with(&key)?).await?;
        Ok(Status { host: self.origin()?, place, hint: self.hint(&key), caller })
    }

    /// Returns the beginning and the end of a key.
    pub(crate) fn hint(&self, key: &PlaintextKey) -> String {
        let parsed =
            self.formats.iter().find_map(|format| Some((format, format.check(key.expose_secret().as_bytes()).ok()?)));
        match parsed {
            Some((format, parsed)) => format.hint(key, parsed.environment()),
            None => KeyFormat::legacy(1..=512).map(|format| format.hint(key, None)).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { host, place, hint, caller } = self;
        write!(f, "{host}: signed in")?;
        if let Some(key) = &caller.key {
            write!(f, " with {:?}", key.name)?;
        }
        write!(f, " of {}\n  key: {hint} from {place}", caller.organization)?;
        if !caller.scopes.is_empty() {
            write!(f, "\n  scopes: {}", caller.scopes)?;
        }
        if let Some(end) = caller.expires_at {
            write!(f, "\n  expires: {end}")?;
        }
        Ok(())
    }
}
