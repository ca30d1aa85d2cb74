//! The place where a new key is shown to its holder, once.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, ErrorKind, IsTerminal, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use super::plaintext::PlaintextKey;

/// The place where a new key is shown, once.
///
/// A service that writes a key to its standard output usually writes it to a log. Therefore the default is the
/// terminal, and where there is none, as in a container, the operator chooses another place. A setting holds the choice
/// as text: `terminal`, `stdout`, or `file:` and a path.
///
/// ```
/// use apikey_core::{KeyFormat, KeyOutput};
///
/// # let folder = tempfile::tempdir()?;
/// # let text = format!("file:{}", folder.path().join("first-key").display());
/// let output: KeyOutput = text.parse()?; // such as `file:/run/keys/first-key`
/// let key = KeyFormat::builder("acme").build()?.generate()?;
/// output.show("bootstrap", &key)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyOutput {
    /// The terminal: standard output if it is one, otherwise standard error.
    #[default]
    Terminal,
    /// Standard output, whatever reads it. The line holds the key alone, so that a shell can capture it.
    Stdout,
    /// A new file that holds the key alone. On Unix only its owner can read it (mode 0600).
    File(PathBuf),
}

/// The error for a text that is not a [`KeyOutput`].
#[derive(Debug, thiserror::Error)]
#[error("must be terminal, stdout, or file: and a path")]
#[non_exhaustive]
pub struct ParseKeyOutputError {}

impl KeyOutput {
    /// Checks whether a key can be shown. Call this before a key is made, so that none is lost.
    ///
    /// # Errors
    ///
    /// Returns an error if neither standard output nor standard error is a terminal, the file exists, or its folder
    /// does not.
    pub fn check(&self) -> io::Result<()> {
        match self {
            KeyOutput::Terminal => terminal().map(drop),
            KeyOutput::Stdout => Ok(()),
            KeyOutput::File(path) if path.exists() => Err(in_file(path, ErrorKind::AlreadyExists.into())),
            KeyOutput::File(path) if KeyOutput::folder(path).is_dir() => Ok(()),
            KeyOutput::File(path) => Err(in_file(path, ErrorKind::NotFound.into())),
        }
    }

    /// Shows `key`, named `name`.
    ///
    /// # Errors
    ///
    /// Those of [`check`](KeyOutput::check), and those of writing.
    pub fn show(&self, name: &str, key: &PlaintextKey) -> io::Result<()> {
        self.show_as(&format!("API key \"{name}\""), key)
    }

    /// Shows a secret of another kind. `what` says which: `password of ada@example.com`.
    ///
    /// # Errors
    ///
    /// As [`show`](KeyOutput::show).
    pub fn show_as(&self, what: &str, secret: &PlaintextKey) -> io::Result<()> {
        let secret = secret.expose_secret();
        match self {
            KeyOutput::Terminal => writeln!(terminal()?, "{what}, shown only now: {secret}"),
            KeyOutput::Stdout => writeln!(io::stdout(), "{secret}"),
            KeyOutput::File(path) => {
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let written = options.open(path).and_then(|mut file| writeln!(file, "{secret}"));
                written.map_err(|error| in_file(path, error))
            }
        }
    }

    /// Returns the folder of a file.
    pub(crate) fn folder(path: &Path) -> &Path {
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

fn terminal() -> io::Result<Box<dyn Write>> {
    if io::stdout().is_terminal() {
        Ok(Box::new(io::stdout()))
    } else if io::stderr().is_terminal() {
        Ok(Box::new(io::stderr()))
    } else {
        Err(io::Error::other("no terminal to show the key on; stdout and file:PATH are other choices"))
    }
}

fn in_file(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

impl FromStr for KeyOutput {
    type Err = ParseKeyOutputError;

    fn from_str(text: &str) -> Result<Self, ParseKeyOutputError> {
        match (text, text.strip_prefix("file:")) {
            ("terminal", _) => Ok(KeyOutput::Terminal),
            ("stdout", _) => Ok(KeyOutput::Stdout),
            (_, Some(path)) if !path.is_empty() => Ok(KeyOutput::File(path.into())),
            _ => Err(ParseKeyOutputError {}),
        }
    }
}

impl fmt::Display for KeyOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyOutput::Terminal => f.write_str("terminal"),
            KeyOutput::Stdout => f.write_str("stdout"),
            KeyOutput::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn given_text_when_parsed_then_it_is_one_of_three_places() {
        for text in ["terminal", "stdout", "file:/run/key", "file:key"] {
            assert_eq!(text.parse::<KeyOutput>().unwrap().to_string(), text);
        }
        for text in ["", "Terminal", "stderr", "file:", "/run/key"] {
            assert!(text.parse::<KeyOutput>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn given_a_file_when_a_key_is_shown_then_its_owner_alone_has_it_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let output = KeyOutput::File(folder.path().join("key"));
        let key: PlaintextKey = "acme_0123".parse().unwrap();
        output.check().unwrap();
        output.show("bootstrap", &key).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("key")).unwrap(), "acme_0123\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join("key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        for error in [output.check().unwrap_err(), output.show("bootstrap", &key).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert!(error.to_string().starts_with(&folder.path().join("key").display().to_string()), "{error}");
        }
    }

    #[test]
    fn given_a_folder_that_is_not_there_when_checked_then_no_key_is_to_be_made() {
        let output = KeyOutput::File(PathBuf::from("/nonexistent/key"));
        assert_eq!(output.check().unwrap_err().kind(), ErrorKind::NotFound);
    }
}
