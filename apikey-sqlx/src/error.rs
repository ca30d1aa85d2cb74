//! What can go wrong, as callers see it. No value of a statement and no part of a URL gets into an error.

use apikey_manager::StoreError;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL can't be used; the message says why, and holds no part of it.
    #[error("the database's URL {0}")]
    Url(&'static str),
    /// The URL is of a database that this build can't speak to.
    #[error("for {url} URLs, apikey-sqlx is to be compiled with its feature `{feature}`")]
    Feature {
        /// What the URL begins with.
        url: &'static str,
        /// The feature that is missing.
        feature: &'static str,
    },
    /// An option can't be used.
    #[error("{option}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// The database may not be used for keys: it is too old, read-only, recovering, or not the primary.
    #[error("the database can't be used: {0}")]
    Unsuitable(String),
    /// The tables are not those that this version makes.
    #[error("the database's tables: {0}")]
    Tables(String),
    /// The database can't be reached, or refused.
    #[error("the database is not available")]
    Unavailable(#[source] DatabaseError),
}

impl From<sqlx::Error> for ConnectError {
    fn from(error: sqlx::Error) -> Self {
        ConnectError::Unavailable(DatabaseError::new(&error))
    }
}

/// What a database said, or why it said nothing: its message and code, without the values that were sent.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DatabaseError {
    message: String,
}

impl DatabaseError {
    /// Details that PostgreSQL adds to a message, such as a row's values, stay behind.
    pub(crate) fn new(error: &sqlx::Error) -> Self {
        let message = match error {
            sqlx::Error::Database(error) => match error.code() {
                Some(code) => format!("{} (code {code})", error.message()),
                None => error.message().to_owned(),
            },
            sqlx::Error::Configuration(_) => "a setting of the connection can't be used".to_owned(),
            sqlx::Error::Tls(_) => "the connection can't be encrypted".to_owned(),
            error => error.to_string(),
        };
        DatabaseError { message }
    }
}

/// The store's error for a statement that failed, before any commit: nothing was changed.
pub(crate) fn failed(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(said) => match said.code().as_deref() {
            _ if said.is_unique_violation() => StoreError::conflict("an id, a digest or a marker is taken"),
            _ if said.is_foreign_key_violation() => StoreError::conflict("a row was removed meanwhile"),
            // The trigger that keeps an event from being replaced.
            Some("1811") => StoreError::conflict("an event's id is taken"),
            // Serialization failure, deadlock.
            Some("40001" | "40P01") => StoreError::conflict("a concurrent change went first"),
            _ => StoreError::unavailable(DatabaseError::new(&error)),
        },
        sqlx::Error::Encode(reason) => StoreError::corrupt(reason.to_string()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnIndexOutOfBounds { .. } => {
            StoreError::corrupt(format!("the database holds what this crate does not write: {error}"))
        }
        _ => StoreError::unavailable(DatabaseError::new(&error)),
    }
}

/// The store's error for a commit that failed: unless the database itself said no, it may hold.
pub(crate) fn commit_failed(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(said) if is_definite(said.code().as_deref()) => failed(error),
        _ => StoreError::unknown(DatabaseError::new(&error)),
    }
}

/// Does a commit's error of this code say that nothing was committed?
fn is_definite(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    // PostgreSQL: connection exceptions, the server's end, and what says of itself that it doesn't know.
    let is_lost = code.len() == 5 && (code.starts_with("08") || code.starts_with("57P") || code == "40003");
    // SQLite, whose codes are shorter: an error of the disk, perhaps after the commit was written.
    let is_disk = code.len() < 5 && code.parse::<u32>().is_ok_and(|code| code & 0xff == 10);
    !is_lost && !is_disk
}

/// Was the connection at fault, so that another may do better?
pub(crate) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(said) => said.code().is_some_and(|code| code.len() == 5 && code.starts_with("57P")),
        _ => false,
    }
}
