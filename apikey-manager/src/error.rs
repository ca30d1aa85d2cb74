//! Why an operation was not done. Whatever the reason, nothing was changed, [`ManageError::Store`]'s unknown commits apart.

use std::fmt;

use apikey_core::{BoxError, NoRandomness};

use crate::{record::Status, store::StoreError, validate::FieldError};

/// Why an operation of the [`KeyManager`](crate::KeyManager) was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// What was asked for can't be; each field at fault is named.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldError>),
    /// There is no such thing in the actor's organization. Whether there is one in another is not told.
    #[error("there is no such {0}")]
    NotFound(Missing),
    /// The actor may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The record has changed since the caller read it.
    #[error("the record is at version {current}")]
    StaleVersion {
        /// Its version now.
        current: u64,
    },
    /// The key is in a state in which this can't be done.
    #[error("a key that is {status} can't be {operation}")]
    WrongState {
        /// Its status.
        status: Status,
        /// What was asked for, such as `rotated`.
        operation: &'static str,
    },
    /// The organization has as many as its plan allows.
    #[error("{used} of {allowed} {of} are in use")]
    LimitReached {
        /// Of what.
        of: Limited,
        /// How many there are.
        used: u64,
        /// How many there may be.
        allowed: u64,
    },
    /// The host could not say what the organization's plan allows.
    #[error("the organization's limits are unavailable")]
    Limits(#[source] BoxError),
    /// Keys of an import are known already; none of the batch was taken.
    #[error("{} of the keys can't be imported", .0.len())]
    Import(Vec<crate::import::RowError>),
    /// So many read already that this was not; see [`ReadSettings`](crate::ReadSettings). A moment later it may be.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// No key could be made.
    #[error(transparent)]
    Generate(#[from] apikey_core::GenerateKeyError),
    /// The operating system gives no random bytes.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runtime is shutting down. Whether the change was made is not known.
    #[error("the runtime is shutting down")]
    Stopped,
}

impl ManageError {
    pub(crate) fn field(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        ManageError::Invalid(vec![FieldError::new(field, code, message)])
    }

    /// For programs: a name for the kind of error that stays the same, such as `limit_reached`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ManageError::Invalid(_) => "invalid",
            ManageError::NotFound(_) => "not_found",
            ManageError::Forbidden(_) => "forbidden",
            ManageError::StaleVersion { .. } => "stale_version",
            ManageError::WrongState { .. } => "wrong_state",
            ManageError::LimitReached { .. } => "limit_reached",
            ManageError::Import(_) => "import_refused",
            ManageError::Busy(_) => "busy",
            ManageError::Store(error) if error.is_conflict() => "conflict",
            ManageError::Store(error) if error.is_unknown() => "unknown_outcome",
            ManageError::Stopped => "unknown_outcome",
            ManageError::Limits(_) | ManageError::Generate(_) | ManageError::Random(_) | ManageError::Store(_) => {
                "unavailable"
            }
        }
    }

    /// Is one of the fields at fault `field`?
    #[must_use]
    pub fn is_about(&self, field: &str) -> bool {
        matches!(self, ManageError::Invalid(fields) if fields.iter().any(|at_fault| at_fault.field == field))
    }
}

/// What was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// A key.
    Key,
    /// A service account.
    ServiceAccount,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::Key => "key",
            Missing::ServiceAccount => "service account",
        })
    }
}

/// What a plan limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limited {
    /// Keys.
    Keys,
    /// Service accounts.
    ServiceAccounts,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limited::Keys => "keys",
            Limited::ServiceAccounts => "service accounts",
        })
    }
}

/// Who reads so much that nothing more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Busy {
    /// The actor's own organization.
    #[error("too many concurrent reads of the organization")]
    Organization,
    /// All organizations together.
    #[error("too many concurrent reads")]
    Service,
}

/// Why an actor may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// It lacks the scope that the operation needs.
    #[error("this needs the scope {0}")]
    Needs(&'static str),
    /// It would hand out what it doesn't have.
    #[error("{0} would allow more than the actor's own scopes")]
    BeyondScopes(String),
    /// It would hand out what outlives it.
    #[error("the key would outlive the caller's key")]
    BeyondExpiry,
    /// The key that asks is not let in any more.
    #[error("the caller's key is no longer valid")]
    NotLive,
    /// Only the host may.
    #[error("only the service itself may do this")]
    HostOnly,
}

fn list(fields: &[FieldError]) -> String {
    fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
