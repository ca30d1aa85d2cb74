//! The errors of operations. Nothing was changed, except possibly by a commit with an unknown outcome
//! ([`ManageError::Store`]).

use std::fmt;

use apikey_core::{BoxError, KeyId, NoRandomness};

use crate::{record::Status, store::StoreError, validate::FieldError};

/// The error of an operation of the [`KeyManager`](crate::KeyManager).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// The input is invalid. Each invalid field is named.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldError>),
    /// The object doesn't exist in the actor's organization. The error doesn't tell whether another organization has
    /// it.
    #[error("there is no such {0}")]
    NotFound(Missing),
    /// The actor lacks the right.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The record has changed since the caller read it.
    #[error("the record is at version {current}")]
    StaleVersion {
        /// The current version.
        current: u64,
    },
    /// The key's status doesn't allow the operation.
    #[error("a key that is {status} can't be {operation}")]
    WrongState {
        /// Its status.
        status: Status,
        /// The operation, such as `rotated`.
        operation: &'static str,
    },
    /// The actor has done this with the same `Idempotency-Key`. Nothing was changed again.
    #[error("this was done before, with the same idempotency key")]
    AlreadyDone {
        /// The keys that were created, rotated or revoked, or that lost a secret.
        keys: Vec<KeyId>,
    },
    /// The actor has done the same operation with this `Idempotency-Key` and other input.
    #[error("the idempotency key was used with other input")]
    IdempotencyKeyReused,
    /// The organization has reached a limit of its plan.
    #[error("{used} of {allowed} {of} are in use")]
    LimitReached {
        /// The limited resource.
        of: Limited,
        /// The number in use.
        used: u64,
        /// The limit.
        allowed: u64,
    },
    /// The host could not provide the organization's limits.
    #[error("the organization's limits are unavailable")]
    Limits(#[source] BoxError),
    /// Rows of an import are invalid. Nothing of the batch was imported.
    #[error("{} of the keys can't be imported", .0.len())]
    Import(Vec<crate::import::RowError>),
    /// There are too many concurrent reads; see [`ReadSettings`](crate::ReadSettings). Try again after a moment.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The key could not be generated.
    #[error(transparent)]
    Generate(#[from] apikey_core::GenerateKeyError),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The change was made, but not every process on the database is known to follow it: the store did not tell which
    /// there are, or one of them is [`alone`](crate::KeyManagerBuilder::alone). Repeat a revocation or another change of a
    /// key's state: it then waits again. After a deletion or a rotation, repeat the revocation of any key.
    #[error("the change was made, but {reason}")]
    Unconfirmed {
        /// Why.
        reason: String,
    },
    /// The service sends no webhooks; see [`KeyManagerBuilder::webhooks`](crate::KeyManagerBuilder::webhooks).
    #[error("this service offers no webhooks")]
    WebhooksNotOffered,
    /// Only a delivery that was given up can be retried.
    #[error("only a delivery that was given up can be retried")]
    NotParked,
    /// The runtime is shutting down. Whether the change was made is not known.
    #[error("the runtime is shutting down")]
    Stopped,
}

impl ManageError {
    pub(crate) fn field(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        ManageError::Invalid(vec![FieldError::new(field, code, message)])
    }

    /// Returns the stable name of the kind of error, such as `limit_reached`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ManageError::Invalid(_) => "invalid",
            ManageError::NotFound(_) => "not_found",
            ManageError::Forbidden(_) => "forbidden",
            ManageError::StaleVersion { .. } => "stale_version",
            ManageError::WrongState { .. } => "wrong_state",
            ManageError::AlreadyDone { .. } => "already_done",
            ManageError::IdempotencyKeyReused => "idempotency_key_reused",
            ManageError::LimitReached { .. } => "limit_reached",
            ManageError::Import(_) => "import_refused",
            ManageError::Busy(_) => "busy",
            ManageError::Store(error) if error.is_conflict() => "conflict",
            ManageError::Store(error) if error.is_unknown() => "unknown_outcome",
            ManageError::Unconfirmed { .. } => "unconfirmed",
            ManageError::WebhooksNotOffered => "webhooks_not_offered",
            ManageError::NotParked => "not_parked",
            ManageError::Stopped => "unknown_outcome",
            ManageError::Limits(_) | ManageError::Generate(_) | ManageError::Random(_) | ManageError::Store(_) => {
                "unavailable"
            }
        }
    }

    /// Returns `true` if `field` is among the invalid fields.
    #[must_use]
    pub fn is_about(&self, field: &str) -> bool {
        matches!(self, ManageError::Invalid(fields) if fields.iter().any(|at_fault| at_fault.field == field))
    }
}

/// The kind of object that was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// A key.
    Key,
    /// A service account.
    ServiceAccount,
    /// An alert.
    Alert,
    /// A webhook.
    Webhook,
    /// A delivery of a webhook.
    Delivery,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::Key => "key",
            Missing::ServiceAccount => "service account",
            Missing::Alert => "alert",
            Missing::Webhook => "webhook",
            Missing::Delivery => "delivery",
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
    /// Webhooks, of which an organization may have 20.
    Webhooks,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limited::Keys => "keys",
            Limited::ServiceAccounts => "service accounts",
            Limited::Webhooks => "webhooks",
        })
    }
}

/// The limit on concurrent reads that was reached.
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

/// Why an actor lacks a right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// It lacks the scope that the operation requires.
    #[error("this needs the scope {0}")]
    Needs(&'static str),
    /// It would grant more than it has.
    #[error("{0} would allow more than the actor's own scopes")]
    BeyondScopes(String),
    /// It would grant a key that outlives it.
    #[error("the key would outlive the caller's key")]
    BeyondExpiry,
    /// The acting key is no longer valid.
    #[error("the caller's key is no longer valid")]
    NotLive,
    /// The operation is reserved to the host.
    #[error("only the service itself may do this")]
    HostOnly,
}

fn list(fields: &[FieldError]) -> String {
    fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
