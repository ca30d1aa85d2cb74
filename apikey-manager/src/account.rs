//! Service accounts: names for programs, which hold keys as people do.

use apikey_core::{ActorId, OrganizationId, ServiceAccountId, Timestamp};
use serde::Serialize;

use crate::organization::Switched;

/// A service account's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServiceAccount {
    /// Its id.
    pub id: ServiceAccountId,
    /// The organization.
    pub organization: OrganizationId,
    /// What people call it; 1–100 characters.
    pub name: String,
    /// What it is for; up to 500 characters.
    pub description: String,
    /// Since when, and on whose word, none of its keys is let in.
    pub disabled: Option<Switched>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The actor who created the account.
    pub created_by: ActorId,
    /// Counts its changes, from 1.
    pub version: u64,
}

impl ServiceAccount {
    /// An account as it is made.
    #[must_use]
    pub fn new(
        id: ServiceAccountId,
        organization: OrganizationId,
        name: impl Into<String>,
        created_at: Timestamp,
        created_by: ActorId,
    ) -> Self {
        ServiceAccount {
            id,
            organization,
            name: name.into(),
            description: String::new(),
            disabled: None,
            created_at,
            created_by,
            version: 1,
        }
    }
}
