//! A file of key records. It contains digests, so that its readers can't use the keys.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum_apikey::{
    BoxError, KeyDigest, KeyFormat, KeyHasher, KeyId, KeyOutput, PlaintextKey, PresentedKey, Resolution, Resolver,
    ScopeSet, Timestamp,
};
use tempfile::NamedTempFile;

use crate::{
    key_format,
    record::{Record, RecordError, Status},
};

/// All keys. Clones share them.
#[derive(Clone, Debug)]
pub struct KeyStore(Arc<Store>);

#[derive(Debug)]
struct Store {
    path: PathBuf,
    format: KeyFormat,
    records: Mutex<BTreeMap<KeyId, Record>>,
}

/// The error of a change.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A key with this id exists.
    #[error("there is a key of this id")]
    Exists,
    /// No key has this id.
    #[error("there is no key of this id")]
    Unknown,
    /// The file can't be written, or a key can't be generated.
    #[error("the change can't be kept")]
    Failed(#[source] BoxError),
}

impl KeyStore {
    /// Opens the file at `path`. A missing file is created with the operator's key, which has all scopes and is shown
    /// on `output`.
    ///
    /// # Errors
    ///
    /// Returns an error if the file can't be read or created, or if the key can't be shown.
    pub fn open(path: &Path, output: &KeyOutput) -> anyhow::Result<Self> {
        let (is_new, records): (bool, Vec<Record>) = match fs::read(path) {
            Ok(text) => (false, serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (true, Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let records = records.into_iter().map(|record| (record.id.clone(), record)).collect();
        let store =
            KeyStore(Arc::new(Store { path: path.to_owned(), format: key_format()?, records: Mutex::new(records) }));
        if is_new {
            output.check()?;
            let key = store.issue(KeyId::new("operator")?, String::new(), ScopeSet::parse("*")?, None)?;
            output.show("operator", &key)?;
        }
        Ok(store)
    }

    /// Returns the record that is stored under one of `digests`.
    #[must_use]
    pub fn find(&self, digests: &[KeyDigest]) -> Option<Record> {
        self.records().values().find(|record| digests.contains(&record.digest)).cloned()
    }

    /// Creates a key and returns it. It can't be read again.
    ///
    /// # Errors
    ///
    /// Returns an error if the id is taken, or if the key can't be generated or stored.
    pub fn issue(
        &self,
        id: KeyId,
        name: String,
        scopes: ScopeSet,
        expires_at: Option<Timestamp>,
    ) -> Result<PlaintextKey, StoreError> {
        let key = self.0.format.generate().map_err(failed)?;
        let digest = KeyHasher::sha256().digest(&key);
        let scopes = scopes.iter().map(str::to_owned).collect();
        let record = Record { digest, id: id.clone(), name, scopes, status: Status::Active, expires_at };
        self.change(|records| match records.insert(id, record) {
            Some(_) => Err(StoreError::Exists),
            None => Ok(()),
        })?;
        Ok(key)
    }

    /// Revokes a key permanently.
    ///
    /// # Errors
    ///
    /// Returns an error if no key has this id, or if the change can't be stored.
    pub fn revoke(&self, id: &KeyId) -> Result<(), StoreError> {
        self.change(|records| {
            records.get_mut(id).ok_or(StoreError::Unknown)?.status = Status::Revoked;
            Ok(())
        })
    }

    /// A change is on the disk before it is visible.
    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<KeyId, Record>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut records = self.records();
        let mut changed = records.clone();
        change(&mut changed)?;
        self.save(&changed).map_err(failed)?;
        *records = changed;
        Ok(())
    }

    fn save(&self, records: &BTreeMap<KeyId, Record>) -> io::Result<()> {
        let path = &self.0.path;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // It replaces the old file once it is complete. On Unix, only the owner can read it.
        let mut draft = NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut draft, &records.values().collect::<Vec<_>>())?;
        draft.as_file().sync_all()?;
        draft.persist(path)?;
        Ok(())
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<KeyId, Record>> {
        self.0.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The verifier's own callers are verified with the same keys.
impl Resolver for KeyStore {
    type Error = RecordError;

    async fn resolve(&self, key: &PresentedKey) -> Result<Option<Resolution>, RecordError> {
        self.find(key.digests()).map(Resolution::try_from).transpose()
    }
}

fn failed(error: impl Into<BoxError>) -> StoreError {
    StoreError::Failed(error.into())
}
