//! A key file that is made at the first start, with one key in it.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::Path,
};

use tempfile::NamedTempFile;

use super::{NewStaticKey, Problem, StaticKeys, StaticKeysError};
use crate::key::{KeyFormat, KeyHasher, KeyOutput};

const FIRST: &str = "bootstrap";

impl StaticKeys {
    /// Reads keys from the TOML file at `path`, which is made if it does not exist.
    ///
    /// A new file holds the digest of one key, `bootstrap`, with the scope `*`. The key itself is shown on `output`,
    /// once. The file gets its name when it is complete and on the disk. On Unix only its owner can read it (mode
    /// 0600). Of processes that start at once, one makes the file and shows its key.
    ///
    /// ```
    /// use apikey_core::{KeyFormat, KeyOutput, StaticKeys};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("api-keys.toml");
    /// # let output = KeyOutput::File(folder.path().join("first-key"));
    /// let format = KeyFormat::builder("acme").environment("live").build()?;
    /// let keys = StaticKeys::open_or_create(&path, &format, &output)?;
    /// assert_eq!(keys.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The digest is SHA-256 without a pepper.
    ///
    /// # Errors
    ///
    /// Returns an error if the key can't be shown on `output` or the file can't be created; no file is left then.
    /// Otherwise as [`from_file`](StaticKeys::from_file).
    #[cfg_attr(docsrs, doc(cfg(feature = "toml")))]
    pub fn open_or_create(
        path: impl AsRef<Path>,
        format: &KeyFormat,
        output: &KeyOutput,
    ) -> Result<Self, StaticKeysError> {
        let path = path.as_ref();
        if let Ok(false) = fs::exists(path) {
            create(path, format, output).map_err(|cause| StaticKeysError {
                file: Some(path.display().to_string()),
                cause: Some(cause),
                ..StaticKeysError::of(Problem::NotMade)
            })?;
        }
        StaticKeys::from_file(path)
    }
}

fn create(path: &Path, format: &KeyFormat, output: &KeyOutput) -> io::Result<()> {
    output.check()?;
    let key = NewStaticKey::generate(format, &KeyHasher::sha256(), FIRST, ["*"]).map_err(io::Error::other)?;
    let folder = KeyOutput::folder(path);
    let mut draft = NamedTempFile::new_in(folder)?;
    draft.write_all(b"# API keys: a table for each, with its digest.\n\n")?;
    draft.write_all(key.toml_entry().as_bytes())?;
    draft.as_file().sync_all()?;
    match draft.persist_noclobber(path) {
        Ok(_) => {}
        // Another process was faster, and shows its key.
        Err(late) if late.error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(failed) => return Err(failed.error),
    }
    // The name has to be on the disk, too. Not every file system can do this for a folder.
    if cfg!(unix)
        && let Err(error) = File::open(folder).and_then(|folder| folder.sync_all())
    {
        tracing::warn!(target: "apikey", %error, "the key file may not survive a crash");
    }
    // A key that nobody saw must not stay.
    output.show(FIRST, key.secret()).inspect_err(|_| drop(fs::remove_file(path)))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, error::Error, thread};

    use super::*;

    fn format() -> KeyFormat {
        KeyFormat::builder("acme").build().unwrap()
    }

    fn names(folder: &Path) -> BTreeSet<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn given_no_file_when_opened_then_it_has_the_digest_of_the_key_that_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let (path, shown) = (folder.path().join("keys.toml"), folder.path().join("key"));
        let keys = StaticKeys::open_or_create(&path, &format(), &KeyOutput::File(shown.clone())).unwrap();
        let key = fs::read_to_string(&shown).unwrap().trim_end().parse().unwrap();
        assert!(keys.keys.contains_key(&KeyHasher::sha256().digest(&key)));
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(key.expose_secret()), "{text}");
        assert_eq!(names(folder.path()), BTreeSet::from(["key".to_owned(), "keys.toml".to_owned()]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }

        // The second time there is no output that could take a key, and none is needed.
        let again = StaticKeys::open_or_create(&path, &format(), &KeyOutput::File(shown)).unwrap();
        assert_eq!((again.len(), fs::read_to_string(&path).unwrap()), (1, text));
    }

    #[test]
    fn given_an_output_that_takes_no_key_when_opened_then_no_file_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let error = StaticKeys::open_or_create(&path, &format(), &KeyOutput::File("/nonexistent/key".into()));
        let error = error.unwrap_err();
        assert!(error.to_string().ends_with("keys.toml: the file can't be created"), "{error}");
        assert!(error.source().unwrap().to_string().starts_with("/nonexistent/key: "), "{error:?}");
        assert_eq!(names(folder.path()), BTreeSet::new());
    }

    #[test]
    fn given_many_at_once_when_opened_then_one_key_is_shown_and_all_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let opened: Vec<_> = thread::scope(|scope| {
            let open = |n: usize| {
                let (path, shown) = (&path, folder.path().join(format!("key-{n}")));
                scope.spawn(move || StaticKeys::open_or_create(path, &format(), &KeyOutput::File(shown)).unwrap())
            };
            let running: Vec<_> = (0..8).map(open).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let names: Vec<_> = names(folder.path()).into_iter().filter(|name| name.starts_with("key-")).collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let key = fs::read_to_string(folder.path().join(&names[0])).unwrap().trim_end().parse().unwrap();
        for keys in opened {
            assert!(keys.keys.contains_key(&KeyHasher::sha256().digest(&key)));
        }
    }
}
