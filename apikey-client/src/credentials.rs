//! A program's credentials: which key is in force, and where it is kept.

use std::{env, path::PathBuf};

use apikey_core::{KeyFormat, PlaintextKey};
use etcetera::BaseStrategy;

use crate::{
    error::Error,
    host::Host,
    place::{self, FileStore, Keyring, Place, Storage},
};

/// The profile of those who name none.
const DEFAULT_PROFILE: &str = "default";

/// The key of a program, by host and profile.
///
/// ```
/// use apikey_client::{Credentials, KeyFormat};
///
/// let credentials = Credentials::for_service("registry")
///     .host("https://registry.example")
///     .env("REGISTRY_API_KEY")
///     .format(KeyFormat::builder("reg").environment("live").build()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A key is looked for in the environment, then in the keyring, then in the file. A host must be set.
#[derive(Clone, Debug)]
#[must_use]
pub struct Credentials {
    pub(crate) service: String,
    host: String,
    /// The host that the user chose instead.
    at: Option<String>,
    variable: Option<String>,
    profile: String,
    pub(crate) formats: Vec<KeyFormat>,
    management: String,
    plain_http: bool,
    folder: Option<PathBuf>,
    notice: fn(&str),
}

/// A key, and where it was found.
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundKey {
    /// The key.
    pub key: PlaintextKey,
    /// The place.
    pub place: Place,
}

impl Credentials {
    /// Creates the credentials of a service. The name is the keyring's entry and the folder of the file, such as `registry`.
    pub fn for_service(name: impl Into<String>) -> Self {
        Credentials {
            service: name.into(),
            host: String::new(),
            at: None,
            variable: None,
            profile: DEFAULT_PROFILE.to_owned(),
            formats: Vec::new(),
            management: "/keys/v1/".to_owned(),
            plain_http: false,
            folder: None,
            notice: |text| eprintln!("{text}"),
        }
    }

    /// Sets the service's own host, such as `https://registry.example`. Paths are relative to it.
    pub fn host(mut self, url: impl Into<String>) -> Self {
        self.host = url.into();
        self
    }

    /// Sets another host, which the user chose. It has keys of its own.
    pub fn at(mut self, url: impl Into<String>) -> Self {
        self.at = Some(url.into());
        self
    }

    /// Sets the environment variable that takes precedence.
    ///
    /// With another [host](Self::at) or [profile](Self::profile) its name continues: `REGISTRY_API_KEY_AT_LOCALHOST_3000`,
    /// `REGISTRY_API_KEY_FOR_WORK`. A key for one host is thereby never sent to another.
    pub fn env(mut self, variable: impl Into<String>) -> Self {
        self.variable = Some(variable.into());
        self
    }

    /// Sets the profile, such as `work`. The default is `default`.
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = name.into();
        self
    }

    /// Adds a format of the service's keys. Texts of no format are refused before they are sent anywhere.
    pub fn format(mut self, format: KeyFormat) -> Self {
        self.formats.push(format);
        self
    }

    /// Sets the path of the management API. The default is `/keys/v1/`.
    pub fn management(mut self, path: impl Into<String>) -> Self {
        self.management = path.into();
        self
    }

    /// Allows plain HTTP to hosts that aren't this machine. The default is `false`.
    ///
    /// # Security
    ///
    /// Everyone on the way can read the key.
    pub fn plain_http(mut self, allowed: bool) -> Self {
        self.plain_http = allowed;
        self
    }

    /// Sets the folder of files. The default is the service's in the user's configuration folder, such as `~/.config/registry`.
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folder = Some(path.into());
        self
    }

    /// Sets what becomes of warnings, such as the one for a key in a file. The default writes them to standard error.
    pub fn on_notice(mut self, notice: fn(&str)) -> Self {
        self.notice = notice;
        self
    }

    /// Returns the key in force.
    ///
    /// A key in a file is announced, each time.
    ///
    /// # Errors
    ///
    /// [`NotSignedIn`](Error::NotSignedIn) if there is none, [`NotAKey`](Error::NotAKey) for a text of no [format](Self::format).
    pub async fn key(&self) -> Result<FoundKey, Error> {
        let found = self.find().await?;
        self.check_form(&found.key)?;
        if let Place::File(path) = &found.place {
            self.notice(&format!("warning: the key in {} is not encrypted", path.display()));
        }
        if let Some(until) = self.interrupted()? {
            self.notice(&format!("warning: a rotation was interrupted; run `rotate` again before {until}"));
        }
        Ok(found)
    }

    /// Returns the key in force as it is, without a check or a warning.
    pub(crate) async fn find(&self) -> Result<FoundKey, Error> {
        if let Some((variable, key)) = self.in_environment()? {
            return Ok(FoundKey { key, place: Place::Environment(variable) });
        }
        let keyring = match self.keyring()?.get().await {
            Ok(Some(key)) => return Ok(FoundKey { key, place: Place::Keyring }),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let file = self.file()?;
        if let Some(key) = file.get()? {
            return Ok(FoundKey { key, place: Place::File(file.0) });
        }
        Err(Error::NotSignedIn { host: self.origin()?, variable: self.variable()?, keyring })
    }

    /// Returns the key of the environment, and its variable.
    fn in_environment(&self) -> Result<Option<(String, PlaintextKey)>, Error> {
        let Some(variable) = self.variable()? else { return Ok(None) };
        let Some(text) = env::var_os(&variable).filter(|text| !text.is_empty()) else { return Ok(None) };
        let key = text.into_string().ok().and_then(|text| PlaintextKey::try_from(text).ok());
        let key = key.ok_or_else(|| Error::Usage(format!("{variable}: not a key")))?;
        Ok(Some((variable, key)))
    }

    /// Checks prefix, length and checksum.
    pub(crate) fn check_form(&self, key: &PlaintextKey) -> Result<(), Error> {
        let text = key.expose_secret().as_bytes();
        // The verdict of the format whose prefix the key has tells more.
        let likely = self.formats.iter().find(|format| format.has_prefix(text)).or(self.formats.first());
        if self.formats.iter().any(|format| format.check(text).is_ok()) {
            return Ok(());
        }
        likely.map_or(Ok(()), |format| format.check(text).map(drop).map_err(Error::NotAKey))
    }

    pub(crate) async fn store(&self, key: &PlaintextKey, storage: Storage) -> Result<Place, Error> {
        match storage {
            Storage::Keyring => {
                let stored = self.keyring()?.set(key).await;
                stored.map_err(|source| self.keyring_error(source))?;
                Ok(Place::Keyring)
            }
            Storage::InsecureFile => {
                let file = self.file()?;
                file.set(key)?;
                Ok(Place::File(file.0))
            }
        }
    }

    pub(crate) fn keyring_error(&self, source: keyring_core::Error) -> Error {
        Error::Keyring { variable: self.variable().ok().flatten(), source }
    }

    /// The name of the environment variable.
    pub(crate) fn variable(&self) -> Result<Option<String>, Error> {
        let Some(name) = &self.variable else { return Ok(None) };
        let origin = self.origin()?;
        let own = Host::parse(&self.host, self.plain_http).ok();
        let other = Some(origin.as_str()).filter(|origin| own.is_none_or(|own| own.origin() != *origin));
        Ok(Some(place::variable(name, other, Some(self.profile.as_str()).filter(|name| *name != DEFAULT_PROFILE))))
    }

    pub(crate) fn chosen_host(&self) -> Result<Host, Error> {
        Host::parse(self.at.as_ref().unwrap_or(&self.host), self.plain_http)
    }

    pub(crate) fn origin(&self) -> Result<String, Error> {
        Ok(self.chosen_host()?.origin())
    }

    /// The path of an operation of the management API.
    pub(crate) fn operation(&self, name: &str) -> String {
        format!("{}/{name}", self.management.trim_end_matches('/'))
    }

    pub(crate) fn keyring(&self) -> Result<Keyring, Error> {
        let user = format!("{}@{}", self.profile, self.origin()?);
        Ok(Keyring { service: self.service.clone(), user })
    }

    pub(crate) fn file(&self) -> Result<FileStore, Error> {
        Ok(FileStore(self.path("key")?))
    }

    /// The path of a file of this host and profile.
    pub(crate) fn path(&self, extension: &str) -> Result<PathBuf, Error> {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => {
                let base = etcetera::choose_base_strategy().map_err(|error| Error::Usage(error.to_string()))?;
                base.config_dir().join(&self.service)
            }
        };
        Ok(folder.join(format!("{}.{extension}", place::file_name(&self.origin()?, &self.profile))))
    }

    pub(crate) fn notice(&self, text: &str) {
        (self.notice)(text);
    }
}
