//! The places of a key: the environment, the operating system's keyring, a file.

mod environment;
mod file;
mod keyring;

use std::{fmt, path::PathBuf};

pub(crate) use self::{
    environment::variable,
    file::{FileStore, file_name},
    keyring::Keyring,
};

/// Where a key was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// This environment variable.
    Environment(String),
    /// The operating system's keyring.
    Keyring,
    /// This file, which isn't encrypted.
    File(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Environment(variable) => write!(f, "the environment variable {variable}"),
            Place::Keyring => f.write_str("the keyring"),
            Place::File(path) => write!(f, "{} (not encrypted)", path.display()),
        }
    }
}

/// Where to keep a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// The operating system's keyring.
    #[default]
    Keyring,
    /// A file of mode 0600, which isn't encrypted.
    InsecureFile,
}
