//! The operating system's keyring, by the store that each system has.
//!
//! Calls may wait for a person who unlocks the keyring, so they run on a thread of their own.

use std::{panic::resume_unwind, sync::Arc};

use apikey_core::PlaintextKey;
use keyring_core::{CredentialStore, Entry, Error, Result};
use tokio::task::spawn_blocking;

/// The keyring's entry of one host and profile.
#[derive(Clone, Debug)]
pub(crate) struct Keyring {
    pub(crate) service: String,
    pub(crate) user: String,
}

impl Keyring {
    /// Reads the key.
    pub(crate) async fn get(&self) -> Result<Option<PlaintextKey>> {
        let found = self.with(|entry| match entry.get_password() {
            Ok(text) => Ok(Some(text)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        });
        let key =
            |text: String| PlaintextKey::try_from(text).map_err(|error| Error::BadDataFormat(Vec::new(), error.into()));
        found.await?.map(key).transpose()
    }

    /// Stores the key.
    pub(crate) async fn set(&self, key: &PlaintextKey) -> Result<()> {
        let key = key.expose_secret().parse::<PlaintextKey>().map_err(|error| Error::PlatformFailure(error.into()))?;
        self.with(move |entry| entry.set_password(key.expose_secret())).await
    }

    /// Removes the key. Returns `true` if there was one.
    pub(crate) async fn remove(&self) -> Result<bool> {
        self.with(|entry| match entry.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }

    async fn with<T: Send + 'static>(&self, act: impl FnOnce(Entry) -> Result<T> + Send + 'static) -> Result<T> {
        let Keyring { service, user } = self.clone();
        let done = spawn_blocking(move || act(store()?.build(&service, &user, None)?)).await;
        done.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(error) => Err(Error::PlatformFailure(error.into())),
        })
    }
}

#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios", target_os = "android"))))]
fn store() -> Result<Arc<CredentialStore>> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn store() -> Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn store() -> Result<Arc<CredentialStore>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(windows, all(unix, not(any(target_os = "ios", target_os = "android"))))))]
fn store() -> Result<Arc<CredentialStore>> {
    Err(Error::NotSupportedByStore("this system has no keyring that is supported".to_owned()))
}
