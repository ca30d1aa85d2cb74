//! Who owns keys. Organizations are the host's: their ids come from it, and all that is kept of them is whether they are
//! suspended.

use apikey_core::{ActorId, OrganizationId, Timestamp};
use serde::Serialize;

/// What is kept of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrganizationRecord {
    /// Its id.
    pub id: OrganizationId,
    /// Since when, and on whose word, none of its keys is let in.
    pub suspended: Option<Switched>,
}

impl OrganizationRecord {
    /// An organization that is not suspended.
    #[must_use]
    pub fn new(id: OrganizationId) -> Self {
        OrganizationRecord { id, suspended: None }
    }
}

/// When, and on whose word, something was switched off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Switched {
    /// The moment.
    pub at: Timestamp,
    /// Who did it.
    pub by: ActorId,
}
