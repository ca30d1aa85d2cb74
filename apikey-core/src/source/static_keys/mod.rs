//! Hashed keys in configuration, for services with a handful of callers and no database.

#[cfg(feature = "toml")]
mod create;
mod env;
mod generate;
#[cfg(feature = "toml")]
mod toml;

use std::{collections::HashMap, convert::Infallible, fmt};

pub use generate::{GenerateStaticKeyError, NewStaticKey};

use crate::{
    key::{Claims, KeyDigest, KeyId},
    scope::ScopeSet,
    source::resolver::{PresentedKey, Resolution, Resolver},
};

/// Keys from an environment variable or a file, kept as digests.
///
/// The configuration contains no secret: reading it doesn't let anybody call the service. [`NewStaticKey`] generates a
/// key and its entry. Digests under a pepper need a [`KeyHasher`](crate::KeyHasher) that accepts the pepper.
///
/// Each line is an entry, or `;` separates entries: the key's id, its digest, its scopes.
///
/// ```
/// use apikey_core::{Authenticator, StaticKeys};
///
/// let keys = StaticKeys::parse(
///     "ci sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae files:read files:write",
/// )?;
/// let authenticator = Authenticator::builder(keys).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StaticKeys {
    keys: HashMap<KeyDigest, Resolution>,
}

/// The error for a malformed list of keys.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}{}{problem}",
    file.as_ref().map(|file| format!("{file}: ")).unwrap_or_default(),
    line.map(|line| format!("line {line}: ")).unwrap_or_default(),
)]
pub struct StaticKeysError {
    file: Option<String>,
    line: Option<usize>,
    problem: Problem,
    #[source]
    cause: Option<std::io::Error>,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    #[error("the environment variable {0} is not UTF-8")]
    NotUnicode(String),
    #[cfg(feature = "toml")]
    #[error("the file can't be read")]
    Unreadable,
    #[cfg(feature = "toml")]
    #[error("the file can't be created")]
    NotMade,
    #[error("no key is listed")]
    Empty,
    #[error("the entry is empty")]
    EmptyEntry,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{field}: {reason}")]
    Field { field: &'static str, reason: String },
    #[cfg(feature = "toml")]
    #[error("{0}")]
    Syntax(String),
    #[error("the id {0} is listed twice")]
    RepeatedId(KeyId),
    #[error("the digest of {0} is listed before, under another id")]
    RepeatedDigest(KeyId),
}

impl StaticKeysError {
    /// Returns the line of the malformed entry, counted from 1, if there is one.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    fn of(problem: Problem) -> Self {
        StaticKeysError { file: None, line: None, problem, cause: None }
    }
}

impl Problem {
    fn field(field: &'static str, reason: impl fmt::Display) -> Self {
        Problem::Field { field, reason: reason.to_string() }
    }

    fn at(self, line: usize) -> StaticKeysError {
        StaticKeysError { line: Some(line), ..StaticKeysError::of(self) }
    }
}

/// A parsed entry, before it is compared with the others.
struct Entry {
    line: usize,
    digest: KeyDigest,
    resolution: Resolution,
}

impl StaticKeys {
    fn from_entries(entries: Vec<Entry>) -> Result<Self, StaticKeysError> {
        if entries.is_empty() {
            return Err(StaticKeysError::of(Problem::Empty));
        }
        let mut keys = HashMap::<KeyDigest, Resolution>::with_capacity(entries.len());
        let mut ids = std::collections::HashSet::new();
        for Entry { line, digest, resolution } in entries {
            let id = resolution.claims.key_id().clone();
            if !ids.insert(id.clone()) {
                return Err(Problem::RepeatedId(id).at(line));
            }
            if keys.insert(digest, resolution).is_some() {
                return Err(Problem::RepeatedDigest(id).at(line));
            }
        }
        Ok(StaticKeys { keys })
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns `false`: a list without keys is an error when it is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Resolver for StaticKeys {
    type Error = Infallible;

    async fn resolve(&self, key: &PresentedKey) -> Result<Option<Resolution>, Infallible> {
        Ok(key.digests().iter().find_map(|digest| self.keys.get(digest)).cloned())
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn parse_id(id: &str) -> Result<KeyId, Problem> {
    KeyId::new(id).map_err(|error| Problem::field("id", error))
}

fn parse_digest(digest: &str) -> Result<KeyDigest, Problem> {
    digest.parse::<KeyDigest>().map_err(|error| Problem::field("digest", error))
}

fn claims(id: KeyId, scopes: Result<ScopeSet, crate::ScopeError>) -> Result<Claims, Problem> {
    let scopes = scopes.map_err(|error| Problem::field("scopes", error))?;
    Ok(Claims::new(id).with_scopes(scopes))
}
