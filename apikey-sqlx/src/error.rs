//! The errors of this crate. None contains a value of a statement or a part of a URL.

use std::fmt;

use apikey_manager::StoreError;

/// The error for a store that can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is malformed. The message gives the reason and contains no part of the URL.
    #[error("the database's URL {0}")]
    Url(&'static str),
    /// This build doesn't support the URL's database.
    #[error("{url} URLs need apikey-sqlx's feature `{feature}`")]
    Feature {
        /// The scheme of the URL.
        url: &'static str,
        /// The feature that is missing.
        feature: &'static str,
    },
    /// An option has an invalid value.
    #[error("{option}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// The database can't be used for keys: it is too old, read-only, recovering, not the primary, not in UTF-8, or
    /// behind a pooler that refuses transactions.
    #[error("the database can't be used: {0}")]
    Unsuitable(String),
    /// The tables are not of this version.
    #[error("the database's tables: {0}")]
    Tables(String),
    /// The database can't be reached or refused the connection.
    #[error("the database is not available")]
    Unavailable(#[source] DatabaseError),
}

impl From<sqlx::Error> for ConnectError {
    fn from(error: sqlx::Error) -> Self {
        Failure::from(error).into()
    }
}

impl From<Failure> for ConnectError {
    fn from(failure: Failure) -> Self {
        ConnectError::Unavailable(DatabaseError::new(&failure))
    }
}

/// The cause of a failed statement, or of one with an unknown outcome.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the database or its driver.
    Database(sqlx::Error),
    /// No connection or no answer within the time limit.
    Late(&'static str),
    /// This file of a SQLite database is no longer the one that was opened.
    #[cfg(feature = "sqlite")]
    Gone(&'static str),
    /// The transaction failed before. The database may have rolled it back, and would run this statement outside it.
    Over,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Failure::Database(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Database(sqlx::Error::Database(said)) => match said.code() {
                Some(code) => write!(f, "{} (code {code})", said.message()),
                None => f.write_str(said.message()),
            },
            Failure::Database(sqlx::Error::Configuration(_)) => {
                f.write_str("a setting of the connection can't be used")
            }
            Failure::Database(sqlx::Error::Tls(_)) => f.write_str("the connection can't be encrypted"),
            Failure::Database(error) => error.fmt(f),
            Failure::Late(what) => write!(f, "{what} in time"),
            #[cfg(feature = "sqlite")]
            Failure::Gone(what) => {
                write!(f, "the database's {what} was deleted or replaced while it was open; restart the service")
            }
            Failure::Over => f.write_str("the change had failed before"),
        }
    }
}

/// An error of a database: its message and code, without the values of the statement.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DatabaseError {
    message: String,
}

impl DatabaseError {
    /// Drops details that PostgreSQL adds to a message, such as a row's values.
    fn new(failure: &Failure) -> Self {
        DatabaseError { message: failure.to_string() }
    }
}

/// Converts the error of a statement before the commit: nothing was changed.
pub(crate) fn failed(failure: impl Into<Failure>) -> StoreError {
    let failure = failure.into();
    match &failure {
        Failure::Database(sqlx::Error::Database(said)) => match said.code().as_deref() {
            _ if said.is_unique_violation() => StoreError::conflict("an id, a digest, a marker or a request is taken"),
            _ if said.is_foreign_key_violation() => StoreError::conflict("a row was removed meanwhile"),
            // The trigger that protects events from being replaced.
            Some("1811") => StoreError::conflict("an event's id is taken"),
            // Serialization failure, deadlock.
            Some("40001" | "40P01") => StoreError::conflict("a concurrent change went first"),
            _ => StoreError::unavailable(DatabaseError::new(&failure)),
        },
        Failure::Database(sqlx::Error::Encode(reason)) => StoreError::corrupt(reason.to_string()),
        Failure::Database(error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_))) => {
            StoreError::corrupt(format!("corrupt row: {error}"))
        }
        _ => StoreError::unavailable(DatabaseError::new(&failure)),
    }
}

/// Converts the error of a commit: unless the database rejected it, the change may hold.
pub(crate) fn commit_failed(failure: Failure) -> StoreError {
    match &failure {
        Failure::Database(sqlx::Error::Database(said)) if is_definite(said.code().as_deref()) => failed(failure),
        Failure::Over => failed(failure),
        _ => StoreError::unknown(DatabaseError::new(&failure)),
    }
}

/// Returns `true` if a commit's error with this code means that nothing was committed.
fn is_definite(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    // PostgreSQL: connection exceptions, a shutdown of the server, and codes for an unknown outcome.
    let is_lost = code.len() == 5 && (code.starts_with("08") || code.starts_with("57P") || code == "40003");
    // SQLite, whose codes are shorter: an error of the disk or of memory, perhaps after the commit was written.
    let is_late = code.len() < 5 && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 7 | 10));
    !is_lost && !is_late
}

/// Returns `true` if the connection failed, so that another may succeed.
pub(crate) fn is_broken(failure: &Failure) -> bool {
    match failure {
        Failure::Database(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed) => true,
        Failure::Database(sqlx::Error::Database(said)) => {
            // A pooler tells with 08 that it has lost its server.
            said.code().is_some_and(|code| code.len() == 5 && (code.starts_with("57P") || code.starts_with("08")))
        }
        _ => false,
    }
}
