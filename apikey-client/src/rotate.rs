//! Rotation: the stored key is replaced by a new one. It may be interrupted at any moment.
//!
//! 1. The place is written once with the old key, so that a locked keyring is noticed before anything changes.
//! 2. A note says until when the old key will be valid. It is removed at the end, and `key` warns while it stands.
//! 3. The service makes a new secret. The old one stays valid for the overlap.
//! 4. The new key is stored.
//!
//! Whoever is interrupted after 3 holds the old key. It rotates again, which ends the secret that nobody has stored.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::PathBuf,
    time::Duration,
};

use apikey_core::Timestamp;

use crate::{
    credentials::{Credentials, FoundKey},
    error::Error,
    place::{Place, Storage},
    service,
};

/// The result of a rotation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rotated {
    /// Where the new key is stored.
    pub place: Place,
    /// The time from which the old key is rejected, at the latest.
    pub old_ends_at: Timestamp,
}

impl Credentials {
    /// Replaces the stored key by a new one. The old one stays valid for `overlap`, 5 minutes or more.
    ///
    /// It can be interrupted at any moment: the stored key stays valid for `overlap`, and rotating again completes it. Until
    /// then [`key`](Credentials::key) warns.
    ///
    /// Give each machine a key of its own: if two rotate copies of the same key, the second ends the first one's new secret.
    ///
    /// # Errors
    ///
    /// [`Usage`](Error::Usage) if the key is in the environment, where nothing can be stored, or another process rotates it;
    /// those of [`key`](Credentials::key), of storing, and of the service.
    pub async fn rotate(&self, overlap: Duration) -> Result<Rotated, Error> {
        let mut lock = self.lock()?;
        let FoundKey { key, place } = self.find().await?;
        self.check_form(&key)?;
        let storage = match &place {
            Place::Environment(variable) => {
                return Err(Error::Usage(format!("the key is in {variable}, where a new one can't be stored")));
            }
            Place::Keyring => Storage::Keyring,
            Place::File(path) => {
                self.notice(&format!("warning: the key in {} is not encrypted", path.display()));
                Storage::InsecureFile
            }
        };
        self.store(&key, storage).await?;
        let old_ends_at = Timestamp::now().saturating_add(overlap);
        lock.note(old_ends_at)?;
        let client = self.client_with(&key)?;
        let new = match service::self_rotate(self, &client, overlap).await {
            // The service has refused, so nothing has changed.
            Err(error @ (Error::Rejected { .. } | Error::Refused { .. } | Error::TooManyRequests { .. })) => {
                lock.restore()?;
                return Err(error);
            }
            answer => answer?,
        };
        self.store(&new, storage).await?;
        lock.finish()?;
        Ok(Rotated { place, old_ends_at })
    }

    /// Returns until when an interrupted rotation can be completed.
    pub(crate) fn interrupted(&self) -> Result<Option<String>, Error> {
        let path = self.path("rotation")?;
        match fs::read_to_string(&path) {
            Ok(note) => Ok(Some(note.trim().to_owned()).filter(|note| !note.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(path)(error)),
        }
    }

    /// Keeps other processes from changing the stored key.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        let path = self.path("rotation")?;
        let open = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)
        };
        let mut file = open().map_err(Error::file(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Usage("another process is changing the stored key; try again".to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(Error::file(&path)(error)),
        }
        let mut before = String::new();
        file.read_to_string(&mut before).map_err(Error::file(&path))?;
        Ok(Lock { file, path, before })
    }
}

/// The lock on a stored key. Its file holds the note of a rotation that isn't complete.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
    before: String,
}

impl Lock {
    /// Notes a rotation that begins. An older note stays: the key that is stored may end by then.
    fn note(&mut self, until: Timestamp) -> Result<(), Error> {
        if self.before.is_empty() { self.write(&until.to_string()) } else { Ok(()) }
    }

    /// Removes the note of a rotation that didn't take place.
    fn restore(mut self) -> Result<(), Error> {
        let before = std::mem::take(&mut self.before);
        self.write(&before)
    }

    /// Removes the note: what is stored is the newest key.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.write("")
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        let mut write = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(text.as_bytes())?;
            self.file.sync_all()
        };
        write().map_err(Error::file(&self.path))
    }
}
