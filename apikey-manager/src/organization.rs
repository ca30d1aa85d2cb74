//! Organizations, which own keys. The host provides their ids. A store keeps only whether they are suspended.

use apikey_core::{ActorId, OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};

/// The record of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrganizationRecord {
    /// Its id.
    pub id: OrganizationId,
    /// The time since when its keys are rejected, and who decided so.
    pub suspended: Option<Switched>,
}

impl OrganizationRecord {
    /// Creates the record of an organization that is not suspended.
    #[must_use]
    pub fn new(id: OrganizationId) -> Self {
        OrganizationRecord { id, suspended: None }
    }
}

/// The time at which something was disabled, and who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// The moment.
    pub at: Timestamp,
    /// Who did it.
    pub by: ActorId,
}
