//! The key file. It holds digests: whoever reads it can't call the service.

use std::{
    error::Error,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use axum_apikey::{KeyFormat, KeyHasher, NewStaticKey, StaticKeys, StaticKeysError};
use tempfile::NamedTempFile;

/// The keys in the file at `path`.
///
/// Where there is no such file yet, it is made with one key that may do everything. That key is returned as well, to be
/// shown: nobody can read it anywhere again.
pub(crate) fn open(path: &Path, format: &KeyFormat) -> Result<(StaticKeys, Option<NewStaticKey>), Box<dyn Error>> {
    let first_key = match fs::exists(path).map_err(|error| format!("{}: {error}", path.display()))? {
        true => None,
        false => create(path, format).map_err(|error| format!("{} can't be made: {error}", path.display()))?,
    };
    let keys = StaticKeys::from_file(path).map_err(|error| with_cause(&error))?;
    Ok((keys, first_key))
}

/// Makes the file, unless another process is faster.
fn create(path: &Path, format: &KeyFormat) -> Result<Option<NewStaticKey>, Box<dyn Error>> {
    let key = NewStaticKey::generate(format, &KeyHasher::sha256(), "bootstrap", ["*"])?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));

    // It gets its name once it is whole and on the disk, and only if nothing has that name by then. On Unix nobody but
    // the owner may read it.
    let mut draft = NamedTempFile::new_in(folder)?;
    draft.write_all(b"# API keys: an entry for each, with its digest. README.md tells how to add one.\n\n")?;
    draft.write_all(key.toml_entry().as_bytes())?;
    draft.as_file().sync_all()?;
    match draft.persist_noclobber(path) {
        Ok(_) => {}
        Err(late) if late.error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(failed) => return Err(failed.error.into()),
    }
    // The name must be on the disk, too. If that fails, the key is good all the same, for now.
    if cfg!(unix)
        && let Err(error) = File::open(folder).and_then(|folder| folder.sync_all())
    {
        tracing::warn!(%error, "the key file may not survive a crash");
    }
    Ok(Some(key))
}

fn with_cause(error: &StaticKeysError) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}
