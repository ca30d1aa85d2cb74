//! Why a command failed, what it says, and its exit code.

use std::{error::Error, fmt::Display, io, path::Path, process::ExitCode};

use apikey_manager::{ManageError, StoreError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("not confirmed; nothing was changed")]
    Declined,
    #[error(transparent)]
    Manage(ManageError),
    /// Rows of an import, each with its place.
    #[error("{} of the rows can't be imported", .0.len())]
    Rows(Vec<String>),
    #[error("{place}: {error}")]
    File { place: String, error: io::Error },
    /// The key was made, and its secret is lost.
    #[error("the secret could not be shown, and is lost; the key is {key}: rotate or revoke it: {error}")]
    Unshown { key: String, error: io::Error },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Failure {
    pub(crate) fn usage(option: &str, error: &dyn Display) -> Self {
        Failure::Usage(format!("{option}: {error}"))
    }

    pub(crate) fn file(path: &Path, error: io::Error) -> Self {
        Failure::File { place: path.display().to_string(), error }
    }

    /// Prints the failure and its causes to standard error, and returns its exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprint!("error: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            eprint!(": {error}");
            cause = error.source();
        }
        eprintln!();
        if let Failure::Rows(rows) = self {
            rows.iter().for_each(|row| eprintln!("  {row}"));
        }
        self.exit_code().into()
    }

    fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) | Failure::Rows(_) => 2,
            Failure::Manage(error) => match error {
                ManageError::Invalid(_) | ManageError::Import(_) => 2,
                ManageError::NotFound(_) => 3,
                ManageError::Unconfirmed { .. } => 5,
                ManageError::WrongState { .. } | ManageError::LimitReached { .. } | ManageError::Forbidden(_) => 4,
                error if error.code() == "unknown_outcome" => 5,
                _ => 1,
            },
            Failure::Declined | Failure::File { .. } | Failure::Unshown { .. } | Failure::Io(_) => 1,
        }
    }
}

impl From<ManageError> for Failure {
    fn from(error: ManageError) -> Self {
        Failure::Manage(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Manage(error.into())
    }
}
