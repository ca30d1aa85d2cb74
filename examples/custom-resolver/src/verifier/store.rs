//! Keys, as a file of their records. It holds digests: whoever reads it can't call anything.

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

/// Why the keys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is a key of this id.
    #[error("there is a key of this id")]
    Exists,
    /// There is no key of this id.
    #[error("there is no key of this id")]
    Unknown,
    /// The file can't be written, or no key be made.
    #[error("the change can't be kept")]
    Failed(#[source] BoxError),
}

impl KeyStore {
    /// The keys in the file at `path`. Where there is no such file yet, it is made with the operator's key, which may do
    /// everything and is shown on `output`.
    ///
    /// # Errors
    ///
    /// When the file can't be read or made, or the key not be shown.
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

    /// The record that is stored under one of `digests`.
    #[must_use]
    pub fn find(&self, digests: &[KeyDigest]) -> Option<Record> {
        self.records().values().find(|record| digests.contains(&record.digest)).cloned()
    }

    /// Makes a key. It is told now, and never again.
    ///
    /// # Errors
    ///
    /// When there is a key of this id, or the new one can't be made or kept.
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

    /// Ends a key for good.
    ///
    /// # Errors
    ///
    /// When there is none of this id, or that can't be kept.
    pub fn revoke(&self, id: &KeyId) -> Result<(), StoreError> {
        self.change(|records| {
            records.get_mut(id).ok_or(StoreError::Unknown)?.status = Status::Revoked;
            Ok(())
        })
    }

    /// What is changed is on the disk before anyone sees it.
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
        // It replaces the old file once it is whole. On Unix nobody but the owner may read it.
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

/// The verifier verifies its own callers, too.
impl Resolver for KeyStore {
    type Error = RecordError;

    async fn resolve(&self, key: &PresentedKey) -> Result<Option<Resolution>, RecordError> {
        self.find(key.digests()).map(Resolution::try_from).transpose()
    }
}

fn failed(error: impl Into<BoxError>) -> StoreError {
    StoreError::Failed(error.into())
}
