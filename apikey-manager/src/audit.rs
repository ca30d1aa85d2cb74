//! The audit trail: what was done to whom, by whom. Written with the change itself, in one transaction; never changed.

use apikey_core::{ActorId, JsonObject, OrganizationId, Timestamp};
use serde::Serialize;

use crate::names::names;

/// One management action.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// Sorts by time: `evt_…`.
    pub id: String,
    /// The time.
    pub at: Timestamp,
    /// Where.
    pub organization: OrganizationId,
    /// By whom.
    pub actor: ActorId,
    /// The action.
    pub action: Action,
    /// The id of the key, the service account or the organization that was changed.
    pub target: String,
    /// What the action changed, as it was; without secrets or digests. `None` where there was nothing.
    pub before: Option<JsonObject>,
    /// The changed values after the action, or null.
    pub after: Option<JsonObject>,
    /// The request that asked for it.
    pub request_id: Option<String>,
}

impl AuditEvent {
    /// An event that changed nothing, asked for by no request: what a store fills in as it reads one.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        at: Timestamp,
        organization: OrganizationId,
        actor: ActorId,
        action: Action,
        target: impl Into<String>,
    ) -> Self {
        AuditEvent {
            id: id.into(),
            at,
            organization,
            actor,
            action,
            target: target.into(),
            before: None,
            after: None,
            request_id: None,
        }
    }
}

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What was done. Displayed as its name, such as `key.issued`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Action] = &[$(Action::$variant),+];

            /// Its name, such as `key.issued`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Action::$variant => $name,)+
                }
            }
        }
    };
}

actions! {
    /// A key was issued.
    KeyIssued = "key.issued",
    /// A key was issued like another.
    KeyDuplicated = "key.duplicated",
    /// A key was taken over from elsewhere.
    KeyImported = "key.imported",
    /// A key's name, description, scopes, windows or metadata were changed.
    KeyUpdated = "key.updated",
    /// A key got a new secret.
    KeyRotated = "key.rotated",
    /// The overlap of a rotation was ended early.
    KeyOverlapEnded = "key.overlap_ended",
    /// A secret of a key was ended, because of how its holder came by it.
    KeySecretEnded = "key.secret_ended",
    /// A key was switched off.
    KeyDisabled = "key.disabled",
    /// A key was switched on.
    KeyEnabled = "key.enabled",
    /// A key was ended for good.
    KeyRevoked = "key.revoked",
    /// A key was deleted.
    KeyDeleted = "key.deleted",
    /// A service account was made.
    AccountCreated = "service_account.created",
    /// A service account's name or description was changed.
    AccountUpdated = "service_account.updated",
    /// A service account was switched off, with all its keys.
    AccountDisabled = "service_account.disabled",
    /// A service account was switched on.
    AccountEnabled = "service_account.enabled",
    /// A service account was deleted; its keys were revoked.
    AccountDeleted = "service_account.deleted",
    /// All keys of an organization were shut out.
    OrganizationSuspended = "organization.suspended",
    /// They were let in again.
    OrganizationResumed = "organization.resumed",
}

names!(Action, "an action");
