//! What can go wrong, and the exit code that tells a shell.

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use apikey_core::ParseKeyError;
use reqwest::StatusCode;
use thiserror::Error as ThisError;

/// The error of everything in this crate. No message contains a key.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The program was called or configured wrongly.
    #[error("{0}")]
    Usage(String),
    /// No key is found in the environment, the keyring or the file.
    #[error("not signed in to {host}{}: run `login`{}", unless_in(keyring.as_ref()), or_set(variable.as_deref()))]
    #[non_exhaustive]
    NotSignedIn {
        /// The host, such as `https://registry.example`.
        host: String,
        /// The environment variable that may hold the key.
        variable: Option<String>,
        /// The reason for which the keyring could not be asked.
        #[source]
        keyring: Option<keyring_core::Error>,
    },
    /// The text is not a key of this service.
    #[error("this is not a key of this service: {0}")]
    NotAKey(#[source] ParseKeyError),
    /// The operating system's keyring can't be used.
    #[error(
        "the keyring can't be used: start or unlock it (on Linux GNOME Keyring, KWallet or KeePassXC){}, or use --insecure-storage to keep the key in a file",
        or_set(variable.as_deref())
    )]
    #[non_exhaustive]
    Keyring {
        /// The environment variable that may hold the key.
        variable: Option<String>,
        /// The keyring's own error.
        source: keyring_core::Error,
    },
    /// A file can't be read or written.
    #[error("{}", path.display())]
    #[non_exhaustive]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The person at the terminal did not confirm what can't be undone.
    #[error("not confirmed; nothing was changed")]
    Declined,
    /// The terminal or standard input can't be read.
    #[error("the input can't be read")]
    Input(#[source] io::Error),
    /// The service rejects the key (401).
    #[error("the service rejects the key: run `login` with a valid one")]
    #[non_exhaustive]
    Rejected {
        /// The `WWW-Authenticate` header, such as `Bearer realm="files", error="invalid_token"`.
        challenge: Option<String>,
    },
    /// The service asks for fewer requests (429).
    #[error("too many requests{}", retry(*retry_after))]
    #[non_exhaustive]
    TooManyRequests {
        /// The time to wait, from `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The service can't decide or serve now (503).
    #[error("the service is unavailable{}", retry(*retry_after))]
    #[non_exhaustive]
    Unavailable {
        /// The time to wait, from `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The service refused for another reason.
    #[error("the service answered {status}{}", after_colon(detail))]
    #[non_exhaustive]
    Refused {
        /// The status.
        status: StatusCode,
        /// The `detail` of its problem, or nothing.
        detail: String,
    },
    /// No answer came, or it can't be read.
    #[error("the request failed")]
    Http(#[source] reqwest::Error),
}

impl Error {
    /// Returns the exit code of a program that ends with this error: 2 for wrong usage, 4 if there is no valid key, otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Error::Usage(_) => 2,
            Error::NotSignedIn { .. } | Error::Rejected { .. } => 4,
            _ => 1,
        })
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        |source| Error::File { path, source }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        Error::Http(error)
    }
}

fn unless_in(keyring: Option<&keyring_core::Error>) -> &'static str {
    match keyring {
        Some(_) => ", unless the key is in the keyring, which can't be asked",
        None => "",
    }
}

fn or_set(variable: Option<&str>) -> String {
    variable.map(|variable| format!(", or set {variable}")).unwrap_or_default()
}

fn after_colon(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

fn retry(after: Option<Duration>) -> String {
    after.map(|after| format!(": try again in {} seconds", after.as_secs())).unwrap_or_default()
}
