//! The audit trail. An event is written in the transaction of its change and is never changed.

use apikey_core::{ActorId, JsonObject, OrganizationId, Timestamp};
use serde::Serialize;

use crate::names::names;

/// One management action.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// The id, `evt_…`, which sorts by time.
    pub id: String,
    /// The time.
    pub at: Timestamp,
    /// The organization.
    pub organization: OrganizationId,
    /// The actor.
    pub actor: ActorId,
    /// The action.
    pub action: Action,
    /// The id of the key, the service account or the organization that was changed.
    pub target: String,
    /// The changed values before the action, without secrets or digests.
    pub before: Option<JsonObject>,
    /// The changed values after the action, or null.
    pub after: Option<JsonObject>,
    /// The id of the request.
    pub request_id: Option<String>,
}

impl AuditEvent {
    /// Creates an event without values, for stores to fill in.
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
        /// An action, displayed by its name, such as `key.issued`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Action] = &[$(Action::$variant),+];

            /// Returns its name, such as `key.issued`.
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
    /// A key was duplicated.
    KeyDuplicated = "key.duplicated",
    /// A key was imported.
    KeyImported = "key.imported",
    /// A key's name, description, scopes, windows or metadata were changed.
    KeyUpdated = "key.updated",
    /// A key was rotated.
    KeyRotated = "key.rotated",
    /// The overlap of a rotation was ended early.
    KeyOverlapEnded = "key.overlap_ended",
    /// A secret of a key was ended, because a revoked key had obtained it.
    KeySecretEnded = "key.secret_ended",
    /// A key was disabled.
    KeyDisabled = "key.disabled",
    /// A key was enabled.
    KeyEnabled = "key.enabled",
    /// A key was revoked.
    KeyRevoked = "key.revoked",
    /// A key was deleted.
    KeyDeleted = "key.deleted",
    /// A service account was created.
    AccountCreated = "service_account.created",
    /// A service account's name or description was changed.
    AccountUpdated = "service_account.updated",
    /// A service account was disabled, with all of its keys.
    AccountDisabled = "service_account.disabled",
    /// A service account was enabled.
    AccountEnabled = "service_account.enabled",
    /// A service account was deleted; its keys were revoked.
    AccountDeleted = "service_account.deleted",
    /// An organization was suspended, with all of its keys.
    OrganizationSuspended = "organization.suspended",
    /// An organization was resumed.
    OrganizationResumed = "organization.resumed",
    /// The thresholds of alerts were changed.
    AlertSettingsUpdated = "alert_settings.updated",
    /// A webhook was created.
    WebhookCreated = "webhook.created",
    /// A webhook's address, description, events or state was changed.
    WebhookUpdated = "webhook.updated",
    /// A webhook's secret was rotated.
    WebhookSecretRotated = "webhook.secret_rotated",
    /// A webhook was deleted.
    WebhookDeleted = "webhook.deleted",
}

names!(Action, "an action");
