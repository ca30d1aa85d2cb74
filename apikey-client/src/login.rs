//! Signing in: a key is read, checked, verified by the service, and only then stored.

use std::io::{self, IsTerminal, Read};

use apikey_core::PlaintextKey;
use reqwest::StatusCode;

use crate::{
    credentials::Credentials,
    error::Error,
    place::{Place, Storage},
    service::{self, Caller},
};

/// Where `login` reads the key. Never an argument: other users see the arguments of all processes, and shells remember them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySource {
    /// The terminal, without echo.
    #[default]
    Terminal,
    /// Standard input, up to its end.
    StandardInput,
}

/// The result of signing in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Login {
    /// The caller, as the service sees it.
    pub caller: Caller,
    /// Where the key is stored.
    pub place: Place,
}

impl Credentials {
    /// Signs in.
    ///
    /// # Errors
    ///
    /// If the key can't be read, isn't a key of this service, is rejected by it, or can't be stored. Then nothing is stored.
    pub async fn login(&self, source: KeySource, storage: Storage) -> Result<Login, Error> {
        let origin = self.origin()?;
        let key = read(source, &origin)?;
        self.check_form(&key)?;
        let client = self.client_with(&key)?;
        let caller = service::whoami(self, &client).await.map_err(|error| match error {
            Error::Rejected { .. } => Error::Refused {
                status: StatusCode::UNAUTHORIZED,
                detail: format!("{origin} doesn't accept this key; nothing is stored"),
            },
            error => error,
        })?;
        let lock = self.lock()?;
        let place = self.store(&key, storage).await?;
        lock.finish()?;
        if let Place::File(path) = &place {
            self.notice(&format!("warning: the key is stored in {}, which is not encrypted", path.display()));
            // The keyring comes first, so an older key there would win.
            let _ = self.keyring()?.remove().await;
        } else {
            self.file()?.remove()?;
        }
        if let Some(variable) =
            self.variable()?.filter(|name| std::env::var_os(name).is_some_and(|key| !key.is_empty()))
        {
            self.notice(&format!("warning: {variable} is set and takes precedence over the stored key"));
        }
        Ok(Login { caller, place })
    }
}

fn read(source: KeySource, origin: &str) -> Result<PlaintextKey, Error> {
    let text = match source {
        KeySource::Terminal if !io::stdin().is_terminal() => {
            return Err(Error::Usage(
                "standard input is no terminal: use --with-token to read the key from it".to_owned(),
            ));
        }
        KeySource::Terminal => rpassword::prompt_password(format!("API key for {origin}: ")).map_err(Error::Input)?,
        KeySource::StandardInput => {
            let mut text = String::with_capacity(1024);
            io::stdin().take(1024).read_to_string(&mut text).map_err(Error::Input)?;
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
            text
        }
    };
    PlaintextKey::try_from(text).map_err(|error| Error::Input(io::Error::other(error)))
}
