//! A file that holds a key. Only its owner can read it.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use apikey_core::PlaintextKey;
use tempfile::NamedTempFile;

use crate::error::Error;

/// Returns a file's name for a host and a profile, in which only `A-Za-z0-9.-` stand for themselves.
pub(crate) fn file_name(origin: &str, profile: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let escaped = |text: &str| {
        text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect::<String>()
    };
    format!("{}@{}", escaped(profile), escaped(origin))
}

/// The file of one host and profile.
#[derive(Debug)]
pub(crate) struct FileStore(pub(crate) PathBuf);

impl FileStore {
    /// Reads the key.
    ///
    /// # Errors
    ///
    /// If others may read the file, among the system's errors.
    pub(crate) fn get(&self) -> Result<Option<PlaintextKey>, Error> {
        let text = match check_mode(&self.0).and_then(|()| fs::read_to_string(&self.0)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(&self.0)(error)),
        };
        let key = PlaintextKey::try_from(text).map_err(io::Error::other);
        key.map(Some).map_err(Error::file(&self.0))
    }

    /// Replaces the file as a whole, so that a reader sees the old key or the new one, also after a crash.
    pub(crate) fn set(&self, key: &PlaintextKey) -> Result<(), Error> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
        let write = || {
            // Of mode 0600 from the beginning.
            let mut file = NamedTempFile::new_in(folder)?;
            file.write_all(key.expose_secret().as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.0)?;
            sync_folder(folder)
        };
        write().map_err(Error::file(&self.0))
    }

    /// Removes the file. Returns `true` if there was one.
    pub(crate) fn remove(&self) -> Result<bool, Error> {
        match fs::remove_file(&self.0) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::file(&self.0)(error)),
        }
    }
}

#[cfg(unix)]
fn check_mode(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        ErrorKind::PermissionDenied,
        "others may read this key: rotate it, and run chmod 600 on the file",
    ))
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The new name of a file is on disk only once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn given_hosts_and_profiles_when_named_then_no_two_share_a_file() {
        let names: HashSet<_> = [("a", "b"), ("a@b", ""), ("", "a@b"), ("a%40b", ""), ("../a", "b"), ("a/b", "")]
            .map(|(host, profile)| file_name(host, profile))
            .into();
        assert_eq!(names.len(), 6);
        assert!(names.iter().all(|name| !name.contains('/')), "{names:?}");
    }

    #[cfg(unix)]
    #[test]
    fn given_a_file_that_others_may_read_when_read_then_it_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = FileStore(folder.path().join("keys/one"));
        file.set(&"acme_1".parse().unwrap()).unwrap();
        assert_eq!(fs::metadata(&file.0).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.get().unwrap().unwrap().expose_secret(), "acme_1");
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&file.0, fs::Permissions::from_mode(mode)).unwrap();
            assert!(file.get().is_err(), "{mode:o}");
        }
    }
}
